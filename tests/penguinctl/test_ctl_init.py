"""penguinctl init: from an invitation to a working operator."""

import secrets
import stat
import subprocess

import pytest

from penguindome import trust
from tests.harness.gpg_agents import gpg_agents
from tests.penguinctl.conftest import ENTRY


def hash_line(result):
    return next(word for word in result.err.split() if len(word) == 64)


def test_first_admin_makes_and_publishes_trust_and_is_told_the_threshold(fresh, ctl):
    result = ctl("init", stdin=fresh.invitation())
    assert result.code == 0, result.err
    assert "ready: alice at 127.0.0.1" in result.out
    assert "One stolen root key is enough" in result.err
    assert "enrolling every device again" in result.err
    document = trust.from_payload(fresh.state.trust[0].envelope.payload)
    assert document.fleet == fresh.fleet
    assert list(document.operators.values()) == ["alice"]
    assert hash_line(result) == trust.document_hash(fresh.state.trust[0].envelope.payload).hex()


def test_invitation_may_come_from_a_file(fresh, ctl):
    path = ctl.home / "invitation.txt"
    path.write_text(fresh.invitation() + "\n")
    assert ctl("init", "--invitation-file", str(path)).code == 0


@pytest.mark.parametrize("option", [[], ["--invitation-file"]])
def test_invitation_on_the_command_line_is_refused_and_not_repeated(fresh, ctl, option):
    line = fresh.invitation()
    result = ctl("init", *option, line)
    assert (result.code, fresh.calls) == (2, [])
    assert "counts as exposed" in result.err
    assert line not in result.err


