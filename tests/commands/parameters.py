"""The life of parameters, through the installed command."""


def live(fleet, alice, device, both):
    """Set, list and unset parameters of a device and of one that is deleted meanwhile."""
    assert alice.run("param", "list") == ""
    words = ("param", "set", device, "user_email", "ann@example.com")
    assert both(alice, *words)["changed"] is True
    assert alice.run(*words) == "No changes.\n"
    agent = fleet.device(plugins=fleet.plugins(nothing="#!/bin/sh\necho {}\n"))
    agent.enroll(alice.token())
    other = agent.device_id()
    linked = alice.json("param", "set", device, "user_clients", other)["parameters"]
    values = {one["device_id"]: one["values"] for one in linked}
    assert values == {device: [other], other: [device]}
    assert len(both(alice, "param", "list", "--name", "user_clients")["parameters"]) == 2
    alice.run("device", "revoke", other, "--yes")
    alice.run("device", "delete", other, "--yes")
    (left,) = alice.json("param", "list", f"id:{other}")["parameters"]
    assert (left["device_deleted"], left["values"]) == (True, [device])
    assert both(alice, "param", "unset", other, "user_clients")["changed"] is True
    listed = alice.json("param", "list", "--sort", "name")["parameters"]
    assert [(one["device_id"], one["name"]) for one in listed] == [(device, "user_email")]
    assert alice.json("device", "show", device)["device"]["user_email"] == "ann@example.com"
    alice.run("param", "unset", device, "user_email")
