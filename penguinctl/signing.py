"""Signing with the operator's own OpenPGP key, on the operator's own machine.

What is signed are bytes held in memory; each signature is verified again, as a device would do it,
before it goes anywhere. A key that penguinctl makes lives in a GnuPG home of its own.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguinctl import gpg_agent
from penguinctl.exits import NotVerified
from penguinctl.gpg_home import check_short, check_unlocked
from penguindome.envelope import Envelope, signed_bytes
from penguindome.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from penguindome.gpgv import verify_detached

if TYPE_CHECKING:
    import gnupg

    from penguinctl.profile import Profile

_FINGERPRINT = re.compile(r"[0-9A-F]{40}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An OpenPGP key and where it lives.

    Attributes:
        fingerprint: Of the primary key, 40 upper-case hexadecimal digits.
        home: Its GnuPG home; None for the operator's own.
        own_home: Whether penguinctl made that home.
        passphrase: Given by file for automation; None lets gpg's agent ask.
    """

    fingerprint: str
    home: Path | None
    own_home: bool
    passphrase: str | None = None


def read_passphrase(path: Path | None) -> str | None:
    """Return a passphrase file's first line; None without a file."""
    if path is None:
        return None
    return path.read_text().partition("\n")[0]


def own_key(profile: Profile, passphrase_file: Path | None) -> SigningKey:
    """Return the key that the profile names.

    Raises:
        PreconditionFailed: It names none.
    """
    if not profile.signing_key:
        raise PreconditionFailed(
            "you have no signing key yet",
            subject=profile.operator,
            code="no-signing-key",
            remedy="Run `penguinctl init` again, with --gpg-key for a key of your own",
        )
    passphrase = read_passphrase(passphrase_file)
    return SigningKey(profile.signing_key, _home_of(profile), profile.own_home, passphrase)


def get_ready(profile: Profile) -> None:
    """Begin to get gpg ready for somebody who is going to sign with the profile's key."""
    gpg_agent.get_ready(_home_of(profile), own_home=profile.own_home)


def _home_of(profile: Profile) -> Path | None:
    return Path(profile.gpg_home) if profile.gpg_home else None


def existing_key(text: str, home: Path | None, passphrase: str | None) -> SigningKey:
    """Return the operator's own key that a fingerprint names.

    Raises:
        InvalidInput: The text is no fingerprint.
        PreconditionFailed: The home's path is too long.
        NotFound: No such secret key is there.
    """
    fingerprint = text.replace(" ", "").upper().removeprefix("0X")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise InvalidInput(
            "this is not a full OpenPGP fingerprint",
            subject=text,
            remedy="Give the 40 digits that `gpg --list-secret-keys` shows",
        )
    check_short(home)
    key = SigningKey(fingerprint, home, own_home=False, passphrase=passphrase)
    with gpg_agent.opened(key.home, own_home=False) as gpg:
        known = {entry["fingerprint"] for entry in gpg.list_keys(secret=True)}
    if fingerprint not in known:
        raise NotFound(
            "there is no such secret primary key in the keyring",
            subject=fingerprint,
            remedy="Check `gpg --list-secret-keys`, or give its home with --gpg-home",
        )
    return key


def make_key(
    operator: str, fleet: str, home: Path, *, ours: bool, passphrase: str | None
) -> SigningKey:
    """Make an ed25519 key that never ends; the trust document says how long it counts.

    Args:
        operator: Whose key it is.
        fleet: For which fleet.
        home: A short path; made if missing.
        ours: Whether the home is penguinctl's even if it is there already.
        passphrase: None lets gpg's agent ask for one, an empty one leaves the key unprotected.

    Raises:
        PreconditionFailed: The home's path is too long, it is locked, or gpg made no key.
    """
    check_short(home, always=True)
    own_home = ours or not home.exists() or not any(home.iterdir())
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_unlocked(home)
    address = f"{operator}@{fleet[:8]}.invalid"
    with gpg_agent.opened(home, own_home=own_home) as gpg:
        # An interrupted run may have left its key.
        made = [
            entry["fingerprint"]
            for entry in gpg.list_keys(secret=True)
            if any(f"<{address}>" in uid for uid in entry["uids"])
        ]
        fingerprint = made[0] if made else _generate(gpg, operator, address, passphrase)
    return SigningKey(fingerprint, home, own_home, passphrase)


