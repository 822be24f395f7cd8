"""CheckService: the rules that judge devices, and what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.check import parse_check
from penguind.services.convert_judge import (
    check_to_message,
    problem_to_message,
    verdicts_to_message,
)
from penguindome.errors import NotFound
from penguindome.v1 import check_pb2, check_pb2_grpc

if TYPE_CHECKING:
    from typing import Any

    from penguind.check_loader import CheckLoader
    from penguind.domain.check import Check
    from penguind.trial import CheckTrial
    from penguindome.times import Clock


class CheckService(check_pb2_grpc.CheckServiceServicer):
    """Serves checks to operators."""

    def __init__(self, *, checks: CheckLoader, trial: CheckTrial, clock: Clock) -> None:
        self._checks = checks
        self._trial = trial
        self._clock = clock

    async def ListChecks(  # noqa: N802 -- gRPC's name
        self, request: check_pb2.ListChecksRequest, context: Any
    ) -> check_pb2.ListChecksResponse:
        """Return the checks in force, and the files that could not be loaded."""
        del request, context
        current = self._checks.current
        return check_pb2.ListChecksResponse(
            checks=[check_to_message(one) for one in current.checks.values()],
            problems=[problem_to_message(one) for one in current.problems],
        )

    async def GetCheck(  # noqa: N802 -- gRPC's name
        self, request: check_pb2.GetCheckRequest, context: Any
    ) -> check_pb2.GetCheckResponse:
        """Return a check in force and what it finds now."""
        del context
        check = self._checks.current.get(request.name)
        if check is None:
            raise NotFound(
                "no such check is in force",
                code="check-not-found",
                subject=request.name[:80],
                remedy="penguinctl check list shows those there are",
            )
        return check_pb2.GetCheckResponse(
            check=check_to_message(check), verdicts=await self._verdicts(check)
        )

    async def TestCheck(  # noqa: N802 -- gRPC's name
        self, request: check_pb2.TestCheckRequest, context: Any
    ) -> check_pb2.TestCheckResponse:
        """Return what a check would find, without enabling it."""
        del context
        check = parse_check(request.source, origin="test", calendars=self._checks.current.calendars)
        return check_pb2.TestCheckResponse(
            check=check_to_message(check), verdicts=await self._verdicts(check)
        )

    async def _verdicts(self, check: Check) -> check_pb2.CheckVerdicts:
        return verdicts_to_message(check.name, await self._trial.run(check, self._clock()))
