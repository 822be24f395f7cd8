"""The life of the trust document, through the installed command."""

import json

from tests.penguindome.signing import gpg_home


def live(alice, passphrase, both):
    """Renew it, let an operator sign and take that back; return the newest version."""
    assert both(alice, "trust", "show")["version"] == 1
    assert "1 of alice" in alice.run("trust", "show")
    renewed = both(alice, "trust", "renew", "--passphrase-file", passphrase)
    assert renewed["version"] == 2
    assert both(alice, "trust", "show")["version"] == 3
    signed = ("--yes", "--passphrase-file", passphrase)
    with gpg_home() as home:
        (passphrase.parent / "carol.gpg").write_bytes(home.export(home.make("carol")))
    key = ("--key-file", passphrase.parent / "carol.gpg")
    for spelling in ("-o", "--output"):
        added = json.loads(alice.run("trust", "add", "carol", *key, *signed, spelling, "json"))
        assert {one["name"] for one in added["operators"]} == {"alice", "carol"}
        removed = json.loads(alice.run("trust", "remove", "carol", *signed, spelling, "json"))
        assert {one["name"] for one in removed["operators"]} == {"alice"}
    return removed


def proposals(alice, passphrase, both):
    """Propose every kind of change, sign and withdraw, and come back to alice alone."""
    signed = ("--yes", "--passphrase-file", passphrase)
    propose = ("trust", "propose", *signed)
    with gpg_home() as home:
        made = {name: home.make(name) for name in ("carol", "dora")}
        files = {name: passphrase.parent / f"{name}.gpg" for name in made}
        for name, path in files.items():
            path.write_bytes(home.export(made[name]))
        first = alice.json(*propose, "--add", f"carol={files['carol']}", "--recommended")
        assert first["proposal"]["complete"] is True
        assert "already" in alice.run(*propose, "--renew", status=6)
        again = both(alice, *propose, "--renew", "--replace")["proposal"]
        assert (again["complete"], again["signed_by"]) == (True, ["alice"])
        shown = alice.json("trust", "show")["proposal"]["hash"]
        held = ("trust", "sign", *signed, "--hash", shown)
        assert both(alice, *held)["proposal"]["hash"] == shown
        for spelling in ("-o", "--output"):
            words = ("trust", "withdraw", "--reason", "a mistake", spelling, "json")
            assert json.loads(alice.run(*words))["state"] == "withdrawn"
            alice.run(*propose, "--add", f"carol={files['carol']}", "--replace")
        published = json.loads(alice.run("trust", "publish", "-o", "json"))
        assert {one["name"] for one in published["operators"]} == {"alice", "carol"}
        changes = ("--replace-key", f"carol={files['dora']}", "--void-before-now")
        changes += ("--threshold", "command=2", "--deny", "shell=carol")
        assert alice.json(*propose, *changes)["proposal"]["complete"] is True
        published = json.loads(alice.run("trust", "publish", "--output", "json"))
        assert published["roles"]["shell"]["operators"] == ["alice"]
        assert published["void_before_time"] > published["issued_time"]
        changes = ("--grant", "shell=carol", "--remove", "carol", "--threshold", "command=1")
        alice.run(*propose, *changes)
        assert "is signed and published" in alice.run("trust", "publish")
    history = both(alice, "trust", "history")["versions"]
    assert any(line.startswith("VOID") for line in history[1]["changes"])
    assert "Signed by: alice" in alice.run("trust", "history")
