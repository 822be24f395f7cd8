"""`penguin-agent collect`: run plugins now and print exactly what would be sent. Sends nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguin_agent import cli_print
from penguin_agent.builtin import NAME, agent_output
from penguin_agent.collect.making import make_collector
from penguin_agent.identity import read_device
from penguin_agent.release.folder import FOLDER
from penguin_agent.release.making import make_releases
from penguin_agent.trust_store import TrustStore
from penguin_agent.version import agent_version
from penguindome.errors import NotFound
from penguindome.times import utc_now

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings
    from penguin_agent.release.releases import Releases
    from penguindome.outputs import Output


def collect(options: argparse.Namespace, settings: Settings) -> int:
    """Print the outputs; of all plugins, or of those that are named."""
    state_dir = settings.paths.state_dir
    ours = os.access(state_dir, os.W_OK)
    # A folder of its own: the daemon may be collecting at the same time.
    work_dir = Path(tempfile.mkdtemp(prefix="pd", dir=state_dir if ours else None))
    try:
        var_dir = state_dir / "plugins-var" if ours else work_dir / "var"
        var_dir.mkdir(mode=0o700, exist_ok=True)
        outputs = asyncio.run(_outputs(settings, options.plugins, work_dir, var_dir))
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)
    if options.output == "json":
        cli_print.as_json({"outputs": [_words(output) for output in outputs]})
    else:
        for output in outputs:
            _show(output)
    return 0


async def _outputs(
    settings: Settings, names: list[str], work_dir: Path, var_dir: Path
) -> list[Output]:
    releases = _releases(settings, work_dir)
    collector = make_collector(
        settings,
        utc_now,
        work_dir=work_dir,
        var_dir=var_dir,
        **({} if releases is None else {"signed": releases.signed}),
    )
    known = {*collector.names(), NAME}
    for name in names:
        if name not in known:
            raise NotFound(
                "there is no such plugin",
                subject=name,
                remedy=f"There are: {', '.join(sorted(known))}",
            )
    collected = await collector.collect(names or None)
    own = agent_output(
        version=agent_version(),
        dead_letters=len(list((settings.paths.state_dir / "dead-letters").glob("*.json"))),
        benched=collected.benched,
        problems=collected.problems,
        clock_wrong=False,
        release=releases.number if releases else 0,
        altered=releases.checked.altered if releases else (),
        now=utc_now(),
    )
    return [*collected.outputs, *([own] if not names or NAME in names else [])]


def _releases(settings: Settings, work_dir: Path) -> Releases | None:
    """Return the trees of signed files; None for who is not enrolled, or may not read them."""
    state_dir = settings.paths.state_dir
    if not os.access(state_dir / FOLDER, os.R_OK | os.X_OK):
        return None
    device = read_device(state_dir / "identity" / "device.json")
    if device is None:
        return None
    trust = TrustStore(state_dir / "trust")
    releases = make_releases(settings.paths, device, trust, work_dir=work_dir)
    releases.look()
    return releases


def _words(output: Output) -> dict[str, Any]:
    return {
        "name": output.name,
        "status": output.status.value,
        "json": json.loads(output.json) if output.json else None,
        "reason": output.reason,
        "local": output.local,
    }


def _show(output: Output) -> None:
    local = ", from the local folder" if output.local else ""
    reason = f": {output.reason}" if output.reason else ""
    cli_print.line(f"{output.name} ({output.status.value}{local}){reason}")
    if output.json:
        text = json.dumps(json.loads(output.json), indent=2, ensure_ascii=False)
        cli_print.block("  " + text.replace("\n", "\n  "))
