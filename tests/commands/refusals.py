"""What every first error owes a newcomer: what, why, what to do; short; the right exit status."""

import os
import subprocess

from tests.harness.process import BIN
from tests.harness.server import NOBODY


def refused(done: subprocess.CompletedProcess, status: int, *words: str) -> str:
    """Check how a program refused, and return what it said."""
    said = done.stderr.strip()
    assert done.returncode == status, f"{done.returncode}: {done.stdout}{said}"
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 3, said
    assert "—" in said, f"no remedy: {said}"
    assert len(said) < 400, said
    for word in words:
        assert word in said
    return said


def as_a_user(program: str, *words: object, **more: str) -> subprocess.CompletedProcess:
    """Run a program as somebody who is not root, with what an ordinary environment holds."""
    # Reading is allowed, as a checkout may lie in a closed folder.
    drop = (
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
    )
    line = [*(drop if os.geteuid() == 0 else ()), BIN / program, *words]
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    return subprocess.run(
        [str(word) for word in line],
        env=environment | more,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        cwd="/",
    )
