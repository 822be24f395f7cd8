"""Check reports, and cut those that are too large for one message.

Trust: the server runs the checks on what a device sent, the agent on what it is about to send.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput
from penguindome.framing import frame
from penguindome.ids import is_ulid, ulid_from, ulid_time
from penguindome.outputs import (
    HASH_BYTES,
    Output,
    OutputStatus,
    Report,
    output_size,
    state_hash,
    valid_plugin_name,
)
from penguindome.strict_json import Json, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Json",
    "Output",
    "OutputStatus",
    "Report",
    "canonical_json",
    "check_report",
    "output_size",
    "parse_json",
    "split_report",
    "state_hash",
    "valid_plugin_name",
]

PART_LIMIT_BYTES = 1024 * 1024
OUTPUT_LIMIT = 256
REPORT_LIMIT_BYTES = 8 * 1024 * 1024
JSON_LIMIT_BYTES = 1024 * 1024
REASON_LIMIT_BYTES = 1024
_WORD = re.compile(r"[!-~]{0,64}")
_WITH_JSON = frozenset({OutputStatus.OK, OutputStatus.CACHED})
_MAY_HAVE_JSON = _WITH_JSON | {OutputStatus.UNKNOWN}


def check_report(report: Report) -> None:
    """Check everything about a report but the JSON inside.

    Raises:
        InvalidInput: Names the first thing that is wrong; the subject is the output that is to
            blame, so that the device can leave it out.
    """
    _require(is_ulid(report.report_id), "the report id is no ULID")
    _require(len(report.state_hash) == HASH_BYTES, "the state hash has not 32 bytes")
    base = 0 if report.full else HASH_BYTES
    _require(len(report.base_hash) == base, f"the base hash has not {base} bytes")
    _require(report.full or not report.following, "only a full report announces others")
    _require(not (report.full and report.removed), "a full report removes nothing")
    for word in (report.boot_id, report.request_id):
        _require(_WORD.fullmatch(word) is not None, "the boot id or request id is no word")
    _check_names(report)
    for output in report.outputs:
        _check_output(output)
    size = sum(map(output_size, report.outputs))
    _require(size <= REPORT_LIMIT_BYTES, f"larger than {REPORT_LIMIT_BYTES} bytes")


def _check_names(report: Report) -> None:
    names = [output.name for output in report.outputs]
    names += [*report.removed, *report.following]
    _require(len(names) <= OUTPUT_LIMIT, f"more than {OUTPUT_LIMIT} outputs")
    _require(len(set(names)) == len(names), "a plugin stands twice in it")
    for name in names:
        _require(valid_plugin_name(name), f"{name[:40]!r} cannot name a plugin")


def _check_output(output: Output) -> None:
    name, status = output.name, output.status
    _require(len(output.json) <= JSON_LIMIT_BYTES, "the JSON is larger than 1 MiB", name)
    _require(bool(output.json) or status not in _WITH_JSON, f"{status} without JSON", name)
    _require(not output.json or status in _MAY_HAVE_JSON, f"{status} with JSON", name)
    reason = output.reason.encode("utf-8", "surrogatepass")
    _require(len(reason) <= REASON_LIMIT_BYTES, "the reason is longer than 1 KiB", name)
    _require("\n" not in output.reason, "the reason has several lines", name)
    cached = output.cached_time is None or status is OutputStatus.CACHED
    _require(cached, f"{status} with a cached time", name)


def _require(good: bool, reason: str, output: str = "") -> None:  # noqa: FBT001 -- reads as a sentence
    if not good:
        raise InvalidInput(f"the report is refused: {reason}", code="bad-report", subject=output)


def split_report(
    report: Report,
    max_bytes: int = PART_LIMIT_BYTES,
    *,
    base: Mapping[str, bytes] | None = None,
) -> list[Report]:
    """Return reports of about `max_bytes` at most that together say what one says.

    A single output larger than that stays whole. The last part's state hash is the report's; the
    request id stands in the last part only. The parts' ids follow from the report's.

    Args:
        report: The report.
        max_bytes: The largest size of a part's outputs.
        base: Output hashes by name of the state that a delta builds on; needed to cut a delta.
    """
    groups = list(_groups(report.outputs, max_bytes))
    if len(groups) <= 1:
        return [report]
    hashes = {} if report.full else dict(base or {})
    if not report.full and state_hash(hashes) != report.base_hash:
        raise ValueError("to cut a delta, `base` must hold the hashes of the state it builds on")
    parts: list[Report] = []
    before = report.base_hash
    for number, outputs in enumerate(groups):
        removed = report.removed if number == 0 else ()
        hashes = {name: value for name, value in hashes.items() if name not in removed}
        hashes |= {output.name: output.hash for output in outputs}
        after = state_hash(hashes)
        part = replace(
            report,
            report_id=_part_id(report.report_id, number),
            base_hash=before,
            state_hash=after,
            outputs=tuple(outputs),
            removed=removed,
            full=report.full and number == 0,
            following=(),
            request_id=report.request_id if number == len(groups) - 1 else "",
        )
        parts.append(part)
        before = after
    parts[0] = replace(parts[0], following=_following(report, groups[1:]))
    return parts


def _following(report: Report, groups: Sequence[Sequence[Output]]) -> tuple[str, ...]:
    if not report.full:
        return ()
    return (*(output.name for group in groups for output in group), *report.following)


def _groups(outputs: Sequence[Output], max_bytes: int) -> Iterator[list[Output]]:
    """Yield runs of outputs, in order, that fit together."""
    group: list[Output] = []
    size = 0
    for output in outputs:
        more = output_size(output)
        if group and size + more > max_bytes:
            yield group
            group, size = [], 0
        group.append(output)
        size += more
    if group:
        yield group


def _part_id(report_id: str, number: int) -> str:
    """Return the same ULID for the same part each time, so that repeating is harmless."""
    if number == 0:
        return report_id
    digest = hashlib.sha256(frame("part-id", report_id.encode(), str(number).encode()))
    return ulid_from(ulid_time(report_id), digest.digest())
