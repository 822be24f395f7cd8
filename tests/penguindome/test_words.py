"""Identifiers, names, times and what is shown of strange text."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome import ids
from penguindome.display import printable, printable_block
from penguindome.errors import InvalidInput, Unauthenticated
from penguindome.names import (
    Principal,
    clean_hostname,
    parse_uri,
    to_uri,
    valid_label,
    valid_operator_name,
)
from penguindome.times import (
    format_duration,
    from_iso,
    from_unix_ms,
    parse_duration,
    to_iso,
    to_unix_ms,
    utc_now,
)

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
FLEET = "0123456789abcdef" * 2
moments = st.datetimes(timezones=st.just(UTC))
strange = st.text(st.characters())


@given(strange)
def test_nothing_hidden_is_shown(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(character) in HIDDEN for character in shown)
    shown.encode()
    assert printable(shown) == shown


@given(strange)
def test_a_block_keeps_newlines_only(text: str) -> None:
    shown = printable_block(text)
    assert shown.count("\n") == text.count("\n")
    assert printable(shown.replace("\n", "")) == shown.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 😀", "plain é 漢 😀"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b", "\\x9b"),
        ("\u202eevil", "\\u202eevil"),
        ("a\r\nb\x7f", "a\\x0d\\x0ab\\x7f"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
    ],
)
def test_escapes_are_as_documented(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(strange)
def test_a_hostname_is_short_and_printable(raw: str) -> None:
    name = clean_hostname(raw)
    assert 0 < len(name) <= 253
    assert printable(name) == name


@given(moments)
def test_ulids_sort_by_time(moment: datetime) -> None:
    if moment < datetime(1970, 1, 1, tzinfo=UTC) or moment.year > 9000:
        return
    ulid = ids.new_ulid(moment)
    assert ids.is_ulid(ulid)
    assert ids.ulid_time(ulid) == to_unix_ms(moment)
    assert ids.new_ulid(moment + timedelta(milliseconds=1)) > ids.new_ulid(moment)[:10]


def test_ulid_of_the_specification() -> None:
    assert ids.ulid_from(1469918176385, bytes(10))[:10] == "01ARYZ6S41"
    assert not ids.is_ulid("8" + "0" * 25)
    assert not ids.is_ulid("0" * 25 + "U")
    assert not ids.is_ulid("0" * 26 + "\n")


def test_ids_have_their_form() -> None:
    assert ids.is_device_id(ids.new_device_id())
    assert ids.is_fleet_id(ids.new_fleet_id())
    for text in ("", "d-", "d-abc", "x-" + "a" * 16, "d-" + "A" * 16, "d-" + "a" * 16 + "\n"):
        assert not ids.is_device_id(text)


def test_principals_survive_their_uri() -> None:
    for principal in (
        Principal("device", FLEET, ids.new_device_id()),
        Principal("operator", FLEET, "alice.b-c"),
    ):
        assert parse_uri(to_uri(principal)) == principal


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://x/device/d-aaaaaaaaaaaaaaaa",
        f"spiffe://{FLEET}/device/alice",
        f"spiffe://{FLEET}/operator/Alice",
        f"spiffe://{FLEET}/operator/alice/more",
        f"spiffe://{FLEET}/operator/alice\n",
        f"spiffe://{FLEET.upper()}/operator/alice",
        f"spiffe://{FLEET}/server/alice",
        f"spiffe://{FLEET}//alice",
    ],
)
def test_other_uris_name_nobody(uri: str) -> None:
    with pytest.raises(Unauthenticated):
        parse_uri(uri)


@given(st.text(max_size=80))
def test_any_uri_is_read_or_refused(text: str) -> None:
    for uri in (text, f"spiffe://{FLEET}/operator/{text}"):
        try:
            principal = parse_uri(uri)
        except Unauthenticated:
            continue
        assert to_uri(principal) == uri


def test_names_and_labels_are_words() -> None:
    assert valid_operator_name("alice")
    assert valid_label("Berlin-2")
    for text in ("", "a b", "a/b", "-a", "a\n", "a" * 65, "$a", "é"):
        assert not valid_operator_name(text)
        assert not valid_label(text)


@given(moments)
def test_times_survive_milliseconds(moment: datetime) -> None:
    assert moment - from_unix_ms(to_unix_ms(moment)) < timedelta(milliseconds=1)


@given(moments)
def test_times_survive_iso(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert from_iso(to_iso(moment)) == whole
    assert from_iso(whole.astimezone(timezone(timedelta(hours=2))).isoformat()) == whole or (
        moment.year in {1, 9999}
    )


@pytest.mark.parametrize("number", [2**62, -(2**62), 10**18])
def test_times_out_of_bounds_are_refused(number: int) -> None:
    with pytest.raises(InvalidInput):
        from_unix_ms(number)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for read in (from_iso, parse_duration):
        try:
            read(text)
        except InvalidInput:
            continue


@pytest.mark.parametrize(
    ("text", "span"),
    [("90m", 5400), ("4h", 14400), ("3d", 259200), ("1h30m", 5400), ("2w", 1209600), ("7s", 7)],
)
def test_durations_are_read(text: str, span: int) -> None:
    assert parse_duration(text) == timedelta(seconds=span)


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "1y", "1 d", "d", "1d2", "9999999999d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_written_durations_are_close(seconds: int) -> None:
    text = format_duration(timedelta(seconds=seconds))
    if seconds:
        assert timedelta() <= timedelta(seconds=seconds) - parse_duration(text)
    assert utc_now().tzinfo is UTC
