"""Run commands, and the standing scripts of releases, and say how they ended.

What a program prints is on the disk and on its way to the server as it comes. Nothing that it
started outlives it, but what it put into a unit of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.launch import (
    Launch,
    account_of,
    base_environment,
    check_may_become,
    own_name,
    starts_units,
    stop_unit,
)
from penguin_agent.orders.launched import End, end_marked, run_launched
from penguindome.errors import PenguinDomeError
from penguindome.orders.bodies import CommandBody

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.release.sealed import Programs

SCRIPT_SECONDS = 3600
_SYSTEMD_SIGNAL = 255


class CommandRunner:
    """Runs programs of orders, each as the order says.

    Args:
        state_dir: Tells our programs from those of another agent on this machine.
        programs: Makes something to run of a script's bytes.
        systemd: Tells whether PID 1 starts them.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        state_dir: Path,
        programs: Programs,
        *,
        systemd: Callable[[], bool] = starts_units,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._state_dir = state_dir
        self._programs = programs
        self._systemd = systemd
        self._failpoint = failpoint

    async def run(self, order: Order, part: str, script: bytes, progress: Progress) -> Outcome:
        """Run a standing script to its end, as the agent's own user; its output is the part's."""
        user = await asyncio.to_thread(own_name)
        body = CommandBody({}, part, script=script, user=user, timeout_seconds=SCRIPT_SECONDS)
        return await self.run_body(order, body, progress, part)

    async def run_body(
        self, order: Order, body: CommandBody, progress: Progress, part: str = ""
    ) -> Outcome:
        """Run what a command's body says to its end."""
        try:
            account = await asyncio.to_thread(account_of, body.user)
            check_may_become(account)
        except PenguinDomeError as error:
            return Outcome("failed", error.text(), error.code)
        with ExitStack() as stack:
            descriptor = None
            argv = body.argv
            if body.script:
                lending = self._programs.lent("script", body.script)
                program = await asyncio.to_thread(stack.enter_context, lending)
                if program.pass_fds:
                    (descriptor,) = program.pass_fds
                else:
                    argv = (program.path, *argv)
            launch = Launch(
                unit=unit_name(order.order_id, part),
                description=f"PenguinDome order {order.order_id} {part or body.name}",
                argv=argv,
                environment={**base_environment(account), **self._marks(order.order_id)},
                account=account,
                longest_seconds=body.timeout_seconds,
                script=descriptor,
            )
            self._failpoint("orders.launching")
            end = await run_launched(
                launch,
                lambda stream, data: progress.output(stream, data, part=part),
                systemd=self._systemd(),
            )
        self._failpoint("orders.program-ended")
        return outcome_of(end, body, by_systemd=self._systemd())

    async def clean_up(self, order_id: str) -> None:
        """End what an order's programs left running when the agent was killed."""
        if self._systemd():
            await stop_unit(f"{unit_name(order_id)}*")
        await end_marked(self._marks(order_id))

    def _marks(self, order_id: str) -> dict[str, str]:
        return {"PD_ORDER_ID": order_id, "PD_STATE_DIR": str(self._state_dir)}


class CommandAct:
    """Acts on commands.

    Args:
        runner: Runs them.
    """

    def __init__(self, runner: CommandRunner) -> None:
        self._runner = runner

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Run the command to its end."""
        if not isinstance(order.body, CommandBody):
            raise TypeError(order.kind)
        progress.running()
        return await self._runner.run_body(order, order.body, progress)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Say that the command was broken off: nobody saw how it ended."""
        del order, progress
        return Outcome("interrupted", "the agent ended while it ran", "interrupted")


def unit_name(order_id: str, part: str = "") -> str:
    """Return the name of the unit that an order's program, or a part's, runs in."""
    digest = hashlib.sha256(part.encode()).hexdigest()[:8]
    return f"penguin-order-{order_id}" + (f"-{digest}" if part else "")


def outcome_of(end: End, body: CommandBody, *, by_systemd: bool) -> Outcome:
    """Return what a program's end means for its order."""
    if end.code is None and not end.timed_out:
        return Outcome("failed", f"it could not be started: {end.error}", "not-started")
    if end.timed_out:
        reason = f"it ran for more than {body.timeout_seconds} s and was ended"
        return Outcome("timed-out", reason, "timed-out", truncated=end.truncated)
    code = end.code or 0
    if code == 0:
        return Outcome("succeeded", exit_code=0, truncated=end.truncated)
    if code < 0:
        reason = f"it was ended by signal {_signal_name(-code)}"
        return Outcome("failed", reason, "signal", min(128 - code, 255), end.truncated)
    reason = f"it ended with exit code {code}"
    if by_systemd and code == _SYSTEMD_SIGNAL:
        reason += ", or by a signal"
    return Outcome("failed", reason, "exit-code", code, end.truncated)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
