"""Run pytest with every database on a three-node replica set instead of a mongod of our own.

Run: python -m tests.harness.on_replica_set [PYTEST-ARGUMENT]...
Without arguments: the suites of the store and of the stories.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.harness.replica_set import ReplicaSet

SUITES = ("tests/penguind", "tests/stories")


def main() -> int:
    """Return pytest's exit status."""
    arguments = sys.argv[1:] or ["-m", "not root", *SUITES]
    with ReplicaSet() as replica_set:
        environment = {**os.environ, "PENGUIND_TEST_URI": replica_set.uri}
        words = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(words, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
