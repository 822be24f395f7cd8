"""What the end of a plugin's run means: from exit status and bytes to an Output."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from penguindome.errors import PenguinDomeError
from penguindome.reports import (
    JSON_LIMIT_BYTES,
    Json,
    Output,
    OutputStatus,
    canonical_json,
    parse_json,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from penguin_agent.collect.limits import RunLimits

_REASON_LENGTH = 200


class Cause(StrEnum):
    """Why a run ended."""

    EXIT = "exit"
    NOT_STARTED = "not-started"
    DEADLINE = "deadline"
    STDOUT = "stdout"
    STDERR = "stderr"
    PROCESSES = "processes"


ABUSE = frozenset({Cause.DEADLINE, Cause.STDOUT, Cause.STDERR, Cause.PROCESSES})


@dataclass(frozen=True, slots=True)
class Ended:
    """One finished run; `code` is negative for a signal, as in subprocess."""

    cause: Cause
    code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The part of an Output that depends on what the plugin did."""

    status: OutputStatus
    json: bytes = b""
    reason: str = ""
    cached_time: datetime | None = None

    def output(self, name: str, *, local: bool, now: datetime) -> Output:
        """Return the output of the plugin `name`, collected at `now`."""
        return Output(
            name=name,
            status=self.status,
            json=self.json,
            reason=self.reason,
            collected_time=now,
            cached_time=self.cached_time,
            local=local,
        )


def judge(ended: Ended, *, limits: RunLimits, deadline: timedelta) -> Verdict:
    """Say what a run's end means."""
    if ended.cause is not Cause.EXIT:
        status = OutputStatus.TIMEOUT if ended.cause is Cause.DEADLINE else OutputStatus.ERROR
        return Verdict(status, reason=_stopped(ended, limits, deadline))
    if ended.code != 0:
        return Verdict(OutputStatus.ERROR, reason=_failed(ended, limits))
    if not ended.stdout.strip():
        return Verdict(OutputStatus.ERROR, reason="printed nothing")
    try:
        value = parse_json(ended.stdout)
        return _answer(value)
    except PenguinDomeError as error:
        return Verdict(OutputStatus.ERROR, reason=one_line(f"not JSON: {error.reason}"))


def _answer(value: Json) -> Verdict:
    if value is None:
        return Verdict(OutputStatus.NOT_APPLICABLE)
    text = canonical_json(value)
    if len(text) > JSON_LIMIT_BYTES:  # a number or a mended character can grow
        return Verdict(
            OutputStatus.ERROR, reason=f"its JSON is larger than {_size(JSON_LIMIT_BYTES)}"
        )
    if value == "unknown":
        return Verdict(OutputStatus.UNKNOWN, text)
    if isinstance(value, dict) and "cached_at" in value:
        return Verdict(OutputStatus.CACHED, text, cached_time=_time(value["cached_at"]))
    return Verdict(OutputStatus.OK, text)


def _stopped(ended: Ended, limits: RunLimits, deadline: timedelta) -> str:
    match ended.cause:
        case Cause.DEADLINE:
            return f"ran past {deadline.total_seconds():g} s"
        case Cause.STDOUT:
            return f"printed more than {_size(limits.stdout_bytes)}"
        case Cause.STDERR:
            return f"printed more than {_size(limits.stderr_bytes)} of errors"
        case Cause.PROCESSES:
            return f"made more than {limits.processes} processes"
        case _:
            return one_line(f"cannot be started: {last_line(ended.stderr)}")


def _failed(ended: Ended, limits: RunLimits) -> str:
    words = f"exit {ended.code}" if ended.code > 0 else f"killed by signal {-ended.code}"
    if ended.code == -24:  # SIGXCPU on every architecture Linux has but MIPS
        words = f"used more than {limits.cpu_seconds} s of processor time"
    line = last_line(ended.stderr)
    return one_line(f"{words}: {line}" if line else words)


def last_line(stderr: bytes) -> str:
    """Return the last line with something in it, "" when there is none."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def one_line(text: str) -> str:
    """Return `text` as one short line of printable characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 1]}…"


def _size(size_bytes: int) -> str:
    kib, rest = divmod(size_bytes, 1024)
    if rest:
        return f"{size_bytes} bytes"
    mib, rest = divmod(kib, 1024)
    return f"{kib} KiB" if rest or not mib else f"{mib} MiB"


def _time(value: Json) -> datetime | None:
    """Return the time a plugin wrote, as ISO 8601; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
