"""The folder through which the agent and the process that wipes speak with each other.

`state_dir/wipe/ORDER_ID/`, 0700, holds:

    order.json     the signed order as it came: what is wiped stands there and nowhere else
    begun          made exactly once: by the process that wipes, or by the agent that gave up on it
    progress.json  the phase and what is done so far, replaced at each step
    seen           made by the agent once it noted the plan: the point of no return may be passed
    passed         made exactly once: by the process that wipes at the point of no return, or by the
                   agent when the order was called off, or the agent ended, before
    result.json    how it ended
    delivered      made by the agent once the server has the receipt: the machine may go down

Whoever wipes holds a lock on order.json as long as it lives. So an order that has begun, is not
locked and has no result was interrupted, and is never begun again.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguindome.durable import check_private, make_private_dir, read_file, sync_dir, write_file
from penguindome.envelope_json import from_json, to_json
from penguindome.errors import AlreadyExists, Damaged, LimitExceeded, NotFound, PenguinDomeError
from penguindome.ids import is_ulid
from penguindome.orders.fields import Fields
from penguindome.orders.receipts import FINAL
from penguindome.strict_json import canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penguindome.envelope import Envelope

FORMAT = 1
_FILE_BYTES = 128 * 1024
_ORDER_BYTES = 4 * 1024 * 1024
CALLED_OFF = "it was called off, or the agent ended, before anything was wiped"
_PAUSE_SECONDS = 0.1
_CALLED_OFF = b"called off"


@dataclass(frozen=True, slots=True)
class Phase:
    """What the process that wipes is at, and what it did so far."""

    name: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended; the fields are an Outcome's."""

    state: str
    reason: str = ""
    code: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Job:
    """One order's folder.

    Args:
        state_dir: The agent's.
        order_id: The order's; anything else than an order's id is refused.
    """

    def __init__(self, state_dir: Path, order_id: str) -> None:
        if not is_ulid(order_id):
            raise NotFound(f"{order_id[:40]!r} is no order's id", code="no-order")
        self.order_id = order_id
        self.state_dir = state_dir
        self._all = state_dir / "wipe"
        self.folder = self._all / order_id

    def prepare(self, envelope: Envelope) -> None:
        """Put the order there, for a process that is started next.

        Raises:
            AlreadyExists: It was there before, and is not begun again.
        """
        make_private_dir(self._all)
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            raise AlreadyExists("this wipe was begun before", code="begun") from None
        write_file(self.folder / "order.json", to_json(envelope))
        sync_dir(self._all)

    def begin(self) -> Envelope:
        """Return the order, for the process that wipes; it is locked until the process ends.

        Raises:
            AlreadyExists: It was begun before, or the agent gave up waiting.
            PreconditionFailed: Others could have changed the order.
            NotFound: There is none.
        """
        owner = os.geteuid()
        check_private(self.folder, owner_uid=owner, max_mode=0o700, directory=True)
        path = self.folder / "order.json"
        check_private(path, owner_uid=owner, max_mode=0o600, directory=False)
        if self.has_begun():
            raise AlreadyExists("this wipe was begun before", code="begun")
        # Closed by the end of the process only: the lock is its sign of life.
        fcntl.flock(os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_EX)
        if not self._make("begun", b"wiping"):
            raise AlreadyExists("this wipe was begun before", code="begun")
        return from_json(read_file(path, _ORDER_BYTES))

    def alone(self) -> None:
        """Wait until no other order is wiping, and keep others waiting until the process ends."""
        path = self._all / "lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fcntl.flock(os.open(path, flags, 0o600), fcntl.LOCK_EX)

    def note(self, phase: Phase) -> None:
        """Write down where the process that wipes is; a full disk does not hold it up."""
        value = {"format": FORMAT, "phase": phase.name, "details": dict(phase.details)}
        with suppress(LimitExceeded):
            write_file(self.folder / "progress.json", canonical_json(value))

    def finish(self, result: Result) -> None:
        """Write down how it ended."""
        value = {
            "format": FORMAT,
            "state": result.state,
            "reason": result.reason,
            "code": result.code,
            "details": dict(result.details),
        }
        write_file(self.folder / "result.json", canonical_json(value))

    def wait_for(self, name: str, seconds: float) -> bool:
        """Wait for `seen` or `delivered`; False when the time is over."""
        end = time.monotonic() + seconds
        while not (self.folder / name).exists():
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True

    def mark(self, name: str) -> None:
        """Make `seen` or `delivered`, for the process that wipes; nothing where there is no job."""
        self._make(name, b"")

    def abandon(self, why: bytes = b"abandoned") -> bool:
        """Make sure that it never begins; False when it has begun."""
        return self._make("begun", why)

    def pass_point(self) -> bool:
        """Pass the point of no return; False when the order was called off before."""
        return self._make("passed", b"wiping")

    def call_off(self) -> bool:
        """Make sure that nothing is wiped; False when the point of no return is passed."""
        return self.abandon(_CALLED_OFF) or self._make("passed", _CALLED_OFF)

    def is_called_off(self) -> bool:
        """Tell whether `call_off` came in time."""
        return _CALLED_OFF in (self._word("begun"), self._word("passed"))

    def has_begun(self) -> bool:
        """Tell whether it began or was abandoned."""
        return (self.folder / "begun").exists()

    def is_running(self) -> bool:
        """Tell whether the process that wipes is alive."""
        try:
            descriptor = os.open(self.folder / "order.json", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def phase(self) -> Phase | None:
        """Return where the process that wipes is; None where it said nothing that can be read."""
        try:
            fields = self._read("progress.json")
            if fields is None:
                return None
            found = Phase(fields.text("phase", 64), fields.take("details", dict))
            fields.end()
        except PenguinDomeError:
            return None
        return found

    def result(self) -> Result | None:
        """Return how it ended; None as long as it did not.

        Raises:
            Damaged: The file was not written by it.
        """
        fields = self._read("result.json")
        if fields is None:
            return None
        state = fields.choice("state", FINAL)
        reason, code = fields.text("reason", 4096), fields.text("code", 64)
        found = Result(state, reason, code, fields.take("details", dict))
        fields.end()
        return found

    def _read(self, name: str) -> Fields | None:
        try:
            value = parse_json(read_file(self.folder / name, _FILE_BYTES))
        except NotFound:
            return None
        fields = Fields(value, name, "damaged")
        if fields.number("format", 1, 2**31) != FORMAT:
            raise Damaged("is of another version's form", subject=str(self.folder / name))
        return fields

    def _word(self, name: str) -> bytes:
        try:
            return read_file(self.folder / name, 64)
        except NotFound:
            return b""

    def _make(self, name: str, data: bytes) -> bool:
        """Make a file that is not there yet, for good; False when it is.

        Where nothing was prepared nothing can begin: no file is needed.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.folder / name, flags, 0o600)
        except FileExistsError:
            return False
        except FileNotFoundError:
            return True
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_dir(self.folder)
        return True
