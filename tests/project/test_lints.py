"""The project's own lints find what they are for, and find nothing in the project."""

import re

import pytest

from tests.project import lints, tree

SHIPPED = tree.ROOT / "penguin-agent/penguin_agent/example.py"
BAD = {
    "pickle": (SHIPPED, "import pickle"),
    "extract": (SHIPPED, "archive.extractall('/')"),
    "yaml": (SHIPPED, "yaml.load(text)"),
    "full yaml": (SHIPPED, "yaml.load(text, Loader=yaml.FullLoader)"),
    "shell": (SHIPPED, "subprocess.run('ls', shell=True)"),
    "system": (SHIPPED, "os.system('ls')"),
    "sign_file": (SHIPPED, "gpg.sign_file(data)"),
    "sign_file by name": (SHIPPED, "getattr(gpg, 'sign_file')(path)"),
    "text mode": (SHIPPED, "run(['gpg', '--textmode', '--detach-sign'])"),
    "clear text": (SHIPPED, "self.gpg.sign(text)"),
    "not detached": (SHIPPED, "gpg.sign(data, clearsign=False)"),
    "f-string": (SHIPPED, "log.info(f'device {name}')"),
    "percent": (SHIPPED, "self._log.info('device %s' % name)"),
    "variable": (SHIPPED, "log.error(str(problem))"),
    "too few values": (SHIPPED, "log.info('{} and {}', one)"),
    "print": (tree.ROOT / "penguinctl/nouns/device.py", "print(hostname)"),
    "echo": (tree.ROOT / "penguinctl/nouns/device.py", "click.echo(hostname)"),
    "random": (tree.ROOT / "proto/penguindome/tokens.py", "import random"),
    "cancel": (tree.ROOT / "penguind/services/agent.py", "task.cancel()"),
    "clock": (SHIPPED, "now = datetime.now(UTC)"),
    "loose task": (SHIPPED, "asyncio.create_task(work())"),
}
GOOD = {
    "safe yaml": (SHIPPED, "yaml.safe_load(text)"),
    "derived loader": (SHIPPED, "yaml.load(text, Loader=StrictLoader)"),
    "detached": (SHIPPED, "gpg.sign(data, clearsign=False, detach=True)"),
    "constant": (SHIPPED, "log.info('device {}', name)"),
    "named": (SHIPPED, "log.info('device {name}', name=name)"),
    "sink": (tree.ROOT / "penguinctl/ui.py", "print(line)"),
    "jitter": (tree.ROOT / "penguin-agent/penguin_agent/collect/schedule.py", "import random"),
}

# Lints whose exceptions a reader must be able to judge.
UNEXPLAINED = re.compile(r"# noqa: .*\b(?:BLE|S|PLC|PLR|C9|T20)\d+\b(?!.* -- \S)|# noqa(?!:)")


@pytest.mark.parametrize("case", BAD)
def test_breach_is_found(case):
    assert list(lints.complaints(*BAD[case]))


@pytest.mark.parametrize("case", GOOD)
def test_good_code_is_left_alone(case):
    assert list(lints.complaints(*GOOD[case])) == []


def test_the_project_keeps_its_own_rules():
    found = [
        complaint
        for path in tree.product_files()
        for complaint in lints.complaints(path, path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_exception_to_a_lint_has_a_reason():
    found = [
        f"{tree.name(path)}:{number}: {line.strip()}"
        for path in tree.product_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNEXPLAINED.search(line)
    ]
    assert found == []
