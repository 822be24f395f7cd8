"""A device and a server that live through anything, for the stateful test."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penguin_agent.dead_letters import DeadLetters
from penguin_agent.spool import Spool, SpoolLimits
from penguin_agent.spool_folder import SpoolFolder
from penguindome.errors import InvalidInput
from penguindome.ids import ulid_from
from penguindome.outputs import Output, OutputStatus
from tests.penguin_agent.model_server import ModelServer

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2030, 1, 1, tzinfo=UTC)
LIMITS = SpoolLimits(entries=4, bytes=64 * 1024, message_bytes=600)


class CrashError(Exception):
    """The process is gone."""


class World:
    """The device's disk, its spool (which dies in a crash) and the server."""

    def __init__(self, folder: Path, limits: SpoolLimits = LIMITS) -> None:
        self.folder = folder
        self.limits = limits
        self.server = ModelServer()
        self.acknowledged: list[str] = []
        self.plugins: dict[str, bytes] = {}
        self._count = itertools.count(1)
        self.crash_at: str = ""
        self.spool = self.open()

    def open(self) -> Spool:
        return Spool(
            SpoolFolder(self.folder),
            DeadLetters(self.folder / "dead-letters"),
            new_id=lambda: ulid_from(next(self._count), b"0123456789"),
            limits=self.limits,
            failpoint=self._failpoint,
        )

    def _failpoint(self, name: str) -> None:
        if name == self.crash_at:
            self.crash_at = ""
            raise CrashError(name)

    def crash(self) -> None:
        self.spool = self.open()

    def survive(self, action, *arguments):
        """Do something; a crash on the way is a new process."""
        try:
            return action(*arguments)
        except CrashError:
            self.crash()
            return None

    def now(self) -> datetime:
        return START + timedelta(seconds=next(self._count))

    def collect(self, request_id: str = "") -> bool:
        outputs = [output(name, json) for name, json in sorted(self.plugins.items())]
        gone = set(self.spool.current.outputs) - set(self.plugins)
        return self.spool.record(
            outputs, gone, now=self.now(), boot_id="boot", request_id=request_id
        )

    def submit(self, *, lose_answer: bool = False) -> bool:
        """Hand in the oldest report; returns whether there was one."""
        report = self.spool.head()
        if report is None:
            return False
        try:
            stored, _hash = self.server.submit(report)
        except InvalidInput as error:
            if not lose_answer:
                self.spool.refuse(report, reason=str(error), subject=error.subject, now=self.now())
            return True
        if lose_answer:
            return True
        if not stored:
            assert not report.full
            self.spool.need_full()
            return True
        self.acknowledged.append(report.report_id)
        self.spool.acknowledge(report)
        return True

    def settle(self) -> None:
        """Collect and hand in until nothing waits."""
        self.crash_at = ""
        self.collect()
        for _round in range(200):
            if not self.submit():
                return
        raise AssertionError("the spool never empties")

    def check(self) -> None:
        """Compare: the server's state is the device's, and every report came once."""
        stored = [report.report_id for report in self.server.stored]
        assert len(stored) == len(set(stored))
        assert set(self.acknowledged) <= set(stored)
        times = [report.collected_time for report in self.server.stored]
        assert times == sorted(times)
        assert self.server.hash() == self.spool.current.hash()
        good = {n: v for n, v in self.plugins.items() if v not in self.server.poison}
        assert {n: v for n, v in self.server.values.items() if v} == good
        assert set(self.server.values) == set(self.plugins)
        assert not self.server.following


def output(name: str, json_text: bytes) -> Output:
    return Output(name, OutputStatus.OK, json_text, "", START)


def value(number: int, size: int = 0) -> bytes:
    return json.dumps({"n": number, "x": "x" * size}).encode()
