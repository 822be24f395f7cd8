"""How a report and a state look on the disk: a line with a digest, then the wire's own bytes.

Trust: the folder is the agent's alone (0700), but disks forget and fill up; a file that does not
match its digest is damaged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from penguindome.errors import Damaged, InvalidInput
from penguindome.report_wire import report_from_message, report_to_message
from penguindome.v1 import agent_pb2

if TYPE_CHECKING:
    from penguindome.reports import Report

_MAGIC = b"penguindome-spool-1"
_EMPTY: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Kept:
    """A report as kept, with notes beside it (text by name)."""

    report: Report
    notes: dict[str, str]


def encode(report: Report, notes: dict[str, str] | None = None) -> bytes:
    """Return the bytes of a file."""
    body = report_to_message(report).SerializeToString()
    head = json.dumps(notes or _EMPTY, sort_keys=True).encode()
    return b"\n".join((_MAGIC, _digest(head, body), head, body))


def decode(data: bytes) -> Kept:
    """Read the bytes of a file.

    Raises:
        Damaged: The file is not what was written.
    """
    parts = data.split(b"\n", 3)
    if len(parts) != 4 or parts[0] != _MAGIC or parts[1] != _digest(parts[2], parts[3]):
        raise Damaged("a file of the spool is damaged", code="spool-damaged")
    try:
        message = agent_pb2.SubmitReportRequest.FromString(parts[3])
        return Kept(report_from_message(message), json.loads(parts[2]))
    except (DecodeError, InvalidInput, ValueError) as error:
        raise Damaged(
            f"a file of the spool cannot be read: {error}", code="spool-damaged"
        ) from None


def _digest(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(head + b"\n" + body).hexdigest().encode()
