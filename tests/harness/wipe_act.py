"""The agent's side of a wipe, as a program: `VERB STATE_DIR ENVELOPE_FILE`.

The verb is `run`, `resume`, `run-until-PHASE`, which cancels the act as soon as it tells that, or
`run-full`, where what it tells cannot be kept.
Runs the real act and prints what it tells, a line of JSON each: {"running": details}, and
{"outcome": {…}} in the end.
"""

import asyncio
import json
import pathlib
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from penguin_agent.orders.acts import Order, Outcome
from penguin_agent.wipe.act import WipeAct, delivered
from penguindome.envelope_json import from_json
from penguindome.errors import LimitExceeded
from penguindome.orders.bodies import wipe_body
from penguindome.payload import read_payload


class Told:
    """Says on standard output what the act tells; cancels its task when it tells a phase."""

    def __init__(self, until: str) -> None:
        """Until which phase; "" for until the end."""
        self._until = until

    def running(self, *, part: str = "", details: Mapping[str, Any] | None = None) -> None:
        """Say that it goes on."""
        say({"running": dict(details or {}), "part": part})
        if details and self._until == "full":
            raise LimitExceeded("disk full; nothing was changed")
        task = asyncio.current_task()
        if task is not None and (details or {}).get("phase", "running") == self._until:
            task.cancel()

    def output(self, stream: str, data: bytes, *, part: str = "") -> bool:
        """Refuse: a wipe prints nothing."""
        raise AssertionError((stream, data, part))

    def ended(self, part: str, outcome: Outcome) -> None:
        """Refuse: a wipe has no parts."""
        raise AssertionError((part, outcome))


def say(value: dict[str, Any]) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def order_in(path: pathlib.Path) -> Order:
    """Return the order in an envelope, as the engine would hand it over."""
    envelope = from_json(path.read_bytes())
    payload = read_payload(envelope.payload)
    return Order(
        order_id=payload.id,
        kind=payload.kind,
        body=wipe_body(payload.body),
        number=0,
        by=payload.by,
        reason=payload.reason,
        issued_time=payload.issued_time,
        expires_time=payload.expires_time,
        envelope=envelope,
    )


async def acted(order: Order, state_dir: str, verb: str) -> Outcome:
    """Return how the act ends."""
    act = WipeAct(pathlib.Path(state_dir))
    if verb == "resume":
        return await act.resume(order, Told(""))
    try:
        return await act.run(
            order, Told(verb.removeprefix("run").removeprefix("-until").removeprefix("-"))
        )
    except asyncio.CancelledError:
        return Outcome("cancelled")


def main() -> None:
    """Act."""
    verb, state_dir, path = sys.argv[1:]
    order = order_in(pathlib.Path(path))
    outcome = asyncio.run(acted(order, state_dir, verb))
    say({"outcome": asdict(outcome)})
    delivered(pathlib.Path(state_dir), order.order_id)


if __name__ == "__main__":
    main()
