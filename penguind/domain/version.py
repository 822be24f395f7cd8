"""Versions of agents and servers: which one is older."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Source: the forms of PEP 440 that we release, and what Debian and Fedora make of them.
_VERSION = re.compile(
    r"v?(?P<numbers>[0-9]{1,6}(?:\.[0-9]{1,6}){0,4})"
    r"(?:[.~_-]?(?P<phase>dev|alpha|a|beta|b|rc|c|pre)[.]?(?P<count>[0-9]{0,6}))?"
    r"(?P<build>[+~-][0-9A-Za-z.+~-]*)?"
)
_PHASES = {"dev": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "pre": 3, "rc": 3, "c": 3}
_FINAL = 4
#: So many minor versions behind the server, an agent is outdated.
MINORS_BEHIND = 2


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version that can be compared; how it was packaged makes no difference."""

    numbers: tuple[int, ...]
    phase: int = _FINAL
    count: int = 0

    @property
    def major(self) -> int:
        """Return the first number."""
        return self.numbers[0]

    @property
    def minor(self) -> int:
        """Return the second number, 0 if there is none."""
        return self.numbers[1] if len(self.numbers) > 1 else 0


def parse_version(text: str) -> Version | None:
    """Return a version, None for what is none.

    Trust: a device may have written it.
    """
    match = _VERSION.fullmatch(text.strip().lower())
    if match is None:
        return None
    numbers = [int(number) for number in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        del numbers[-1]
    phase = _PHASES[match["phase"]] if match["phase"] else _FINAL
    return Version(tuple(numbers), phase, int(match["count"] or 0))


def far_behind(agent: Version, server: Version) -> bool:
    """Tell whether an agent is a major version, or two minor versions, behind the server."""
    if agent.major != server.major:
        return agent.major < server.major
    return server.minor - agent.minor >= MINORS_BEHIND
