"""What is typed after a ~, as with OpenSSH; and what of a device's output reaches the terminal."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl.escapes import Escapes, Typed, Wish
from penguinctl.terminal_filter import TerminalFilter


def sent(*pieces: bytes) -> tuple[bytes, list[Wish]]:
    escapes = Escapes()
    typed = [one for piece in pieces for one in escapes.typed(piece)]
    return b"".join(one.data for one in typed), [one.wish for one in typed if one.wish]


@pytest.mark.parametrize(
    ("typed", "data", "wishes"),
    [
        (b"~.", b"", [Wish.END]),
        (b"\n~.", b"\n", [Wish.END]),
        (b"\r~.", b"\r", [Wish.END]),
        (b"\n~x", b"\n~x", []),
        (b"\n~~", b"\n~", []),
        (b"\n~~.", b"\n~.", []),
        (b"a~.", b"a~.", []),
        (b"a\n~?b", b"a\nb", [Wish.HELP]),
        (b"~\x1a", b"", [Wish.SUSPEND]),
        (b"~?~.", b"", [Wish.HELP, Wish.END]),
        (b"~\n~.", b"~\n", [Wish.END]),
        (b"ls ~/x\n", b"ls ~/x\n", []),
    ],
)
def test_escapes_mean_what_they_mean_in_ssh(typed, data, wishes):
    assert sent(typed) == (data, wishes)
    # However it is cut into pieces.
    assert sent(*(bytes([byte]) for byte in typed)) == (data, wishes)


@given(st.lists(st.lists(st.sampled_from(b"~~.?\x1a\r\nax"), max_size=4).map(bytes)))
def test_escapes_mean_the_same_however_they_are_cut(pieces):
    assert sent(*pieces) == sent(*(bytes([byte]) for byte in b"".join(pieces)))


def test_another_character_and_none():
    assert [one.wish for one in Escapes(b"^").typed(b"^.")] == [Wish.END]
    assert Escapes(None).typed(b"~.") == [Typed(b"~.")]


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x1b]0;title\x07",
        b"\x1b]2;title\x1b\\",
        b"\x1b]52;c;ZXZpbA==\x07",
        b"\x1b]8;;http://evil\x1b\\",
        b"\x1bP$q q\x1b\\",
        b"\x1b_apc\x1b\\",
        b"\x1b^pm\x1b\\",
        b"\x1bXsos\x1b\\",
        b"\x1b[c",
        b"\x1b[>c",
        b"\x1b[6n",
        b"\x1b[?6n",
        b"\x1b[21t",
        b"\x1b[?1$p",
        b"\x1bZ",
        "\u009b6n".encode()[:2],
        "\u009d0;t".encode()[:2],
        "\u202e\u2066\u200f".encode(),
    ],
)
def test_what_acts_on_the_operators_machine_is_dropped(hostile):
    assert TerminalFilter().filter(b"a" + hostile + b"b") == b"ab"
    cut = TerminalFilter()
    assert b"".join(cut.filter(bytes([byte])) for byte in b"a" + hostile + b"b") == b"ab"


@pytest.mark.parametrize(
    "harmless",
    [
        b"plain\r\n\t\x08\x07",
        b"\x1b[1;31mred\x1b[0m",
        b"\x1b[2J\x1b[10;20H\x1b[K",
        b"\x1b[?1049h\x1b[?25l\x1b[?2004h",
        b"\x1b7\x1b8\x1bM\x1b=\x1b>",
        b"\x1b(0lqk\x1b(B",
        "äöü €  日本語 🐧".encode(),
    ],
)
def test_what_draws_stays(harmless):
    assert TerminalFilter().filter(harmless) == harmless
    cut = TerminalFilter()
    assert b"".join(cut.filter(bytes([byte])) for byte in harmless) == harmless


def test_bytes_that_are_no_text_are_shown_as_such():
    assert TerminalFilter().filter(b"a\xff\x9b31mb") == "a\ufffd\ufffd31mb".encode()


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_nothing_reaches_the_terminal_that_begins_a_string_or_turns_text(pieces):
    made = TerminalFilter()
    out = b"".join(made.filter(piece) for piece in pieces)
    for hostile in (b"\x1b]", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", "\u202e".encode()):
        assert hostile not in out
    assert not any("\x80" <= character <= "\x9f" for character in out.decode("utf-8", "replace"))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_where_output_is_cut_does_not_matter(data, cuts):
    whole = TerminalFilter().filter(data)
    made, places = TerminalFilter(), sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert b"".join(made.filter(piece) for piece in pieces) == whole
