"""Every command and option that keeps people from being told of issues, through the entry point."""

import json
import re


def live(alice, device, issue_id, both):
    """Keep people from being told, and look at what is held back."""
    wide = ("--ignore-grace-period", "--ignore-snoozed", "--ignore-suspended", "--ignore-filters")
    told = alice.json("issue", "audit", device, *wide, "--display-recent")["standing"]
    assert issue_id in {one["issue_id"] for one in told}
    assert "mail" in alice.run("issue", "audit", device, "--mail-users", status=6)
    words = ("--hours", "2", "--reason", "part is ordered")
    (snoozed,) = both(alice, "issue", "snooze", issue_id, *words)["snoozed"]
    assert (snoozed["quiet"], snoozed["snoozed_by"]) == ("", "alice")
    held = both(alice, "issue", "audit", device, "--no-display-recent")["held_back"]
    assert held["snoozed"] == 1
    assert re.search("  snoozed [12] h  ", alice.run("issue", "list", device))
    words = ("issue", "list", device, "--columns", "quiet,name", "--sort", "-quiet", "-o", "csv")
    assert "snoozed,firewall-disabled" in alice.run(*words).splitlines()
    assert "part is ordered" in alice.run("issue", "show", issue_id)
    words = ("--all", "--name", "firewall-*")
    later = alice.json("issue", "snooze", *words, "--days", "2")["snoozed"][0]
    sooner = alice.json("issue", "snooze", *words, "--until", "2060-01-01")["snoozed"][0]
    assert later["snoozed_until_time"] < sooner["snoozed_until_time"]
    assert alice.json("issue", "unsnooze", *words, "--reason", "came")["unsnoozed"]
    assert alice.json("issue", "unsnooze", "--all")["unsnoozed"] == []
    alice.run("issue", "snooze", *words)
    assert json.loads(alice.run("issue", "unsnooze", issue_id, "--output", "json"))["unsnoozed"]
    (one,) = both(alice, "issue", "suspend", device, "--reason", "on holiday")["devices"]
    assert alice.json("device", "show", device)["device"]["suspended"]
    assert "suspended" in alice.run("device", "list", device)
    assert both(alice, "issue", "unsuspend", device)["devices"][0]["device_id"] == one["device_id"]
    assert "Devices judged: 1;" in alice.run("issue", "audit", device, "--full", "--update-recent")
