"""Lines of plain text are what JSON would have written, and nothing else is taken for plain."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.shell.plain_lines import plain_line

TIMES = st.floats(0, 1e7).map(lambda time: round(time, 6))
# Mostly letters, and everything that some escape is made of.
ASCII = st.text(st.characters(max_codepoint=127) | st.sampled_from('aaaa\\"\r\n\tu001b\x1b\x08'))


def by_json(time, text):
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    return encoder.encode([time, "o", text]).encode()


@given(TIMES, ASCII, st.integers(0, 400))
def test_a_plain_line_is_what_json_writes(time, text, more):
    text += "x" * more
    assert plain_line(time, text.encode()) in (None, by_json(time, text))


@given(TIMES, st.text(st.sampled_from("ax0\"\r\n\t\x1b\x08'")))
def test_text_and_its_frequent_escapes_are_plain(time, text):
    assert plain_line(time, text.encode()) == by_json(time, text)


@given(TIMES, st.text(st.sampled_from('ax1b0"\\\r\n\t')))
def test_backslashes_in_text_are_plain_unless_they_look_like_escapes(time, text):
    expected = None if "\\x" in text else by_json(time, text)
    assert plain_line(time, text.encode()) == expected


@given(st.binary(max_size=60))
def test_other_bytes_are_left_to_json(data):
    exact = b"x" * 2000 + data
    line = plain_line(0.5, exact)
    if line is None:
        assert any(byte < 32 or byte > 126 for byte in data)
    else:
        assert json.loads(line) == [0.5, "o", exact.decode("ascii")]


def test_a_flood_of_text_is_plain():
    letters = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyz+/", k=60_000))
    flood = b"\r\n".join(letters[at : at + 76] for at in range(0, len(letters), 76))
    assert plain_line(1.25, flood) == by_json(1.25, flood.decode())
    numbers = "".join(f"{number}\r\n" for number in range(9_000))
    assert plain_line(1.25, numbers.encode()) == by_json(1.25, numbers)
