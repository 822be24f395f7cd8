"""Reports that wait to be stored: in order for each device, bounded for all."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguind.store.states import Arrival
from penguindome.errors import LimitExceeded, PenguinDomeError, Unavailable

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from penguindome.reports import Report

_BATCH_REPORTS = 128
_BATCH_BYTES = 8 << 20
_WAITING_REPORTS = 8192
_WAITING_BYTES = 64 << 20
_WAITING_OF_ONE = 16
_RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a report.

    Attributes:
        stored: False asks for a full report: its base is not held here.
        state_hash: of the state that is held now.
    """

    stored: bool
    state_hash: bytes


@dataclass(slots=True, eq=False)
class Job:
    """A report that waits, and the answer that its caller awaits."""

    device_id: str
    hostname: str
    report: Report
    received_time: datetime
    size_bytes: int
    answer: asyncio.Future[Stored]

    def resolve(self, result: Stored | PenguinDomeError) -> None:
        """Answer, unless the caller hung up."""
        if self.answer.done():
            return
        if isinstance(result, Stored):
            self.answer.set_result(result)
        else:
            self.answer.set_exception(result)

    def arrival(self) -> Arrival:
        """Return what the store notes of the report beside its contents."""
        report = self.report
        return Arrival(
            device_id=self.device_id,
            report_id=report.report_id,
            base_hash=report.base_hash,
            collected_time=report.collected_time,
            received_time=self.received_time,
            boot_id=report.boot_id,
            request_id=report.request_id,
        )


@dataclass(slots=True)
class ReportQueue:
    """Jobs by device, devices in the order of arrival."""

    by_device: OrderedDict[str, deque[Job]] = field(default_factory=OrderedDict)
    count: int = 0
    size_bytes: int = 0

    def put(self, job: Job) -> None:
        """Add a job.

        Raises:
            Unavailable: too much waits.
            LimitExceeded: too much of this device waits.
        """
        if self.count >= _WAITING_REPORTS or self.size_bytes >= _WAITING_BYTES:
            raise busy("the server has too many reports to store")
        jobs = self.by_device.setdefault(job.device_id, deque())
        if len(jobs) >= _WAITING_OF_ONE:
            raise LimitExceeded(
                "too many reports of this device wait to be stored",
                subject=job.device_id,
                remedy="hand in one after the other",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        jobs.append(job)
        self.count += 1
        self.size_bytes += job.size_bytes

    def take(self) -> list[Job]:
        """Remove and return the next batch: one of each device, bounded in number and size."""
        batch: list[Job] = []
        size = 0
        for device_id in list(self.by_device)[:_BATCH_REPORTS]:
            jobs = self.by_device.pop(device_id)
            job = jobs.popleft()
            self.count -= 1
            self.size_bytes -= job.size_bytes
            if jobs:
                self.by_device[device_id] = jobs
            # A caller that hung up will repeat the report; nobody waits for this answer.
            if job.answer.done():
                continue
            batch.append(job)
            size += job.size_bytes
            if size >= _BATCH_BYTES:
                break
        return batch

    def drain(self) -> list[Job]:
        """Remove and return everything."""
        jobs = [job for waiting in self.by_device.values() for job in waiting]
        self.by_device.clear()
        self.count = self.size_bytes = 0
        return jobs


def busy(reason: str) -> Unavailable:
    """Return the error that makes an agent come again."""
    return Unavailable(
        reason, remedy="hand the report in again", retry_after_seconds=_RETRY_AFTER_SECONDS
    )
