"""docs/penguinctl.md tells the truth."""

import json
import pathlib
import re

import click
import pytest

from penguinctl import exits
from penguinctl.cli import cli
from tests.penguinctl import sample_overview, samples

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "penguinctl.md").read_text()
SECTION = re.compile(r"^### penguinctl ([a-z ]+)\n.*?```json\n(.*?)```", re.MULTILINE | re.DOTALL)
SHAPES = {name: json.loads(text) for name, text in SECTION.findall(PAGE)}
ARGUMENTS = {
    "token revoke": ["0123456789abcdef"],
    "device show": ["web-1"],
    "device approve": ["new-1", "--yes"],
    "device list": ["web-1"],
    "device label": ["web-1", "--add", "x"],
    "device collect": ["web-1"],
    "device block": ["web-1", "--reason", "lost"],
    "operator invite": ["bob", "--role", "viewer"],
    "operator role": ["bob", "--add", "auditor"],
    "operator ranges": ["admin"],
    "operator revoke": ["bob"],
    "issue show": [samples.ISSUE],
    "issue open": ["web-1", "--name", "fan"],
    "issue close": ["--all"],
    "issue snooze": ["--all"],
    "issue unsnooze": ["--all"],
    "issue suspend": ["web-1"],
    "issue unsuspend": ["web-1"],
    "alert test": ["mail"],
    "check show": ["firewall-disabled"],
    "param set": ["web-1", "user_email", "bob@example.com"],
    "param unset": ["web-1", "user_email"],
    "profile use": ["default"],
    "trust propose": ["--renew", "--yes"],
    "trust withdraw": ["--reason", "a mistake"],
    "run": ["web-1"],
    "command output": [samples.ORDER],
    "command cancel": [samples.ORDER],
    "wipe status": ["web-1"],
    "order show": [samples.ORDER],
    "release sign": ["{home}/tree.release", "--yes"],
    "release diff": ["{home}/other", "1"],
    "patch cancel": ["plugins/mood", "--yes"],
}
AFTERWARDS = {"run": ["--", "x"]}
# Said once for all commands.
COMMON = {"--output", "--columns", "--sort", "--watch"}
# The page shows only what these add to another shape, or keys that are data.
PARTIAL = {
    "release show",
    "patch list",
    "issue show",
    "issue open",
    "server status",
    "trust propose",
}


def leaves():
    root = click.Context(cli)
    for noun in cli.list_commands(root):
        command = cli.get_command(root, noun)
        if isinstance(command, click.Group):
            yield from ((f"{noun} {verb}", leaf) for verb, leaf in command.commands.items())
        else:
            yield noun, command


@pytest.mark.parametrize(("name", "command"), list(leaves()))
def test_every_command_and_option_is_described(name, command):
    if name == "init":
        text = PAGE.partition("## Becoming")[2].partition("## Naming")[0]
    else:
        text = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            told = PAGE if COMMON & set(parameter.opts) else text
            assert f"`{parameter.opts[0]}" in told


def test_no_option_is_described_that_does_not_exist():
    known = {option for _, leaf in leaves() for p in leaf.params for option in p.opts}
    known |= {option for _, leaf in leaves() for p in leaf.params for option in p.secondary_opts}
    known |= {option for parameter in cli.params for option in parameter.opts} | {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known


def same_keys(shown, real, *, exact):
    """Compare keys all the way down; an empty object on the page stands for anything."""
    if isinstance(shown, dict) and shown:
        assert set(shown) <= set(real)
        assert not exact or set(shown) == set(real)
        for key, value in shown.items():
            same_keys(value, real[key], exact=exact)
    if isinstance(shown, list) and shown:
        same_keys(shown[0], real[0], exact=exact)


def overview_of_the_page():
    """Return a fleet with the systems and versions that the page names, which are keys there."""
    seen = sample_overview.large()
    for name in ("operating_systems", "agent_versions"):
        getattr(seen, name).clear()
        getattr(seen, name).update(SHAPES["overview"][name])
    return seen


@pytest.fixture
def trust_stays(simulator, operator):
    """Take back what a test published, as other tests share the fleet."""
    documents, folder = list(simulator.state.trust), operator.profile / "trust"
    held = {path.name for path in folder.iterdir()}
    yield
    simulator.state.trust[:] = documents
    for path in folder.iterdir():
        if path.name not in held:
            path.unlink()


def publish(operator):
    """Publish a release in two rings, of a folder; a file of it and another folder lie beside."""
    for folder, plugin in (("tree", "mood"), ("other", "taste")):
        place = operator.home / folder / "plugins" / plugin
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\necho '{}'\n")
        place.chmod(0o755)
    tree, file = operator.home / "tree", operator.home / "tree.release"
    assert operator("release", "build", str(tree), "-o", str(file)).code == 0
    done = operator("release", "publish", str(tree), "--ring", "canary=label:canary", "--yes")
    assert done.code == 0, done.err


@pytest.mark.usefixtures("trust_stays")
@pytest.mark.parametrize("name", SHAPES)
def test_shape_of_json(simulator, operator, name):
    samples.fill(simulator.state)
    simulator.state.devices[4].same_hardware.append(samples.DB)
    simulator.state.held_back = {"grace": 2}
    simulator.state.issues[0].snoozed_until_unix_ms = samples.NOW_MS + samples.HOUR_MS
    simulator.state.overview = overview_of_the_page()
    if name in {"trust show", "trust addresses"}:
        # Until an operator signs some, there are none.
        assert operator("trust", "addresses", "--set", "penguin.example:7443,7444").code == 0
    if name == "trust withdraw":
        assert operator("trust", "propose", "--renew", "--yes").code == 0
    simulator.orders.fill()
    if name.startswith("release "):
        publish(operator)
    if name.startswith("patch "):
        # It waits, as this device is not connected.
        assert operator("patch", "rm", "plugins/mood", "db-1", "--yes").code == 0
    given = [word.format(home=operator.home) for word in ARGUMENTS.get(name, [])]
    words = [*name.split(), *given, "-o", "json", *AFTERWARDS.get(name, [])]
    result = operator(*words)
    assert result.out, result.err
    same_keys(SHAPES[name], json.loads(result.out), exact=name not in PARTIAL)


def test_server_status_has_all_fields(simulator, operator):
    real = json.loads(operator("server", "status", "-o", "json").out)
    assert set(SHAPES["server status"]) == set(real)
    assert set(SHAPES["server status"]["self"]) == set(real["self"])


def test_exit_codes_are_those_of_the_code():
    told = {int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    real = {value for name, value in vars(exits).items() if name.isupper() and type(value) is int}
    assert told == real
