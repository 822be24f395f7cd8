"""penguinctl ledger: the chain is verified here, not believed."""

import json

import pytest

from tests.penguinctl import samples


@pytest.fixture
def rows(simulator):
    for index in range(1200):
        simulator.state.append_ledger("token.create", f"t-{index}")
    return simulator.state.ledger


def test_list_shows_the_newest_or_those_after(rows, operator):
    value = json.loads(operator("ledger", "list", "-o", "json").out)
    assert [row["number"] for row in value["rows"]] == list(range(1101, 1201))
    value = json.loads(operator("ledger", "list", "--after", "5", "--limit", "2", "-o", "json").out)
    assert [row["number"] for row in value["rows"]] == [6, 7]
    assert "operator/alice" in operator("ledger", "list", "--limit", "3").out


def test_head(rows, operator):
    assert rows[-1].hash.hex() in operator("ledger", "head").out
    value = json.loads(operator("ledger", "head", "-o", "json").out)
    assert (value["number"], value["hash"]) == (1200, rows[-1].hash.hex())


def test_intact_chain_is_verified_and_remembered(rows, simulator, operator):
    first = operator("ledger", "verify")
    assert (first.code, "1200 rows are intact" in first.out) == (0, True)
    assert "Nothing was remembered" in first.err
    simulator.state.append_ledger("device.revoke", samples.WEB)
    value = json.loads(operator("ledger", "verify", "-o", "json").out)
    assert (value["verified"], value["rows"], value["remembered_row"]) == (True, 1201, 1200)


def test_empty_ledger_is_intact(simulator, operator):
    assert operator("ledger", "verify").code == 0
    assert operator("ledger", "list").out == "No ledger rows.\n"


def test_changed_row_is_named(rows, operator):
    rows[700].target = "somebody else"
    result = operator("ledger", "verify")
    assert (result.code, "ledger row 701" in result.err) == (7, True)


def test_missing_row_is_named(rows, operator):
    del rows[3]
    result = operator("ledger", "verify")
    assert (result.code, "ledger row 4" in result.err) == (7, True)


def test_rolled_back_ledger_is_noticed_each_time(rows, operator):
    operator("ledger", "verify")
    del rows[1000:]
    for _ in range(2):
        result = operator("ledger", "verify")
        assert (result.code, "rows were removed" in result.err) == (7, True)


def test_rewritten_ledger_is_noticed(rows, simulator, operator):
    operator("ledger", "verify")
    del rows[1100:]
    for index in range(200):
        simulator.state.append_ledger("token.create", f"forged-{index}")
    result = operator("ledger", "verify")
    assert (result.code, "rewritten" in result.err) == (7, True)


def test_rows_that_are_kept_back_are_noticed(rows, simulator, operator):
    head = simulator.state.ledger[-1]
    simulator.state.ledger = [*rows[:-5]]
    simulator.state.append_ledger("x", "y", number=5000)
    simulator.state.ledger[-1].CopyFrom(head)
    result = operator("ledger", "verify")
    assert result.code == 7


def test_damaged_memory_is_told(rows, operator):
    operator("ledger", "verify")
    (operator.profile / "ledger.json").write_text("{}")
    assert operator("ledger", "verify").code == 7


@pytest.mark.parametrize("later", [0, 300])
def test_a_restored_ledger_says_so_until_a_person_accepts_it(rows, simulator, operator, later):
    operator("ledger", "verify")
    del rows[1000:]
    simulator.state.append_ledger("server.restore", "")
    for index in range(later):
        simulator.state.append_ledger("token.create", f"after-{index}")
    for _ in range(2):
        result = operator("ledger", "verify")
        assert (result.code, "row 1001 says that the server was restored" in result.err) == (
            7,
            True,
        )
        assert "rows 1001 to 1200" in result.err
    assert operator("ledger", "verify", "--accept-restore").code == 0
    assert operator("ledger", "verify").code == 0


@pytest.mark.parametrize("cut", [1000, 1201])
def test_a_restore_that_was_known_excuses_no_other_loss(cut, rows, simulator, operator):
    simulator.state.append_ledger("server.restore", "")
    simulator.state.append_ledger("token.create", "later")
    operator("ledger", "verify")
    del simulator.state.ledger[cut:]
    result = operator("ledger", "verify", "--accept-restore")
    assert (result.code, "rows were removed" in result.err) == (7, True)
