"""Shipped checks on what the plugins print about recorded machines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from penguind.check_loader import shipped_checks
from tests.harness.judging import judging

STATES = Path(__file__).parents[1] / "plugins"
NA = "not-applicable"


def recorded(plugin: str) -> dict[str, object]:
    """Return expected outputs by the name of the machine."""
    files = sorted((STATES / plugin).glob("*/expected.json"))
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in files}


def passwords(output) -> str:
    """Judge by the plugin's own summary instead of by sshd's keywords."""
    if output["status"] != "running":
        return NA
    return {True: "fail", False: "pass", None: "unknown"}[output.get("passwords")]


def firewall(output) -> str:
    return {"on": "pass", "off": "fail", "unknown": "unknown"}[output["status"]]


def disks(output) -> str:
    if not isinstance(output, list):
        return "unknown"
    found = [one["encrypted"] for one in output]
    if False in found or not found:
        return "fail"
    return "unknown" if "unknown" in found else "pass"


CASES = [
    ("sshd", "ssh-password-authentication", passwords),
    ("firewall", "firewall-disabled", firewall),
    ("hd_encryption", "unencrypted-hard-drive", disks),
]


@pytest.mark.parametrize(("plugin", "check", "judge"), CASES)
def test_check_agrees_with_the_plugin(mongo_uri, plugin, check, judge):
    outputs = recorded(plugin)
    assert outputs

    async def run() -> dict[str, str]:
        async with judging(mongo_uri) as bench:
            for name, output in outputs.items():
                await bench.add(f"d-{name}", {plugin: output})
            rules = [shipped_checks()[check]]
            ids = [f"d-{name}" for name in outputs]
            judged = await bench.queries.judge(rules, ids, bench.now)
            return {one.hostname: str(one.verdicts[check]) for one in judged}

    expected = {name: judge(output) for name, output in outputs.items()}
    assert asyncio.run(run()) == expected
    assert {"pass", "fail"} <= set(expected.values())


def test_documentation_lists_every_shipped_check():
    text = (Path(__file__).parents[2] / "docs/checks.md").read_text("utf-8")
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    for name, check in shipped_checks().items():
        row = next(line for line in rows.splitlines() if f"`{name}`" in line)
        assert check.severity in row
