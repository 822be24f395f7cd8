from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput, NotFound
from penguindome.settings import Section, read_settings

values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def section(**found: object) -> Section:
    return Section(found)


def test_values_are_typed() -> None:
    found = section(
        word="x",
        on=True,
        count=3,
        share=0.5,
        whole=2,
        names=["a", "b"],
        folder="/a",
        table={"b": 1},
    )
    assert found.text("word") == "x"
    assert found.boolean("on") is True
    assert found.integer("count") == 3
    assert (found.number("share"), found.number("whole")) == (0.5, 2.0)
    assert found.texts("names") == ("a", "b")
    assert found.path("folder") == Path("/a")
    assert found.table("table") == {"b": 1}
    found.finish()


def test_missing_values_have_defaults() -> None:
    found = section()
    assert found.text("a", "b") == "b"
    assert found.integer("a", 5, 1, 9) == 5
    assert found.texts("a") == ()
    assert found.duration("a", timedelta(minutes=5), "minutes") == timedelta(minutes=5)
    assert found.path("a", "/x") == Path("/x")
    assert found.path("b") == Path()
    assert found.section("c").boolean("d", default=False) is False
    with pytest.raises(InvalidInput, match="e is missing"):
        found.text("e")


@pytest.mark.parametrize(
    ("value", "span"),
    [(5, timedelta(minutes=5)), (0.5, timedelta(seconds=30)), ("4h", timedelta(hours=4))],
)
def test_durations_are_numbers_of_the_unit_or_text(value: object, span: timedelta) -> None:
    assert section(a=value).duration("a", timedelta(), "minutes") == span


@pytest.mark.parametrize("value", [True, [], "soon", "", -1, 1e300, float("nan"), float("inf")])
def test_bad_durations_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        section(a=value).duration("a", timedelta(), "days")


def test_a_bad_duration_names_its_key() -> None:
    with pytest.raises(InvalidInput) as caught:
        section(a="soon").duration("a", timedelta(), "days")
    assert caught.value.reason == "a is wrong: 'soon' is no duration"
    assert "90m" in caught.value.remedy


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("text", 1),
        ("text", "a\0b"),
        ("integer", True),
        ("integer", 1.0),
        ("integer", "1"),
        ("integer", -1),
        ("integer", 2**40),
        ("number", float("nan")),
        ("number", True),
        ("boolean", 1),
        ("texts", "a"),
        ("texts", [1]),
        ("path", "relative/path"),
        ("section", 1),
        ("table", []),
    ],
)
def test_wrong_types_and_bounds_are_named(method: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        getattr(section(key=value), method)("key")
    assert "key" in caught.value.reason


@given(values, st.sampled_from(["text", "integer", "number", "boolean", "texts", "path", "table"]))
def test_any_value_is_taken_or_refused(value: object, method: str) -> None:
    found = section(key=value)
    try:
        getattr(found, method)("key")
    except InvalidInput:
        return
    found.finish()


def test_choices_are_listed() -> None:
    with pytest.raises(InvalidInput) as caught:
        section(level="inof").text("level", "info", ["info", "debug"])
    assert caught.value.remedy == "Did you mean info?"


def test_unknown_keys_are_refused_with_file_and_hint(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\nadress = 'x'\n")
    found = read_settings(file)
    found.section("server").text("address", "")
    with pytest.raises(InvalidInput) as caught:
        found.finish()
    assert caught.value.text() == f"{file}: server.adress is unknown — Did you mean address?"


def test_unknown_tables_are_refused() -> None:
    with pytest.raises(InvalidInput, match="other is unknown"):
        section(other={"a": 1}).finish()


def test_drop_ins_win_and_are_named_in_errors(tmp_path: Path) -> None:
    main, folder = tmp_path / "a.toml", tmp_path / "conf.d"
    folder.mkdir()
    main.write_text("[a]\none = 1\ntwo = 2\n[c]\nx = 1\n")
    (folder / "10.toml").write_text("[a]\ntwo = 3\n[b]\nnew = 1\n")
    (folder / "20.toml").write_text("[a]\ntwo = 'x'\n")
    (folder / "30.toml.bak").write_text("not toml")
    found = read_settings(main, dropins=folder)
    assert found.section("a").integer("one") == 1
    assert found.section("b").integer("new") == 1
    with pytest.raises(InvalidInput) as caught:
        found.section("a").integer("two")
    assert caught.value.subject == str(folder / "20.toml")


def test_no_file_means_defaults() -> None:
    assert read_settings(None).section("a").text("b", "c") == "c"


@pytest.mark.parametrize(
    "data", [b"a = ", b"\xff", b"[" * 5000, b"a = " + b"[" * 5000, b"a = 1\na = 2"]
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_settings(file)
    assert caught.value.subject == str(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        read_settings(tmp_path / "none.toml")
    assert "none.toml" in caught.value.subject
