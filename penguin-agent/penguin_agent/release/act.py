"""Act on releases and patches: make the tree, switch to it, and say how that ended.

Installing may be begun again after a crash, since nothing has effect before the switch; what was
decided after it is on the disk, and is found there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from logbook import Logger

from penguin_agent.orders.acts import Outcome
from penguin_agent.release.tree import overtaken, patched, release_tree
from penguindome.errors import PenguinDomeError
from penguindome.orders.bodies import PatchBody
from penguindome.orders.release_body import ReleaseBody

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.release.gate_file import Trial
    from penguin_agent.release.install import Installer
    from penguin_agent.release.releases import Releases
    from penguin_agent.release.scripts import Scripts
    from penguin_agent.release.tree import Tree

log = Logger(__name__)


class Device(Protocol):
    """What an installation needs of the agent."""

    def working(self, names: Collection[str]) -> tuple[str, ...]:
        """Return those of some plugins that do not fail now, or have not run."""

    async def judge(self, trial: Trial) -> Trial:
        """Return the trial of the release in force as it ended."""

    def renew(self, names: Collection[str]) -> None:
        """Have plugins run soon that are others than before."""


@dataclass(frozen=True, slots=True)
class ReleaseAct:
    """Installs releases.

    Attributes:
        releases: The trees.
        installer: Makes one.
        scripts: Runs standing scripts.
        device: The agent.
        now: The device's clock.
    """

    releases: Releases
    installer: Installer
    scripts: Scripts
    device: Device
    now: Callable[[], datetime]

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Install a release, and wait until it has proved itself."""
        if order.number <= self.releases.number:
            return Outcome("failed", "the release in force is as new", code="not-newer")
        present = self.releases.checked.tree
        progress.running(details={"step": "installing", "release": order.number})
        try:
            tree = _release(order)
            await self.installer.make(tree, present=present, until=order.expires_time)
        except PenguinDomeError as error:
            return _not_made(error)
        progress.running(details={"step": "proving", "release": order.number})
        changed = await asyncio.to_thread(self.releases.changed, tree)
        judged = self.device.working(changed)
        trial = self.releases.enter(tree, order.order_id, judged)
        return await self._after(trial, order, progress)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Go on where the agent ended."""
        trial = self.releases.gate.read()
        if trial is not None and trial.order_id == order.order_id:
            return await self._after(trial, order, progress)
        if self.releases.checked.tree.has_order(order.order_id):
            # The note of the trial is lost: it is not known who judged it.
            return Outcome("interrupted", "whether it proved itself is not known")
        if self.now() >= order.expires_time:
            return Outcome("expired", "it expired before it was installed")
        return await self.run(order, progress)

    async def _after(self, trial: Trial, order: Order, progress: Progress) -> Outcome:
        if trial.is_pending:
            trial = await self.device.judge(trial)
        if trial.returned_to:
            return _returned(trial)
        await asyncio.to_thread(self.releases.prune)
        await self.scripts.run(order, progress)
        return Outcome("succeeded", details={"release": str(trial.name)})


@dataclass(frozen=True, slots=True)
class PatchAct:
    """Puts files over the tree in force; the attributes are those of ReleaseAct."""

    releases: Releases
    installer: Installer
    scripts: Scripts
    device: Device
    now: Callable[[], datetime]

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Put files into the tree in force and take others out of it."""
        present = self.releases.checked.tree
        # Both may have come in one breath, and are judged side by side.
        if await asyncio.to_thread(_is_overtaken, order, present):
            reason = f"superseded by release {present.name.number}"
            return Outcome("cancelled", reason, code="superseded")
        progress.running(details={"step": "installing"})
        try:
            tree = await asyncio.to_thread(self._tree, order, present)
            await self.installer.make(tree, present=present, until=order.expires_time)
            changed = await asyncio.to_thread(self.releases.changed, tree)
            # Not in a thread: nobody can call it off half-way.
            self.releases.switch(tree)
        except PenguinDomeError as error:
            return _not_made(error)
        self.device.renew(changed)
        return await self._after(order, progress)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Go on where the agent ended."""
        if self.releases.checked.tree.has_order(order.order_id):
            return await self._after(order, progress)
        if self.now() >= order.expires_time:
            return Outcome("expired", "it expired before it was installed")
        return await self.run(order, progress)

    def _tree(self, order: Order, present: Tree) -> Tree:
        if not isinstance(order.body, PatchBody):
            raise TypeError(order.kind)
        self.releases.check_patchable()
        tree = patched(present, order.order_id, order.body, order.envelope)
        self.releases.blobs.prepare()
        for one in order.body.files:
            if one.entry is not None and one.content is not None:
                self.releases.blobs.put(one.entry, one.content)
        return tree

    async def _after(self, order: Order, progress: Progress) -> Outcome:
        await asyncio.to_thread(self.releases.prune)
        await self.scripts.run(order, progress)
        return Outcome("succeeded", details={"release": str(self.releases.checked.tree.name)})


def _release(order: Order) -> Tree:
    if not isinstance(order.body, ReleaseBody):
        raise TypeError(order.kind)
    return release_tree(order.number, order.order_id, order.body, order.envelope)


def _is_overtaken(order: Order, present: Tree) -> bool:
    body = order.body
    return isinstance(body, PatchBody) and overtaken(
        present, body, order.issued_time, order.order_id
    )


def _not_made(error: PenguinDomeError) -> Outcome:
    log.warning("Nothing is installed: {}", error)
    return Outcome("failed", error.text(), code=error.code)


def _returned(trial: Trial) -> Outcome:
    details: dict[str, Any] = {
        "returned_to": trial.returned_to,
        "reason": trial.reason,
        "plugins": list(trial.failed),
    }
    return Outcome("failed", trial.reason, code=trial.code, details=details)
