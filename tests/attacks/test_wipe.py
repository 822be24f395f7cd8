"""Wipes that nobody may order, and homes that must not be wiped: the device's side of it.

The machines that are attacked are disposable ones. What the agent refuses before it acts is not
asked here: every order is put right before the process that wipes, which trusts nobody either.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from penguindome.envelope import Envelope
from penguindome.envelope_json import to_json
from penguindome.orders.bodies import WipeBody
from tests.harness.disposable import HOSTNAME
from tests.harness.doomed import DEVICE_ID, PEOPLE, STATE, Doomed
from tests.penguindome.signing import Fleet, gpg_home

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
OTHER = "d-qrstuvwxyz234567"


@pytest.fixture(scope="module")
def signers():
    with gpg_home() as home:
        yield Fleet(home)


@pytest.fixture
def machine(signers):
    with Doomed(signers) as one:
        one.shell(PEOPLE)
        yield one


def put_and_begin(machine, envelope):
    """Put an order where the agent would, and run the process that wipes; return its result."""
    machine.put(f"{STATE}/wipe/{machine.order_id}/order.json", to_json(envelope))
    machine.job("").chmod(0o700)
    machine.job("seen").touch()
    done = machine.try_run(*machine.entry_words())
    result = machine.job("result.json")
    return json.loads(result.read_text()) if result.exists() else done.stderr


def untouched(before, machine):
    """Tell whether nothing but the wipe's own folder changed."""
    after = machine.listing()
    new = {path for path in after if before.get(path) != after[path]}
    return not before.keys() - after.keys() and all(p.startswith(f"{STATE}/wipe") for p in new)


def times(now, begin_days, lifetime_days):
    """Return the times of an order."""
    begin = now + timedelta(days=begin_days)
    end = begin + timedelta(days=lifetime_days)
    return {"issued_time": begin, "not_before_time": begin, "expires_time": end}


def body(hostname=HOSTNAME, confirmation=f"{DEVICE_ID} {HOSTNAME}", devices=(DEVICE_ID,)):
    return WipeBody(dict.fromkeys(devices, hostname), "erase-homes", confirmation, False).to_json()


def test_a_wipe_that_two_signed_for_this_device_is_carried_out(machine):
    result = put_and_begin(machine, machine.ordered("erase-homes"))
    assert result["state"] == "succeeded"
    assert not machine.path("/home/alice").exists()


@pytest.mark.parametrize(
    ("by", "changes", "code"),
    [
        (("alice",), {}, "not-signed"),
        (("mallory", "carol"), {}, "not-signed"),
        (("alice", "alice"), {}, "not-signed"),
        (
            (),
            {"devices": [DEVICE_ID, OTHER], "body": body(devices=(DEVICE_ID, OTHER))},
            "bad-payload",
        ),
        ((), {"devices": [OTHER], "body": body(devices=(OTHER,))}, "wrong-device"),
        ((), {"devices": None}, "wrong-targets"),
        ((), {"body": body(confirmation="")}, "unconfirmed"),
        ((), {"body": body(confirmation=DEVICE_ID)}, "unconfirmed"),
        ((), {"body": body(confirmation=f"{DEVICE_ID}  {HOSTNAME}")}, "unconfirmed"),
        ((), {"body": body(confirmation=f"{DEVICE_ID} {HOSTNAME.upper()}")}, "unconfirmed"),
        ((), {"body": body("other", f"{DEVICE_ID} other")}, "hostname-differs"),
        ((), {"fleet": "0" * 32}, "wrong-fleet"),
        ((), {"when": (-20, 1)}, "expired"),
        ((), {"when": (20, 1)}, "not-yet-valid"),
        ((), {"when": (0, 31)}, "too-long"),
    ],
)
def test_a_wipe_that_is_not_right_in_every_part_is_refused(machine, by, changes, code):
    others = {name: value for name, value in changes.items() if name != "when"}
    when = times(machine.fleet.now, *changes.get("when", (0, 1)))
    envelope = machine.ordered("erase-homes", "wipe", *by, **when, **others)
    before = machine.listing()
    result = put_and_begin(machine, envelope)
    assert result["state"] == "failed"
    assert result["code"] == code
    assert untouched(before, machine)


@pytest.mark.parametrize("kind", ["command", "wipe-plan", "cancel-wipe", "release"])
def test_signatures_for_another_kind_are_none_for_a_wipe(machine, kind):
    envelope = machine.ordered("erase-homes", kind)
    forged = Envelope("wipe", envelope.payload, envelope.signatures)
    before = machine.listing()
    assert put_and_begin(machine, forged)["code"] == "not-signed"
    assert untouched(before, machine)


def test_a_dry_run_that_two_signed_is_still_a_dry_run(machine):
    envelope = machine.ordered("crypto-erase", "wipe-plan")
    before = machine.listing()
    assert put_and_begin(machine, envelope)["state"] == "succeeded"
    assert untouched(before, machine)