def _generate(gpg: gnupg.GPG, operator: str, address: str, passphrase: str | None) -> str:
    protection = {"passphrase": passphrase} if passphrase else {}
    form = gpg.gen_key_input(
        key_type="EDDSA",
        key_curve="ed25519",
        key_usage="sign",
        expire_date="0",
        name_real=operator,
        name_email=address,
        no_protection=passphrase == "",
        **protection,
    )
    made = gpg.gen_key(form)
    if not made.fingerprint:
        raise PreconditionFailed(
            "gpg made no key",
            code="no-key-made",
            remedy="Run again at a terminal, so that gpg can ask for a passphrase, or bring a key"
            " of your own with --gpg-key",
        )
    return str(made.fingerprint)


def public_key(key: SigningKey) -> bytes:
    """Return the key's minimal public part, binary."""
    with gpg_agent.opened(key.home, own_home=key.own_home) as gpg:
        return _public_part(gpg, key)


def _public_part(gpg: gnupg.GPG, key: SigningKey) -> bytes:
    data: Any = gpg.export_keys(key.fingerprint, armor=False, minimal=True)
    if not data:
        raise NotFound("gpg exported no such key", subject=key.fingerprint)
    return bytes(data)


def sign(key: SigningKey, kind: str, payload: bytes, *, verifies: bool = True) -> Envelope:
    """Return payload bytes in an envelope with our signature.

    Args:
        key: Ours.
        kind: What is signed.
        payload: Its bytes.
        verifies: False for who opens the envelope next, as a device would: once is enough.

    Raises:
        PreconditionFailed: gpg did not sign, or could not in such a home.
        NotVerified: What gpg made does not verify.
    """
    check_short(key.home)
    message = signed_bytes(kind, payload)
    with gpg_agent.opened(key.home, own_home=key.own_home) as gpg, ThreadPoolExecutor(1) as beside:
        exported = beside.submit(_public_part, gpg, key) if verifies else None
        signature = _signature(gpg, key, message)
        ours = None if exported is None else exported.result()
    if ours is not None:
        _verify(message, signature, key, ours)
    return Envelope(kind=kind, payload=payload, signatures=(signature,))


def _signature(gpg: gnupg.GPG, key: SigningKey, message: bytes) -> bytes:
    made = gpg.sign(
        message,
        # An empty one must not be announced: gpg would read the message's first line as it.
        passphrase=key.passphrase or None,
        clearsign=False,
        detach=True,
        binary=True,
        extra_args=["--local-user", key.fingerprint, "--digest-algo", "SHA256"],
    )
    if not made.data:
        raise PreconditionFailed(
            f"gpg did not sign: {made.status or 'no reason given'}",
            subject=key.fingerprint,
            code="not-signed",
            remedy="Try `gpg --sign` with this key: is its token plugged in, the passphrase right?",
        )
    return bytes(made.data)


def _verify(message: bytes, signature: bytes, key: SigningKey, ours: bytes) -> None:
    try:
        signer = verify_detached(message, signature, [ours])
    except Forbidden as error:
        raise unverified(key, error.reason) from error
    if signer != key.fingerprint:
        raise NotVerified("another key signed than was asked for", subject=signer)


def unverified(key: SigningKey, reason: str = "devices would not take it") -> NotVerified:
    """Return what is raised for a signature of ours that would not count."""
    return NotVerified(
        f"our own signature does not verify: {reason}",
        subject=key.fingerprint,
        remedy="The key may be expired, revoked or of a kind that devices refuse",
    )
