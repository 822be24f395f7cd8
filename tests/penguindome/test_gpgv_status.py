from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import Forbidden
from penguindome.gpgv import parse_status

FINGERPRINT = "76BFD3543F148C405D9AA6A30CC9263BE550AD73"
VALID = f"VALIDSIG {FINGERPRINT} 2030-01-01 1893456000 0 4 0 22 8 00 {FINGERPRINT}"
GOOD = [
    "NEWSIG",
    f"KEY_CONSIDERED {FINGERPRINT} 0",
    "SIG_ID abcdefgh 2030-01-01 1893456000",
    "GOODSIG 0CC9263BE550AD73 alice <alice@example.org>",
    VALID,
]
BAD_WORDS = [
    "BADSIG",
    "ERRSIG",
    "EXPSIG",
    "EXPKEYSIG",
    "REVKEYSIG",
    "NODATA",
    "FAILURE",
    "UNEXPECTED",
    "ERROR",
    "KEYEXPIRED",
    "KEYREVOKED",
]


def status(*lines: str) -> str:
    return "".join(f"[GNUPG:] {line}\n" for line in lines)


def test_one_good_signature_gives_the_primary_fingerprint() -> None:
    assert parse_status(status(*GOOD), 0) == FINGERPRINT


def test_a_subkeys_signature_gives_the_primary_fingerprint() -> None:
    line = VALID.replace(FINGERPRINT, "A" * 40, 1)
    assert parse_status(status(*GOOD[:-1], line), 0) == FINGERPRINT


@pytest.mark.parametrize("word", BAD_WORDS)
def test_any_bad_line_refuses_beside_good_ones(word: str) -> None:
    with pytest.raises(Forbidden):
        parse_status(status(*GOOD, f"{word} 0CC9263BE550AD73 alice"), 0)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        GOOD[:-1],
        [*GOOD, VALID],
        [*GOOD, "GOODSIG 0CC9263BE550AD73 alice"],
        [*GOOD, "NEWSIG"],
        GOOD[1:],
        [*GOOD[:-1], VALID.replace(" 8 00 ", " 2 00 ")],
        [*GOOD[:-1], VALID.replace(" 8 00 ", " 8 01 ")],
        [*GOOD[:-1], VALID.rpartition(" ")[0]],
        [*GOOD[:-1], VALID + " more"],
        [*GOOD[:-1], VALID.lower().replace("validsig", "VALIDSIG")],
        [*GOOD, "SOMETHING_NEW 1"],
    ],
)
def test_anything_else_is_refused(lines: list[str]) -> None:
    with pytest.raises(Forbidden):
        parse_status(status(*lines), 0)


def test_exit_status_counts() -> None:
    with pytest.raises(Forbidden):
        parse_status(status(*GOOD), 2)


def test_text_outside_the_status_is_refused() -> None:
    with pytest.raises(Forbidden):
        parse_status("gpgv: hello\n" + status(*GOOD), 0)


def test_a_user_id_cannot_forge_a_line() -> None:
    forged = f"GOODSIG 0CC9263BE550AD73 alice%0A[GNUPG:] {VALID}"
    with pytest.raises(Forbidden):
        parse_status(status("NEWSIG", forged), 0)


@given(st.text(), st.integers(0, 2))
def test_arbitrary_text_never_passes(text: str, returncode: int) -> None:
    with pytest.raises(Forbidden):
        parse_status(text, returncode)


@given(st.lists(st.sampled_from([*GOOD, "BADSIG x y", "ERRSIG x", ""]), max_size=8))
def test_only_exactly_one_of_each_passes(lines: list[str]) -> None:
    once = all(lines.count(GOOD[index]) == 1 for index in (0, 3, 4))
    clean = not any(line.startswith(("BADSIG", "ERRSIG")) for line in lines)
    if once and clean and "" not in lines:
        assert parse_status(status(*lines), 0) == FINGERPRINT
    else:
        with pytest.raises(Forbidden):
            parse_status(status(*lines), 0)