def test_profile_is_private(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    # gpg makes the public key ring for others to read; its folder lets nobody in.
    for path in [ctl.profile, *ctl.profile.glob("*"), *ctl.profile.glob("trust/*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("prepared", [True, False])
def test_no_gpg_agent_is_left_behind(fresh, ctl, prepared):
    home = ctl.home / "keys"
    if prepared:
        home.mkdir(mode=0o700)
    assert ctl("init", stdin=fresh.invitation()).code == 0
    assert ctl("--config-dir", str(ctl.home / "b"), "init", "--gpg-home", str(home),
               stdin=fresh.invitation(trust_hash=pinned(fresh))).code == 0  # fmt: skip
    assert gpg_agents(ctl.home) == []


def pinned(simulator):
    return trust.document_hash(simulator.state.trust[0].envelope.payload)


def test_made_key_never_expires_and_is_ed25519(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    home = ctl.profile / "gnupg"
    listed = subprocess.run(
        ["gpg", "--homedir", home, "--no-autostart", "--with-colons", "--list-keys"],
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    fields = next(line for line in listed.splitlines() if line.startswith("pub")).split(":")
    assert fields[3] == "22"
    assert fields[6] == ""


def test_without_passphrase_and_terminal_the_key_is_unprotected_and_that_is_said(fresh, ctl):
    result = ctl("init", stdin=fresh.invitation(), PENGUINCTL_PASSPHRASE_FILE="")
    assert result.code == 0, result.err
    assert "no passphrase" in result.err
    assert "--change-passphrase" in result.err


def own_key(folder, passphrase=""):
    folder.mkdir(mode=0o700)
    subprocess.run(
        ["gpg", "--homedir", folder, "--batch", "--pinentry-mode", "loopback", "--passphrase",
         passphrase, "--quick-gen-key", "alice <a@example.com>", "ed25519", "sign", "never"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    listed = subprocess.run(
        ["gpg", "--homedir", folder, "--with-colons", "--list-keys"],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
    words = listed.replace("\n", ":").split(":")
    return next(word for word in words if len(word) == 40)


@pytest.fixture
def keyring(home):
    folder = home / "own"
    yield folder
    subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True, timeout=20)


def test_operator_brings_a_key(fresh, ctl, keyring):
    fingerprint = own_key(keyring, "correct horse")
    ctl.passphrase.write_text("correct horse\n")
    arguments = ["init", "--gpg-key", fingerprint, "--gpg-home", str(keyring)]
    result = ctl(*arguments, stdin=fresh.invitation())
    assert result.code == 0, result.err
    document = trust.from_payload(fresh.state.trust[0].envelope.payload)
    assert list(document.keys) == [fingerprint]
    assert not (ctl.profile / "gnupg").exists()


def test_unknown_key_is_refused(fresh, ctl, keyring):
    own_key(keyring)
    arguments = ["init", "--gpg-key", "0" * 40, "--gpg-home", str(keyring)]
    result = ctl(*arguments, stdin=fresh.invitation())
    assert (result.code, "no such secret" in result.err) == (3, True)


@pytest.mark.parametrize("fingerprint", ["alice", "0123456789ABCDEF", "--output=x"])
def test_short_or_strange_fingerprint_is_refused(fresh, ctl, fingerprint):
    result = ctl("init", "--gpg-key", fingerprint, stdin=fresh.invitation())
    assert result.code == 2


def test_second_operator_verifies_trust_against_the_invitation(fresh, ctl):
    first = ctl("init", stdin=fresh.invitation())
    pinned = bytes.fromhex(hash_line(first))
    line = fresh.invitation("bob", ("operator",), trust_hash=pinned)
    result = ctl("--config-dir", str(ctl.home / "bob"), "init", stdin=line)
    assert result.code == 0, result.err
    assert hash_line(result) == pinned.hex()
    assert "until a root operator adds it" in result.err
    assert (ctl.home / "bob" / "trust" / "1.json").exists()


def test_wrong_trust_hash_is_refused_with_7(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    line = fresh.invitation("bob", ("operator",), trust_hash=secrets.token_bytes(32))
    result = ctl("--config-dir", str(ctl.home / "bob"), "init", stdin=line)
    assert result.code == 7
    assert "pinned" in result.err
    assert not (ctl.home / "bob" / "trust").exists()


def test_invitation_older_than_the_trust_document_needs_a_hash_from_an_operator(fresh, ctl):
    line = fresh.invitation("bob", ("operator",))
    pinned = hash_line(ctl("init", stdin=fresh.invitation()))
    bob = ["--config-dir", str(ctl.home / "bob"), "init"]
    result = ctl(*bob, stdin=line)
    assert (result.code, "--trust-hash" in result.err) == (6, True)
    again = ctl(*bob, "--trust-hash", pinned, stdin=line)
    assert again.code == 0, again.err


def test_viewer_cannot_found_a_fleet_but_gets_ready(fresh, ctl):
    result = ctl("init", stdin=fresh.invitation(roles=("viewer",)))
    assert result.code == 0
    assert "no trust document yet" in result.err
    assert fresh.state.trust == []


@pytest.mark.parametrize("lost", ["RedeemInvitation", "GetSelf", "GetTrust", "PublishTrust"])
def test_interrupted_anywhere_a_second_run_finishes(fresh, ctl, lost):
    fresh.lose_answer_of = {lost}
    line = fresh.invitation()
    assert ctl("init", stdin=line).code == 5
    result = ctl("init", stdin=line)
    assert result.code == 0, result.err
    assert len(fresh.state.trust) == 1
    assert ctl("token", "create").code == 0


@pytest.mark.parametrize("method", ["RedeemInvitation", "GetTrust", "PublishTrust"])
def test_killed_anywhere_a_second_run_finishes(fresh, ctl, method):
    line = fresh.invitation()
    arrived, released = fresh.hold(method)
    with subprocess.Popen(
        [ENTRY, "init"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ctl.environment()
    ) as process:
        process.stdin.write(f"{line}\n".encode())
        process.stdin.close()
        assert arrived.wait(20)
        process.kill()
        process.wait(10)
    released.set()
    result = ctl("init", stdin=line)
    assert result.code == 0, result.err
    assert len(fresh.state.trust) == 1
    assert ctl("token", "create").code == 0


def test_running_again_when_all_is_done_is_harmless(fresh, ctl):
    line = fresh.invitation()
    ctl("init", stdin=line)
    before = (ctl.profile / "certificate.pem").read_bytes()
    assert ctl("init", stdin=line).code == 0
    assert ctl("init").code == 0
    assert (ctl.profile / "certificate.pem").read_bytes() == before
    assert len(fresh.requests("RedeemInvitation")) == 1


def test_new_invitation_brings_a_new_key(fresh, ctl):
    fresh.certificate_days = -0.5
    ctl("init", stdin=fresh.invitation(roles=("viewer",)))
    before = (ctl.profile / "key.pem").read_bytes()
    fresh.certificate_days = 10
    assert ctl("init", stdin=fresh.invitation(roles=("viewer",))).code == 0
    assert (ctl.profile / "key.pem").read_bytes() != before
    assert not {"next-key.pem", "request.der"} & {path.name for path in ctl.profile.iterdir()}
    assert ctl("device", "list").code == 0


def test_refused_invitation_leaves_the_profile_usable(fresh, ctl):
    ctl("init", stdin=fresh.invitation(roles=("viewer",)))
    line = fresh.invitation()
    fresh.invitations.clear()
    assert ctl("init", stdin=line).code == 4
    assert ctl("device", "list").code == 0


def test_profile_of_another_fleet_is_kept_apart(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    line = fresh.invitation(fleet="0" * 31 + "1")
    result = ctl("init", stdin=line)
    assert (result.code, "--profile NAME" in result.err) == (6, True)


def test_certificate_for_another_key_is_refused(fresh, ctl):
    from penguindome import keys  # noqa: PLC0415
    from penguindome.csr import make_csr  # noqa: PLC0415

    other = make_csr(keys.generate_key())
    real = fresh.operator_certificate
    fresh.operator_certificate = lambda name, csr: real(name, other)
    result = ctl("init", stdin=fresh.invitation())
    assert (result.code, "another key" in result.err) == (7, True)
    assert not (ctl.profile / "profile.toml").exists()


def test_answer_that_is_no_certificate_is_refused(fresh, ctl):
    fresh.operator_certificate = lambda name, csr: b"-----BEGIN nonsense"
    result = ctl("init", stdin=fresh.invitation())
    assert (result.code, "sent no certificate" in result.err) == (7, True)


def test_too_long_gpg_home_names_the_option(fresh, ctl):
    result = ctl("init", "--gpg-home", str(ctl.home / ("x" * 90)), stdin=fresh.invitation())
    assert (result.code, "--gpg-home" in result.err) == (6, True)


def test_wrong_passphrase_signs_nothing(fresh, ctl):
    ctl.passphrase.write_text("correct horse\n")
    ctl("init", stdin=fresh.invitation(roles=("viewer",)))
    ctl.passphrase.write_text("wrong\n")
    fresh.state.roles = ("admin",)
    result = ctl("init")
    assert (result.code, fresh.state.trust) == (6, [])
    assert "did not sign" in result.err


def test_profile_names_no_secret(fresh, ctl):
    ctl.passphrase.write_text("correct horse\n")
    ctl("init", stdin=fresh.invitation())
    text = (ctl.profile / "profile.toml").read_text()
    assert "correct horse" not in text
