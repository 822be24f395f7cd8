"""penguinctl param: what it sends, and what it says."""

import json

import pytest

from tests.penguinctl import samples

LEFT = "d-ffffffffffffffff"


@pytest.fixture(autouse=True)
def _filled(simulator):
    samples.fill(simulator.state)


def test_nothing_given_is_a_wrong_use(operator):
    for words in ((), ("set",), ("set", "web-1"), ("set", "web-1", "user_email"), ("unset",)):
        result = operator("param", *words)
        assert (result.code, result.out) == (2, "")
        assert "Usage: penguinctl param" in result.err
    assert "Missing argument 'VALUE...'" in operator("param", "set", "web-1", "user_email").err


def test_an_unknown_parameter_is_a_wrong_use(operator):
    for words in (("list", "--name", "freedle"), ("set", "web-1", "freedle", "x")):
        result = operator("param", *words)
        assert result.code == 2
        assert "user_clients" in result.err


def test_an_empty_list_prints_nothing_but_a_note(simulator, operator):
    simulator.state.parameters.clear()
    result = operator("param", "list")
    assert (result.code, result.out) == (0, "")
    assert "No parameters are set" in result.err
    assert operator("param", "list", "web-1").code == 3
    assert json.loads(operator("param", "list", "-o", "json").out) == {"parameters": []}


def test_a_list_has_hostname_parameter_and_value(simulator, operator):
    linked = samples.parameter(
        LEFT, "gone", name="user_clients", values=[samples.WEB, samples.DB], device_deleted=True
    )
    linked.hostnames[:] = ["web-1", "db-1"]
    simulator.state.parameters.append(linked)
    assert operator("param", "list").out.splitlines() == [
        "HOSTNAME        PARAMETER     VALUE",
        "web-1           user_email    ann@example.com",
        "gone (deleted)  user_clients  web-1, db-1",
    ]
    assert "user_email" not in operator("param", "list", "--name", "user_clients").out


def test_setting_says_what_is_new_what_changed_and_that_nothing_did(operator):
    said = [
        operator("param", "set", *words).out
        for words in (
            ("db-1", "user_email", "bob@example.com"),
            ("db-1", "user_email", "eve@example.com"),
            ("db-1", "user_email", "eve@example.com"),
            ("db-1", "user_clients", "web-1"),
        )
    ]
    assert said == [
        "Set user_email of db-1 to bob@example.com.\n",
        "Changed user_email of db-1 from bob@example.com to eve@example.com.\n",
        "No changes.\n",
        "Set user_clients of db-1 to web-1.\n",
    ]


def test_hostnames_become_ids_for_values_too(simulator, operator):
    operator("param", "set", "db-1", "user_clients", "WEB-1", samples.TWIN_1)
    request = simulator.requests("SetParameter")[0]
    assert request.device_id == samples.DB
    assert list(request.values) == [samples.WEB, samples.TWIN_1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("db-1", "user_clients", "nobody"), 3),
        (("db-1", "user_clients", "twin"), 6),
        (("old-1", "user_email", "a@example.com"), 6),
        (("web-*", "user_email", "a@example.com"), 2),
    ],
)
def test_a_device_that_is_not_the_one_is_refused_by_name(simulator, operator, words, code):
    result = operator("param", "set", *words)
    assert result.code == code
    assert any(word in result.err for word in ("nobody", "twin", "old-1", "web-*"))
    assert not simulator.requests("SetParameter")


def test_unsetting_by_hostname_finds_the_device_that_has_it(simulator, operator):
    assert operator("param", "unset", "web-1", "user_email").out == "Unset user_email of web-1.\n"
    assert operator("param", "unset", "web-1", "user_email").out == "No changes.\n"
    simulator.state.parameters[:] = [samples.parameter(LEFT, "gone", device_deleted=True)]
    assert operator("param", "unset", "Gone", "user_email").code == 0
    assert simulator.requests("UnsetParameter")[-1].device_id == LEFT
    assert operator("param", "unset", "gone", "user_email").code == 3
    assert operator("param", "unset", LEFT, "user_email").out == "No changes.\n"


def test_of_two_with_a_hostname_the_one_that_exists_is_meant(simulator, operator):
    left = samples.parameter(LEFT, "web-1", device_deleted=True)
    simulator.state.parameters.append(left)
    operator("param", "unset", "web-1", "user_email")
    assert simulator.requests("UnsetParameter")[-1].device_id == samples.WEB
    simulator.state.parameters[:] = [
        left,
        samples.parameter(samples.GONE, "web-1", device_deleted=True),
    ]
    result = operator("param", "unset", "web-1", "user_email")
    assert result.code == 6
    assert LEFT in result.err
    assert samples.GONE in result.err
