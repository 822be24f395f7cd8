"""The one output that is not a plugin's: what the agent says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.outputs import Output, OutputStatus
from penguindome.strict_json import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

NAME = "agent"
PROBLEM_LIMIT = 32
REASON_LIMIT = 300
_NONE_REFUSED: Mapping[str, Any] = {"count": 0, "reason": ""}


def agent_output(
    *,
    version: str,
    dead_letters: int,
    benched: Sequence[str],
    problems: Sequence[tuple[str, str]],
    clock_wrong: bool,
    now: datetime,
    release: int = 0,
    altered: Sequence[str] = (),
    denied: Sequence[str] = (),
    refused_orders: Mapping[str, Any] = _NONE_REFUSED,
) -> Output:
    """Return the output `agent`; only what changes rarely is in it, since a change is a report.

    Args:
        version: the agent's.
        dead_letters: how many reports the server refused for ever.
        benched: names of plugins that misbehaved and run less often.
        problems: name and reason of what cannot run.
        clock_wrong: whether the device's clock is wrong.
        now: the device's clock.
        release: the number of the release in force, 0 for the package's own.
        altered: paths of files of the signed tree that are not as they were signed.
        denied: kinds of orders that the device's settings forbid.
        refused_orders: `count` of envelopes of a week that were no orders, `reason` of the last.
    """
    value = {
        "version": version,
        "dead_letters": dead_letters,
        "benched": sorted(benched),
        "problems": [
            {"plugin": plugin, "reason": reason[:REASON_LIMIT]}
            for plugin, reason in sorted(problems)[:PROBLEM_LIMIT]
        ],
        "clock": "wrong" if clock_wrong else "ok",
        "release": release,
        "altered": sorted(altered)[:PROBLEM_LIMIT],
        "denied": sorted(denied),
        "refused_orders": {**_NONE_REFUSED, **refused_orders},
    }
    return Output(
        name=NAME,
        status=OutputStatus.OK,
        json=canonical_json(value),
        reason="",
        collected_time=now,
    )
