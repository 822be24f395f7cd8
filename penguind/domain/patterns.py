"""Regular expressions that a check may use: those which mean the same in every PCRE.

MongoDB matches with PCRE, and its versions bring different ones. What is refused here either
changes its meaning between them, or can make a match take for ever.

Source: pcre2pattern(3), 10.42.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from penguind.domain.literals import scalar
from penguindome.errors import InvalidInput

MAX_PATTERN_LENGTH = 512
OPTIONS = frozenset("imsx")

_REFUSED = (
    (re.compile(r"\\[pPXCNRKGQEukglo]"), "an escape that differs between versions of PCRE"),
    (re.compile(r"\\x\{"), r"\x{…}; write the character itself"),
    (re.compile(r"\\[1-9]"), "a back reference"),
    (re.compile(r"\(\*"), "a control verb"),
    (re.compile(r"\(\?(?![:=!]|<[=!]|i\))"), "a group that is neither (?:…), look-around nor (?i)"),
    (re.compile(r"\{,"), "{,n}, which older PCREs read as text; write {0,n}"),
)
_SET_TROUBLE = re.compile(r"\[|&&|--|~~|\|\||-\\[dDwWsShHvV]|\\[dDwWsShHvV]-")
_UNBOUNDED = re.compile(r"\*|\+|\{\d+,\}")
_BOUNDED = re.compile(r"\?|\{\d+(?:,\d+)?\}")


def check_pattern(pattern: object, options: object = "") -> str:
    """Return a pattern that is safe to hand to MongoDB.

    Raises:
        InvalidInput: If it is not text, too long, does not compile, or is of a kind whose meaning
            or running time depends on the version of the database.
    """
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise InvalidInput("$regex and $options take text", remedy="quote the pattern")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidInput(f"a pattern may have {MAX_PATTERN_LENGTH} characters at most")
    if set(options) - OPTIONS or len(set(options)) != len(options):
        raise InvalidInput("$options takes some of the letters i, m, s, x, each once")
    if "\0" in pattern:
        raise InvalidInput("a pattern cannot hold NUL")
    scalar(pattern)
    _lint(pattern)
    _compile(pattern)
    return pattern


def _lint(pattern: str) -> None:
    bare = pattern.replace("\\\\", "  ")
    for refused, what in _REFUSED:
        if refused.search(bare):
            raise InvalidInput(f"the pattern holds {what}", remedy="write it more simply")
    _Scan().read(pattern)


def _compile(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidInput(f"the pattern does not compile: {error}") from error


@dataclass(slots=True)
class _Group:
    """What was seen inside an open parenthesis."""

    repeats: bool = False


class _Scan:
    """One walk through a pattern that looks for nested repetition and odd sets."""

    def __init__(self) -> None:
        self._groups = [_Group()]
        self._closed: _Group | None = None

    def read(self, pattern: str) -> None:
        """Walk through the pattern."""
        position = 0
        while position < len(pattern):
            position = self._step(pattern, position)

    def _step(self, pattern: str, at: int) -> int:
        closed, self._closed = self._closed, None
        if match := _UNBOUNDED.match(pattern, at):
            self._repeat(closed)
            return match.end()
        if match := _BOUNDED.match(pattern, at):
            return match.end()
        character = pattern[at]
        if character == "[":
            return _skip_set(pattern, at)
        if character == "(":
            self._groups.append(_Group())
            return at + (2 if pattern.startswith("(?", at) else 1)
        if character == ")" and len(self._groups) > 1:
            self._close()
        return at + (2 if character == "\\" else 1)

    def _repeat(self, closed: _Group | None) -> None:
        if closed and closed.repeats:
            raise InvalidInput(
                "the pattern repeats a group that repeats, which may take for ever",
                remedy="write (a+)+ as a+",
            )
        self._groups[-1].repeats = True

    def _close(self) -> None:
        self._closed = self._groups.pop()
        self._groups[-1].repeats |= self._closed.repeats


def _skip_set(pattern: str, at: int) -> int:
    """Return the position after a bracket expression."""
    start = at + (2 if pattern.startswith("[^", at) else 1)
    end = start + 1
    while end < len(pattern) and pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    if _SET_TROUBLE.search(pattern[start:end].replace("\\\\", "  ")):
        raise InvalidInput("a bracket expression holds [, a doubled operator or a class in a range")
    if pattern.startswith("]", start):
        raise InvalidInput("a bracket expression starts with ]", remedy=r"write \]")
    return end + 1
