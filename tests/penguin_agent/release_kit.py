"""Signed trees in a short folder: real files, signatures and plugins."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from penguin_agent.backoff import Backoff
from penguin_agent.collect.collector import Collector, CollectSettings
from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.reboot_guard import RebootGuard
from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acts import Order, Outcome
from penguin_agent.release.act import PatchAct, ReleaseAct
from penguin_agent.release.fetch import Fetcher
from penguin_agent.release.gate import FAILING, judge
from penguin_agent.release.install import Installer
from penguin_agent.release.releases import Releases
from penguin_agent.release.scripts import Scripts
from penguin_agent.release.sealed import Programs
from penguin_agent.release.verify import Owner
from penguindome.ids import new_ulid
from penguindome.orders.bodies import PatchBody, PatchFile
from penguindome.orders.manifest import FileEntry
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings
from tests.penguin_agent.release_contents import Contents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.penguindome.signing import Fleet

DEVICE = "d-" + "a" * 16
HOSTNAME = "laptop"


def says(value: str) -> bytes:
    """Return a plugin that prints a text."""
    return f"#!/bin/sh\necho '\"{value}\"'\n".encode()


def entry(path: str, data: bytes, mode: int | None = None) -> FileEntry:
    """Return what is signed of a file; programs are what is in plugins/ and commands/."""
    programs = path.startswith(("plugins/", "commands/"))
    usual = 0o755 if programs else 0o644
    return FileEntry(path, usual if mode is None else mode, len(data), sha256(data).hexdigest())


@dataclass
class Told:
    """What an act told while it went on."""

    running: list[tuple[str, dict]] = field(default_factory=list)
    printed: dict[tuple[str, str], bytes] = field(default_factory=dict)
    parts: dict[str, Outcome] = field(default_factory=dict)

    def note(self, part: str, details: Mapping[str, Any] | None) -> None:
        self.running.append((part, dict(details or {})))


class ToldProgress:
    """Keeps what an act tells."""

    def __init__(self) -> None:
        self.told = Told()

    def running(self, *, part: str = "", details: Mapping[str, Any] | None = None) -> None:
        self.told.note(part, details)

    def output(self, stream: str, data: bytes, *, part: str = "") -> bool:
        key = (part, stream)
        self.told.printed[key] = self.told.printed.get(key, b"") + data
        return True

    def ended(self, part: str, outcome: Outcome) -> None:
        assert part not in self.told.parts
        self.told.parts[part] = outcome


class ChildScripts:
    """Runs standing scripts as children of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ran: list[str] = []

    async def run(self, order: Order, part: str, script: bytes, progress: Any) -> Outcome:
        del order
        self.ran.append(part)
        path = self._folder / "script"
        path.write_bytes(script)
        path.chmod(0o700)
        child = await asyncio.create_subprocess_exec(
            str(path), stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        printed, _ = await child.communicate()
        progress.output("stdout", printed, part=part)
        state = "failed" if child.returncode else "succeeded"
        return Outcome(state, exit_code=child.returncode)


class Bench:
    """The agent around the trees: a real collector, and a link that comes when told.

    Attributes:
        reaches_server: Whether a check-in completes.
        renewed: What patches had run anew.
        deadline: Of the gate.
    """

    def __init__(self, collector: Collector, releases: Releases) -> None:
        self._collector = collector
        self._releases = releases
        self._statuses: dict[str, Any] = {}
        self.reaches_server = True
        self.renewed: list[tuple[str, ...]] = []
        self.deadline = timedelta(seconds=20)

    async def check_in(self) -> None:
        if not self.reaches_server:
            await asyncio.Event().wait()

    async def collect(self, names: Any) -> Any:
        collected = await self._collector.collect(names)
        self._statuses |= {output.name: output.status for output in collected.outputs}
        return collected

    def working(self, names: Any) -> tuple[str, ...]:
        return tuple(sorted(n for n in names if self._statuses.get(n) not in FAILING))

    async def judge(self, trial: Any) -> Any:
        keep = self._releases.gate.write
        ended = await judge(trial, self, keep, deadline=self.deadline, step_seconds=0.2)
        if ended.is_pending:
            return self._releases.go_back(ended)
        keep(ended)
        return ended

    def renew(self, names: Any) -> None:
        self.renewed.append(tuple(names))


class Laptop:
    """One device's trees and plugins, and the operators who sign for it."""

    def __init__(
        self, folder: Path, fleet: Fleet, *, failpoint: Any = no_failpoint, sealed: bool = True
    ) -> None:
        self.folder = folder
        self.sealed = sealed
        self.settings_file: Path | None = None
        self.fleet = fleet
        self.contents = Contents()
        self.failpoint = failpoint
        self.documents = [fleet.document("alice", "bob")]
        self.package = folder / "plugins"
        self.package.mkdir(exist_ok=True, mode=0o755)
        (folder / "local").mkdir(exist_ok=True, mode=0o755)
        self.start()

    @property
    def directory(self) -> Path:
        return self.folder / "releases"

    @property
    def current(self) -> Path:
        return self.directory / str(self.releases.folder.current())

    def start(self) -> None:
        """Start the agent anew: everything that is only in memory is gone."""
        self.releases = Releases(
            self.directory,
            Programs(self.folder / "copies", sealed=self.sealed),
            documents=lambda: self.documents,
            owner=Owner(self.fleet.id, DEVICE),
            package=self.package,
            failpoint=self.failpoint,
        )
        self.collector = self._collector()
        self.bench = Bench(self.collector, self.releases)
        self.runner = ChildScripts(self.folder)
        self.releases.start()

    def acts(self) -> Mapping[str, Any]:
        fetcher = Fetcher(
            self.releases.blobs,
            self.contents,
            backoff=lambda: Backoff(lambda low, _high: low, least_seconds=0.01),
            now=lambda: self.fleet.now,
            stall_seconds=1.0,
        )
        installer = Installer(self.releases.folder, self.releases.blobs, fetcher, self.failpoint)
        scripts = Scripts(self.releases, self.runner, self.failpoint)
        tools = (self.releases, installer, scripts, self.bench, lambda: self.fleet.now)
        return {"release": ReleaseAct(*tools), "patch": PatchAct(*tools)}

    def release(self, number: int, files: Mapping[str, bytes], **settings: Any) -> Order:
        self.contents.add(*files.values())
        entries = tuple(entry(path, data) for path, data in files.items())
        body = ReleaseBody(f"r{number}", entries, ReleaseSettings(**settings))
        return self.order("release", body, seq=number)

    def patch(self, files: Mapping[str, bytes | None], *, inline: bool = True) -> Order:
        """Return a patch; None removes a file."""
        self.contents.add(*(data for data in files.values() if data is not None))
        changes = tuple(
            PatchFile(path, None)
            if data is None
            else PatchFile(path, entry(path, data), data if inline else None)
            for path, data in files.items()
        )
        return self.order("patch", PatchBody({DEVICE: HOSTNAME}, changes), seq=None)

    def order(self, kind: str, body: Any, *, seq: int | None) -> Order:
        order_id = new_ulid(self.fleet.now)
        payload = self.fleet.order(
            None if kind == "release" else DEVICE, kind, id=order_id, seq=seq, body=body.to_json()
        )
        return Order(
            order_id=order_id,
            kind=kind,
            body=body,
            number=seq or 0,
            by="alice",
            reason="a test",
            issued_time=self.fleet.now,
            expires_time=self.fleet.now + timedelta(hours=1),
            envelope=self.fleet.sign(kind, payload, "alice"),
        )

    def obey(self, order: Order, *, resume: bool = False) -> tuple[Outcome, Told]:
        progress = ToldProgress()
        act = self.acts()[order.kind]
        outcome = asyncio.run((act.resume if resume else act.run)(order, progress))
        return outcome, progress.told

    def install(self, number: int, files: Mapping[str, bytes], **settings: Any) -> None:
        outcome, _told = self.obey(self.release(number, files, **settings))
        assert outcome.state == "succeeded", outcome

    def collect(self, names: Any = None) -> dict[str, Any]:
        """Return what plugins said, or why they did not, by name."""
        collected = asyncio.run(self.bench.collect(names))
        return {one.name: one.json.decode() or one.reason for one in collected.outputs}

    def files(self) -> dict[str, bytes]:
        """Return what is in the tree in force, its list left out."""
        top = self.current
        paths = [path for path in top.rglob("*") if path.is_file() and path.name != "tree.json"]
        return {str(path.relative_to(top)): path.read_bytes() for path in paths}

    def _collector(self) -> Collector:
        settings = CollectSettings(
            shipped=self.package,
            local=self.folder / "local",
            var_dir=self.folder / "var",
            work_dir=self.folder / "work",
            settings=self.settings_file,
            deadline=timedelta(seconds=30),
            limits=RunLimits(watch_period=timedelta(seconds=0.05)),
        )
        return Collector(
            settings,
            clock=lambda: self.fleet.now,
            guard=RebootGuard(_same),
            signed=self.releases.signed,
        )


async def _same(*_words: Any) -> Any:
    return None
