"""What holds a session's program: what is said to it arrives as it was, and it starts quickly."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.environment import package_folders
from penguin_agent.shell.holder import line_of, words_of

# What os.fsdecode makes of bytes that are no UTF-8 as well; a program's words have no NUL.
WORDS = st.lists(
    st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")), min_size=1
)
ENTERED = """
import sys
sys.path += sys.argv[1:]
import penguin_agent.shell.holder
print(*sys.modules)
"""


@given(WORDS)
def test_any_words_arrive_in_one_line(words):
    line = line_of(*words)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert words_of(line[:-1]) == words


def test_it_imports_next_to_nothing():
    words = [sys.executable, "-I", "-S", "-c", ENTERED, *package_folders()]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "penguin_agent.shell.processes" in loaded
    assert not loaded & {"asyncio", "contextlib", "enum", "json", "re", "signal", "socket"}
