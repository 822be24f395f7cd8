"""Every RPC says who may call it, and the server's access table agrees."""

import re

from penguind import access
from tests.project import tree

FOLDER = tree.ROOT / "proto/penguindome/v1"
CALLERS = {"agent": "device", "operator": "operator", "applicant": "applicant"}


def callers():
    """Return who may call each method, by its full name, as the .proto comments say."""
    found = {}
    for path in FOLDER.glob("*.proto"):
        service, caller = "", ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"service (\w+)", line):
                service = match[1]
            elif match := re.match(r"\s+// .*\bCaller: (\w+)$", line):
                caller = match[1]
            elif match := re.match(r"\s+rpc (\w+)\(", line):
                found[f"/penguindome.v1.{service}/{match[1]}"] = caller
                caller = ""
    return found


def test_every_rpc_says_who_calls_it():
    assert {name: caller for name, caller in callers().items() if caller not in CALLERS} == {}


def test_access_table_says_the_same():
    ours = {name: row for name, row in access.ACCESS.items() if name.startswith("/penguindome.")}
    assert {name: row.kinds for name, row in ours.items()} == {
        name: {CALLERS[caller]} for name, caller in callers().items()
    }
