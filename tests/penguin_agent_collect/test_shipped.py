"""The shipped plugins, and one in the original's manner, run as they will on a device."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penguin_agent.collect.collector import Collector, CollectSettings
from penguin_agent.collect.discovery import find_plugins
from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.reboot_guard import RebootGuard
from penguin_agent.parsers import tools
from penguindome.reports import OutputStatus

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "penguin-agent" / "plugins"
SHIPPED = sorted(path.name for path in PLUGINS.iterdir() if path.is_file())

_ORIGINAL = """
from penguindome import cached_data, var_dir
from penguindome.client import get_setting, get_logger
import penguindome.json as json
from penguindome.plugin_tools import find_x_users, process_dict_iter

log = get_logger('collect')
interval = get_setting('schedule:collect_interval')
log.info('interval is {}', interval)
data = cached_data('test', {'seen': 1}, add_timestamp=True, check_logged_in=False)
again = cached_data('test', None, add_timestamp=True, check_logged_in=False)
names = [p['name'] for p in process_dict_iter(['pid', 'name'])]
print(json.dumps({'interval': interval, 'data': data, 'again': sorted(again),
                  'var': var_dir, 'processes': bool(names), 'users': len(find_x_users())}))
"""
_AGENT = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from penguin_agent.collect.environment import common_environment
from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.runner import ChildRunner, PluginSpec
plugin, work, var = map(Path, sys.argv[1:])
environment = common_environment(bin_dir=work / "bin", var_dir=var, settings=None)
runner = ChildRunner(RunLimits(), environment, work / "scratch", lambda: datetime.now(UTC))
asyncio.run(runner.run(PluginSpec("plugin", plugin, deadline=timedelta(seconds=30))))
"""


async def _silent(words):
    return None


def test_every_shipped_plugin_is_found_and_prints_json(bed):
    settings = CollectSettings(PLUGINS, bed.local, bed.var, bed.work)
    collector = Collector(settings, clock=lambda: datetime.now(UTC), guard=RebootGuard(_silent))
    outputs = asyncio.run(collector.collect(None)).outputs
    assert [output.name for output in outputs] == SHIPPED
    bad = {o.name: o.reason for o in outputs if o.status is OutputStatus.ERROR}
    # A container may lack a tool: then the plugin says exactly that.
    assert all("is not installed" in reason for reason in bad.values()), bad


def test_discovery_accepts_the_shipped_folder():
    assert find_plugins(PLUGINS, PLUGINS / "none").problems == ()


@pytest.mark.parametrize("name", SHIPPED)
def test_plugin_file_is_short_executable_and_named_as_its_output(name):
    path = PLUGINS / name
    assert path.stat().st_mode & 0o111 == 0o111
    assert len(path.read_text().splitlines()) <= 120
    assert path.read_text().startswith("#!/usr/bin/env python3\n")
    assert path.stem == name


@pytest.mark.parametrize("name", ["firewall", "dmidecode"])
def test_without_root_nothing_is_claimed(name, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(PLUGINS / name), run_name="__main__")
    found = json.loads(capsys.readouterr().out)
    assert found == "unknown" or found["status"] == "unknown"


@pytest.mark.parametrize("name", ["dmidecode", "network_devices", "ip_addresses"])
def test_missing_tool_is_the_reason(name, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools, "_PATH", "/nowhere")
    with pytest.raises(SystemExit, match=r"^(dmidecode|ip) is not installed$"):
        runpy.run_path(str(PLUGINS / name), run_name="__main__")


def test_plugin_in_the_originals_manner_runs_unchanged(bed):
    ran = bed.run(bed.python("original.py", _ORIGINAL), limits=RunLimits())
    assert ran.output.status is OutputStatus.OK, ran.output.reason
    found = json.loads(ran.output.json)
    assert found["interval"] == 5
    assert found["data"] == {"seen": 1}
    assert found["again"] == ["cached_at", "seen"]
    assert found["var"] == str(bed.var)
    assert found["processes"] is True


def test_killed_agent_takes_its_plugins_along(bed):
    mark = bed.folder / "started"
    path = bed.write("plugin", f"#!/usr/bin/perl\nopen(F, '>', '{mark}'); close F; sleep 30;\n")
    words = [sys.executable, "-c", _AGENT, str(path), str(bed.work), str(bed.var)]
    environment = {"PYTHONPATH": f"{ROOT}/proto:{ROOT}/penguin-agent"}
    with subprocess.Popen(words, env=environment) as agent:
        _wait(mark.exists)
        assert bed.leftovers()
        agent.send_signal(signal.SIGKILL)
    _wait(lambda: not bed.leftovers())


def _wait(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
