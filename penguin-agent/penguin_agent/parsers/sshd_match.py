"""Find what the Match blocks of sshd's configuration allow to some connections only.

sshd tells its configuration for one connection at a time, and cannot be asked which blocks there
are. Source: sshd_config(5), OpenSSH 9.9.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from penguin_agent.parsers.tools import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_FILE = "/etc/ssh/sshd_config"
_FOLDER = "etc/ssh"
_DEEPEST = 16


def conditional(root: Path, file: str | None) -> frozenset[tuple[str, str]]:
    """Return keyword and value, in lower case, of every line that stands in a Match block.

    A file that cannot be read adds nothing.
    """
    path = root / (file or DEFAULT_FILE).removeprefix("/")
    return frozenset(_lines(root, path, inside=False, depth=0))


def _lines(root: Path, path: Path, *, inside: bool, depth: int) -> Iterator[tuple[str, str]]:
    for words in filter(None, map(_split, (read_text(path) or "").splitlines())):
        keyword = words[0].lower()
        if keyword == "match":  # it lasts to the end of its file
            inside = [word.lower() for word in words[1:]] != ["all"]
        elif keyword == "include" and depth < _DEEPEST:
            for included in _included(root, words[1:]):
                yield from _lines(root, included, inside=inside, depth=depth + 1)
        elif inside:
            yield keyword, " ".join(words[1:]).lower()


def _split(line: str) -> list[str]:
    """Return the words of a line; `Keyword=value` is allowed as well."""
    keyword, equals, value = line.strip().partition("=")
    text = f"{keyword} {value}" if equals and " " not in keyword.strip() else line
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _included(root: Path, patterns: list[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        place = pattern.removeprefix("/") if pattern.startswith("/") else f"{_FOLDER}/{pattern}"
        try:
            found += sorted(root.glob(place))
        except (NotImplementedError, ValueError):
            continue
    return found