def test_an_order_that_is_put_back_under_its_or_another_name_wipes_nothing(machine):
    put_and_begin(machine, machine.ordered("erase-homes"))
    machine.shell(PEOPLE)
    before = machine.listing()
    assert machine.try_run(*machine.entry_words()).stderr.endswith("was begun before\n")
    first, order = machine.order_id, machine.job("order.json").read_bytes()
    machine.order_id = first[:-1] + ("0" if first[-1] != "0" else "1")
    machine.put(f"{STATE}/wipe/{machine.order_id}/order.json", order)
    machine.job("").chmod(0o700)
    machine.try_run(*machine.entry_words())
    assert json.loads(machine.job("result.json").read_text())["code"] == "wrong-targets"
    assert untouched(before, machine)


def test_an_order_in_a_folder_that_others_can_write_wipes_nothing(machine):
    envelope = machine.ordered("erase-homes")
    before = machine.listing()
    machine.put(f"{STATE}/wipe/{machine.order_id}/order.json", to_json(envelope), 0o666)
    assert machine.try_run(*machine.entry_words()).returncode == 1
    machine.job("order.json").chmod(0o600)
    machine.job("").chmod(0o777)
    assert machine.try_run(*machine.entry_words()).returncode == 1
    assert not machine.job("begun").exists()
    assert untouched(before, machine)


@pytest.mark.parametrize("words", [[], [STATE], [STATE, ".."], [STATE, "../../../etc"], ["/", "x"]])
def test_the_process_that_wipes_does_nothing_without_an_order(machine, words):
    before = machine.listing()
    entry = machine.entry_words()[:-2]
    assert machine.try_run(*entry, *words).returncode == 1
    assert untouched(before, machine)


EVIL = {
    "home-is-root": "useradd --uid 1100 --home-dir / evil",
    "home-is-root-by-dots": "useradd --uid 1100 --home-dir /home/../ evil",
    "home-is-the-folder-of-homes": "useradd --uid 1100 --home-dir /home evil; chown evil: /home",
    "home-is-a-link-to-root": "useradd --uid 1100 --home-dir /home/evil evil; ln -s / /home/evil",
    "home-is-a-link-to-etc": "useradd --uid 1100 --home-dir /home/evil evil; ln -s /etc /home/evil",
    "home-is-beneath-a-link": (
        "mkdir /srv; useradd --uid 1100 --home-dir /home/link/evil evil;"
        "ln -s /srv /home/link; mkdir /srv/evil; touch /srv/evil/file; chown -R evil: /srv/evil"
    ),
    "home-is-somebody-elses": "useradd --uid 1100 --home-dir /home/bob evil",
    "home-is-etc": "useradd --uid 1100 --home-dir /etc evil",
    "etc-is-bound-over-the-home": (
        "useradd --uid 1100 --create-home evil; mount --bind /etc /home/evil"
    ),
    "root-is-bound-over-the-home": (
        "useradd --uid 1100 --create-home evil; mount --bind / /home/evil; chown evil: /"
    ),
    "uid-is-nobodys": (
        "echo evil:x:65534:65534::/home/evil:/bin/sh >> /etc/passwd;"
        "mkdir /home/evil; touch /home/evil/file; chown -R 65534 /home/evil"
    ),
    "uid-is-roots": (
        "echo evil:x:0:0::/home/evil:/bin/sh >> /etc/passwd; mkdir /home/evil; touch /home/evil/f"
    ),
    "uid-min-is-zero": "sed -i 's/^UID_MIN.*/UID_MIN 0/' /etc/login.defs",
    "homes-are-in-root": "echo HOME=/ > /etc/default/useradd",
    "homes-are-in-etc": "echo HOME=/etc > /etc/default/useradd",
    "container-uids-are-everybodys": "echo alice:0:4294967295 > /etc/subuid",
}


@pytest.mark.parametrize("trap", EVIL)
def test_nothing_but_what_the_dry_run_listed_goes(machine, trap):
    machine.shell(EVIL[trap])
    plan = put_and_begin(machine, machine.ordered("erase-homes", "wipe-plan"))["details"]["plan"]
    # alice's and bob's own homes are right, whatever else is set up.
    assert {one["path"] for one in plan["homes"]} == {"/home/alice", "/home/bob"}
    before = machine.listing()
    result = put_and_begin(machine, machine.ordered("erase-homes"))
    after = machine.listing()
    homes = ("/home/alice", "/home/bob")
    gone = {path for path in before if path not in after}
    beneath = {path for path in before if path.startswith(tuple(f"{one}/" for one in homes))}
    # A root that is bound into a home shows every file twice.
    twice = {f"/home/evil{path}" for path in (*beneath, *homes)}
    assert gone - twice == beneath | set(homes)
    assert result["details"]["plan"]["homes"] == plan["homes"]
    assert machine.run("id", "-u").strip() == "0"
