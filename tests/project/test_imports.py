"""Importing a module does nothing: no file written, no socket, no child, no thread."""

import json
import subprocess
import sys

import pytest

from tests.project import tree

PROBE = """
import importlib, json, os, sys, threading
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
sys.dont_write_bytecode = True
done = []
WATCHED = {
    "socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.exec", "os.fork",
    "os.mkdir", "os.remove", "os.rename", "os.chmod", "os.kill", "shutil.rmtree",
}
importing = None
def hook(event, args):
    if importing is None:
        return
    if event in WATCHED:
        done.append(f"{importing}: {event} {args!r}")
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        done.append(f"{importing}: writes {args[0]!r}")
for ours in sys.argv[2:]:
    importlib.import_module(ours)
sys.addaudithook(hook)
before = dict(os.environ)
for name in sys.argv[1].split(","):
    importing = name
    importlib.import_module(name)
importing = None
changed = sorted(k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k))
allowed = {"GRPC_ENABLE_FORK_SUPPORT", "GRPC_VERBOSITY"}
print(json.dumps({"done": done, "env": sorted(set(changed) - allowed),
                  "threads": [t.name for t in threading.enumerate()]}))
"""
LIBRARIES = ("uuid", "grpc", "grpc.aio", "google.protobuf", "cryptography.x509", "pymongo", "gnupg")


@pytest.mark.parametrize("program", tree.PROGRAMS)
def test_import_does_nothing(program):
    ours = [name for name in tree.modules() if name.split(".")[0] == program]
    ours = [name for name in ours if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join(ours), *LIBRARIES],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert said == {"done": [], "env": [], "threads": ["MainThread"]}
