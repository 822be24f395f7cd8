"""The life of an operator, through the installed command."""

import stat

from penguindome.tokens import decode_invitation


def live(fleet, alice, tmp_path, both):
    """Invite an operator, change and limit what they may, and revoke them."""
    words = ("operator", "invite", "dave", "--role", "viewer", "--role", "auditor", "--ttl", "90m")
    invited = both(alice, *words)
    line = decode_invitation(invited["invitation"])
    assert line.operator_name == "dave"
    assert line.trust_hash.hex() == alice.json("server", "status")["pinned_trust_hash"]
    path = tmp_path / "dave"
    assert alice.run(*words, "--invitation-file", path) == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = both(alice, "operator", "list")["operators"]
    assert [one["invited_by"] for one in listed if one["state"] == "invited"] == ["alice"]
    dave = fleet.operator("dave", path)
    assert dave.json("server", "status")["self"]["roles"] == ["auditor", "viewer"]
    changed = both(alice, "operator", "role", "dave", "--add", "shell", "--remove", "viewer")
    assert changed == {"name": "dave", "roles": ["auditor", "shell"]}
    assert "dave" in alice.run("operator", "list")
    words = ("operator", "list", "--columns", "name,roles", "--sort", "-name")
    assert [one["name"] for one in alice.json(*words)["operators"]][:2] == ["dave", "alice"]
    limit(alice, dave, both)
    words = ("operator", "role", "alice", "--remove", "admin", "--yes")
    assert "last admin" in alice.run(*words, status=6)
    alice.run("operator", "role", "alice", "--remove", "keeper", "--yes")
    # Nobody takes from themselves what they did not mean to.
    assert "Nothing was done" in alice.run("operator", "revoke", "alice", status=6)
    revoked = both(alice, "operator", "revoke", "dave", "--reason", "left", "--yes")
    assert revoked == {"name": "dave", "state": "revoked"}
    dave.run("server", "status", status=4)


def limit(alice, dave, both):
    """Let a role come from one network only, and from everywhere again."""
    limited = both(alice, "operator", "ranges", "auditor", "10.0.0.0/8", "--lock-out-self")
    assert limited["ranges"] == [{"role": "auditor", "networks": ["10.0.0.0/8"]}]
    assert "address" in dave.run("operator", "list", status=4)
    assert "10.0.0.0/8" in alice.run("operator", "ranges")
    words = ("operator", "ranges", "--columns", "role,networks.0", "--sort", "networks.0")
    assert alice.run(*words, "-o", "csv").splitlines()[1] == "auditor,10.0.0.0/8"
    refused = alice.run("operator", "ranges", "auditor", "10.0.0.1/8", status=2)
    assert "write 10.0.0.0/8" in refused
    alice.run("operator", "ranges", "auditor", "--clear")
    assert alice.json("operator", "ranges", "auditor")["ranges"][0]["networks"] == []
