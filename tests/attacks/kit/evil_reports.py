"""What a hostile device hands in: reports of any bytes, under correct hashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penguindome.report_wire import report_to_message
from penguindome.reports import Output, OutputStatus
from penguindome.v1 import agent_pb2
from tests.attacks.kit.wire import SECONDS
from tests.harness.reporter import Reporter, output

if TYPE_CHECKING:
    from penguindome.reports import Report
    from tests.attacks.kit.evil_agent import EvilAgent


class EvilReports:
    """One device's reports over one connection; a refused one is forgotten."""

    def __init__(self, agent: EvilAgent) -> None:
        self.stub = agent.stub()
        self._reporter = Reporter(agent.device_id, time=datetime.now(UTC))

    def says(self, **values: Any) -> None:
        """Report these values as a well-behaved agent would; they have to be stored."""
        made = [fresh(output(name, value)) for name, value in values.items()]
        self.hands_in(*made)

    def prints(self, text: bytes | str, name: str = "evil", reason: str = "") -> None:
        """Report an output of these very bytes."""
        data = text.encode() if isinstance(text, str) else text
        status = OutputStatus.ERROR if reason else OutputStatus.OK
        self.hands_in(fresh(Output(name, status, data, reason, datetime.now(UTC))))

    def hands_in(self, *outputs: Output, **facts: Any) -> None:
        """Report outputs, with facts of the report as they are given."""
        self.submit(self.report(*outputs, **facts))

    def report(self, *outputs: Output, **facts: Any) -> Report:
        """Return a report of outputs on top of what is stored."""
        reporter = self._reporter
        trial = replace(reporter, outputs=dict(reporter.outputs))
        trial.put(*outputs)
        reporter.time = trial.time
        report = trial.delta(*outputs) if reporter.base_hash else trial.full()
        return replace(report, **facts)

    def submit(self, report: Report) -> None:
        """Hand in a report, which has to be stored; only then it is what we have."""
        answer = self.stub.SubmitReport(report_to_message(report), timeout=SECONDS)
        assert answer.stored
        self._reporter.put(*report.outputs)
        self._reporter.base_hash = report.state_hash

    def check_in(self, **facts: Any) -> agent_pb2.Welcome:
        """Open the stream, take the welcome and hang up."""
        now = int(datetime.now(UTC).timestamp() * 1000)
        hello = agent_pb2.CheckInRequest(**{"device_time_unix_ms": now, **facts})
        stream = self.stub.CheckIn(hello, timeout=SECONDS)
        try:
            return next(stream).welcome
        finally:
            stream.cancel()


def fresh(one: Output) -> Output:
    """Return an output as collected just now."""
    return replace(one, collected_time=datetime.now(UTC))
