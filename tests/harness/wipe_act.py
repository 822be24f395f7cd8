"""The agent's side of a wipe, as a program: `run|resume STATE_DIR ENVELOPE_FILE`.

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
from penguindome.orders.bodies import wipe_body
from penguindome.payload import read_payload


class Told:
    """Says on standard output what the act tells."""

    def running(self, *, part: str = "", details: Mapping[str, Any] | None = None) -> None:
        """Say that it goes on."""
        say({"running": dict(details or {}), "part": part})

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


def main() -> None:
    """Act."""
    verb, state_dir, path = sys.argv[1:]
    act = WipeAct(pathlib.Path(state_dir))
    order = order_in(pathlib.Path(path))
    outcome = asyncio.run(getattr(act, verb)(order, Told()))
    say({"outcome": asdict(outcome)})
    delivered(pathlib.Path(state_dir), order.order_id)


if __name__ == "__main__":
    main()
