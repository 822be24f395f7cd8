"""Take reports in: many at a time, state and trail together, acknowledged once they are safe.

Reports wait in one queue for each device. One worker takes the first of up to 128 devices, decides
what each does to its device's state, and writes all of it in one transaction, so that a commit's
cost is shared and a report that is repeated after a lost answer finds its id. A device has at most
one report in a batch, so its reports keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from penguind.domain.report_rules import Answer, Step, decide, is_unchanged
from penguind.report_queue import Job, ReportQueue, Stored, busy
from penguind.store.trail import trail_entries
from penguind.workers import keep_on
from penguindome.errors import NotFound, PenguinDomeError, Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.report_rules import Held
    from penguind.store.database import Database, Session
    from penguind.store.states import StateStore
    from penguind.store.trail import TrailStore
    from penguindome.reports import Report

__all__ = ["Ingest", "Stored"]

OnChanged = Callable[[Sequence[str]], Awaitable[None] | None]

# How many reports to work out before others get the event loop.
_BREATH_REPORTS = 8
# A larger report is worked out in a thread: nobody else shall wait for it.
_LARGE_BYTES = 128 << 10
# A replica set needs some 11 s to elect another primary.
_DATABASE_SECONDS = 15.0


class Ingest:
    """Stores reports.

    Args:
        database: where transactions run.
        states: what devices last reported.
        trail: what changed.
        on_changed: told the devices whose state changed, after the commit; what it awaits holds up
            the next batch, which is the back-pressure of the audit.
        database_seconds: how long a batch may wait for an absent database.
    """

    def __init__(
        self,
        database: Database,
        states: StateStore,
        trail: TrailStore,
        *,
        on_changed: OnChanged,
        database_seconds: float = _DATABASE_SECONDS,
    ) -> None:
        self._database = database
        self._states = states
        self._trail = trail
        self._on_changed = on_changed
        self._database_seconds = database_seconds
        self._queue = ReportQueue()
        self._work = asyncio.Event()
        self._closed = False
        self._reports_stored = 0

    @property
    def reports_stored(self) -> int:
        """Return how many reports were stored since the server's start."""
        return self._reports_stored

    async def submit(
        self, device_id: str, hostname: str, report: Report, received_time: datetime
    ) -> Stored:
        """Store a report that passed `check_report`; returns once a majority has it on disk.

        Raises:
            InvalidInput: its hash does not fit, its JSON is refused, or the state grows too large.
            NotFound: the device has no state.
            LimitExceeded: the device has too many reports waiting.
            Unavailable: the database is away, or too much waits; the report may be repeated.
        """
        if self._closed:
            raise busy("the server stops")
        job = Job(
            device_id,
            hostname,
            report,
            received_time,
            1024 + sum(len(output.json) for output in report.outputs),
            asyncio.get_running_loop().create_future(),
        )
        self._queue.put(job)
        self._work.set()
        return await job.answer

    async def run(self) -> None:
        """Store what waits, until cancelled; belongs in the program's task group."""
        try:
            await keep_on("taking reports in", self._turn)
        finally:
            self._closed = True
            for job in self._queue.drain():
                job.resolve(busy("the server stops"))

    async def _turn(self) -> None:
        """Store one batch, or wait for work."""
        await self._work.wait()
        batch = self._queue.take()
        # A batch is empty, too, where all its callers hung up: others may wait behind them.
        if not self._queue.count:
            self._work.clear()
        if not batch:
            return
        try:
            await self._store(batch)
        finally:
            # Only an end of the worker leaves some unanswered.
            for job in batch:
                job.resolve(busy("the server stops"))

    async def _store(self, batch: Sequence[Job]) -> None:
        changed = await self._touch(batch)
        if not changed:
            return
        try:
            device_ids = await self._commit(changed)
        except Unavailable as error:
            _resolve_all(changed, error)
            return
        except PenguinDomeError as error:
            device_ids = await self._commit_singly(changed, error)
        if device_ids:
            told = self._on_changed(device_ids)
            if told is not None:
                await told

    async def _touch(self, batch: Sequence[Job]) -> list[Job]:
        """Answer the reports that say that nothing changed; return those that need more."""
        others: list[Job] = []
        same: list[Job] = []
        for job in batch:
            try:
                (same if is_unchanged(job.report) else others).append(job)
            except PenguinDomeError as error:
                job.resolve(error)
        if not same:
            return others
        try:
            arrivals = [job.arrival() for job in same]
            held = await self._states.touch(arrivals, seconds=self._database_seconds)
        except PenguinDomeError as error:
            _resolve_all(same, error)
            return others
        if not held:
            # Some base is not held any more; the transaction finds out whose.
            return [*same, *others]
        self._reports_stored += len(same)
        for job in same:
            job.resolve(Stored(True, job.report.base_hash))
        return others

    async def _commit_singly(self, jobs: Sequence[Job], error: PenguinDomeError) -> list[str]:
        """Store a batch that the database refused one by one: only the culprit shall fail."""
        if len(jobs) == 1:
            jobs[0].resolve(error)
            return []
        device_ids: list[str] = []
        for job in jobs:
            try:
                device_ids += await self._commit([job])
            except PenguinDomeError as own:
                job.resolve(own)
        return device_ids

    async def _commit(self, jobs: Sequence[Job]) -> list[str]:
        """Store a batch and answer it; return the devices whose state changed.

        Raises:
            Unavailable: the outcome is unknown; the ids tell it when the reports are repeated.
            PenguinDomeError: the database refused the batch; nothing is stored.
        """

        async def work(session: Session) -> dict[Job, Stored | PenguinDomeError | Step]:
            outcomes = await self._outcomes(jobs, session)
            steps = [(job, step) for job, step in outcomes.items() if isinstance(step, Step)]
            if steps:
                arrivals = [(job.arrival(), step) for job, step in steps]
                await self._states.apply(arrivals, session=session)
                entries = [entry for job, step in steps for entry in _entries(job, step)]
                await self._trail.append(entries, session=session)
            return outcomes

        outcomes = await self._database.transaction(work, seconds=self._database_seconds)
        device_ids: list[str] = []
        for job, outcome in outcomes.items():
            if isinstance(outcome, Step):
                job.resolve(Stored(True, outcome.state_hash))
                device_ids.append(job.device_id)
            else:
                job.resolve(outcome)
        self._reports_stored += len(device_ids)
        return device_ids

    async def _outcomes(
        self, jobs: Sequence[Job], session: Session
    ) -> dict[Job, Stored | PenguinDomeError | Step]:
        held = await self._states.read(
            [job.device_id for job in jobs], plugins=_names(jobs), session=session
        )
        outcomes: dict[Job, Stored | PenguinDomeError | Step] = {}
        for number, job in enumerate(jobs):
            own = held.get(job.device_id)
            if job.size_bytes > _LARGE_BYTES:
                outcomes[job] = await asyncio.to_thread(_outcome, job, own)
                continue
            outcomes[job] = _outcome(job, own)
            if number % _BREATH_REPORTS == _BREATH_REPORTS - 1:
                await asyncio.sleep(0)
        return outcomes


def _outcome(job: Job, held: Held | None) -> Stored | PenguinDomeError | Step:
    if held is None:
        return NotFound("the device has no state here", subject=job.device_id)
    try:
        decision = decide(held, job.report)
    except PenguinDomeError as error:
        return error
    if isinstance(decision, Step):
        return decision
    return Stored(decision is Answer.REPEATED, held.state_hash)


def _names(jobs: Sequence[Job]) -> set[str] | None:
    """Return the plugins whose held values the reports are compared with; None for all."""
    if any(job.report.full for job in jobs):
        return None
    names: set[str] = set()
    for job in jobs:
        names.update(job.report.removed)
        names.update(output.name for output in job.report.outputs)
    return names


def _entries(job: Job, step: Step) -> list[dict[str, object]]:
    return list(
        trail_entries(
            job.report.report_id,
            step.changes,
            device_id=job.device_id,
            hostname=job.hostname,
            received_time=job.received_time,
            collected_time=job.report.collected_time,
        )
    )


def _resolve_all(jobs: Sequence[Job], error: PenguinDomeError) -> None:
    for job in jobs:
        job.resolve(error)
