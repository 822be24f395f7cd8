"""Put together what keeps the tree of signed files."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.backoff import Backoff
from penguin_agent.failpoints import no_failpoint
from penguin_agent.release.act import PatchAct, ReleaseAct
from penguin_agent.release.fetch import Fetcher
from penguin_agent.release.folder import FOLDER
from penguin_agent.release.install import Installer
from penguin_agent.release.keeper import AgentHealth, Keeper
from penguin_agent.release.releases import Releases
from penguin_agent.release.scripts import Scripts
from penguin_agent.release.sealed import Programs
from penguin_agent.release.verify import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.collect.collector import Collector
    from penguin_agent.collecting import Collecting
    from penguin_agent.config import Paths
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.identity import Device
    from penguin_agent.link import Link
    from penguin_agent.orders.acts import Act
    from penguin_agent.release.fetch import BlobSource
    from penguin_agent.release.scripts import ScriptRunner
    from penguin_agent.spool import Spool
    from penguin_agent.trust_store import TrustStore

# Between attempts to fetch a content, at most.
PAUSE_SECONDS = 60.0


def make_releases(
    paths: Paths,
    device: Device,
    trust: TrustStore,
    *,
    work_dir: Path | None = None,
    failpoint: Failpoint = no_failpoint,
) -> Releases:
    """Return the trees of a device.

    Args:
        paths: Where things are.
        device: Whose they are.
        trust: The documents that they are verified with.
        work_dir: Where copies of plugins are made, if need be; not on a noexec mount.
        failpoint: For tests of crashes.
    """
    work_dir = work_dir or paths.state_dir / "plugins-work"
    return Releases(
        paths.state_dir / FOLDER,
        Programs(work_dir / "copies"),
        documents=trust.held,
        owner=Owner(device.fleet, device.device_id),
        package=paths.plugins,
        failpoint=failpoint,
    )


@dataclass(frozen=True, slots=True)
class ReleaseParts:
    """The trees, and what watches over them."""

    releases: Releases
    health: AgentHealth
    keeper: Keeper


def make_parts(
    releases: Releases, *, link: Link, collector: Collector, collecting: Collecting, spool: Spool
) -> ReleaseParts:
    """Return what watches over the trees of a running agent."""
    health = AgentHealth(releases, link, collector, collecting)
    return ReleaseParts(releases, health, Keeper(releases, health, spool, collecting))


def make_release_acts(
    parts: ReleaseParts,
    *,
    source: BlobSource,
    runner: ScriptRunner,
    now: Callable[[], datetime],
    failpoint: Failpoint = no_failpoint,
) -> Mapping[str, Act]:
    """Return the acts on releases and patches.

    Args:
        parts: The trees.
        source: Where contents come from.
        runner: Runs standing scripts.
        now: The device's clock.
        failpoint: For tests of crashes.
    """
    releases = parts.releases
    fetcher = Fetcher(
        releases.blobs,
        source,
        backoff=lambda: Backoff(random.uniform, most_seconds=PAUSE_SECONDS),
        now=now,
    )
    installer = Installer(releases.folder, releases.blobs, fetcher, failpoint)
    scripts = Scripts(releases, runner, failpoint)
    tools = (releases, installer, scripts, parts.keeper, now)
    return {"release": ReleaseAct(*tools), "patch": PatchAct(*tools)}
