"""Act on one order in a process of its own, which may be killed: FOLDER ORDER run|resume."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from penguin_agent.failpoints import make_failpoint
from penguin_agent.orders.acts import Order
from penguindome.envelope_json import from_json, to_json
from penguindome.orders.bodies import patch_body
from penguindome.orders.release_body import release_body
from penguindome.payload import read_payload
from penguindome.trust_document import from_payload, to_payload
from tests.penguin_agent.release_kit import Laptop


class KnownFleet:
    """What the agent knows of a fleet whose keys are elsewhere."""

    def __init__(self, document: bytes) -> None:
        self._document = from_payload(document)
        self.id = self._document.fleet
        self.now = self._document.issued_time

    def document(self, *_names: str) -> Any:
        return self._document


def write(laptop: Laptop, order: Order) -> Path:
    """Write everything down that the process needs."""
    (laptop.folder / "trust").write_bytes(to_payload(laptop.documents[0]))
    for name, data in laptop.contents.blobs.items():
        (laptop.folder / "contents").mkdir(exist_ok=True)
        (laptop.folder / "contents" / name).write_bytes(data)
    path = laptop.folder / f"{order.order_id}.json"
    path.write_bytes(to_json(order.envelope))
    return path


def main(folder: Path, order: Path, how: str) -> None:
    fleet: Any = KnownFleet((folder / "trust").read_bytes())
    failpoint = make_failpoint(enabled=True, environ=os.environ)
    laptop = Laptop(folder, fleet, failpoint=failpoint)
    laptop.contents.add(*(path.read_bytes() for path in (folder / "contents").iterdir()))
    outcome, told = laptop.obey(_order(order), resume=how == "resume")
    parts = {part: one.state for part, one in told.parts.items()}
    sys.stdout.write(json.dumps({"state": outcome.state, "parts": parts}))


def _order(path: Path) -> Order:
    envelope = from_json(path.read_bytes())
    payload = read_payload(envelope.payload)
    read: Any = release_body if payload.kind == "release" else patch_body
    return Order(
        order_id=payload.id,
        kind=payload.kind,
        body=read(payload.body),
        number=payload.seq or 0,
        by=payload.by,
        reason=payload.reason,
        issued_time=payload.issued_time,
        expires_time=payload.expires_time,
        envelope=envelope,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
