"""Verify one OpenPGP signature with gpgv, believing only its status lines, and few of those.

gpgv exits with 0 for revoked and expired keys, SHA-1 and text-mode signatures, hence the parser:
1. exit status 0; 2. nothing but known harmless lines; 3. exactly one NEWSIG, GOODSIG and VALIDSIG;
4. SHA-256 or better; 5. a signature on bytes (class 00), not on text.
Source: GnuPG 2.2 doc/DETAILS; gpgv(1).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from penguindome.errors import Forbidden, NotSupported
from penguindome.openpgp import is_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_SECONDS = 10
SIGNATURE_LIMIT_BYTES = 4 * 1024
STATUS_LIMIT = 64 * 1024
_PLACES = ("/usr/bin/gpgv", "/bin/gpgv", "/usr/local/bin/gpgv")
_ONCE = ("NEWSIG", "GOODSIG", "VALIDSIG")
_HARMLESS = frozenset(
    {
        *_ONCE,
        "KEY_CONSIDERED",
        "SIG_ID",
        "NOTATION_NAME",
        "NOTATION_FLAGS",
        "NOTATION_DATA",
        "POLICY_URL",
        "VERIFICATION_COMPLIANCE_MODE",
    }
)
# SHA-256, SHA-384, SHA-512. Source: RFC 4880 §9.4.
_HASHES = frozenset({"8", "9", "10"})
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}


def verify_detached(
    data: bytes, signature: bytes, keys: Iterable[bytes], seconds: float = TIMEOUT_SECONDS
) -> str:
    """Return the primary fingerprint of the key among `keys` that signed `data`.

    Args:
        data: The exact bytes.
        signature: One detached signature.
        keys: Public keys, binary; together they are the ring.
        seconds: How long gpgv may take; none are left if it is 0 or less.

    Raises:
        Forbidden: The signature is not good; says why.
        NotSupported: There is no gpgv on this machine.
    """
    if not 0 < len(signature) <= SIGNATURE_LIMIT_BYTES:
        _refuse(f"it has {len(signature)} bytes")
    if seconds <= 0:
        _refuse("the signatures before it took all the time there is")
    program = _gpgv()
    ring, detached = _memory("ring", b"".join(keys)), _memory("signature", signature)
    try:
        return parse_status(*_run(program, data, ring, detached, seconds))
    finally:
        os.close(ring)
        os.close(detached)


def parse_status(text: str, returncode: int) -> str:
    """Return the primary fingerprint that gpgv's status lines vouch for.

    Trust: the lines are gpgv's, but parts of them (user ids, notations) are the signer's.

    Raises:
        Forbidden: They vouch for nothing; names the first reason.
    """
    lines = [_words(line) for line in text.split("\n") if line]
    for words in lines:
        if words[0] not in _HARMLESS:
            _refuse(f"gpgv says {words[0][:40]}")
    for keyword in _ONCE:
        count = sum(words[0] == keyword for words in lines)
        if count != 1:
            _refuse(f"gpgv says {keyword} {count} times")
    if returncode != 0:
        _refuse(f"gpgv ended with {returncode}")
    return _valid_signature(next(words for words in lines if words[0] == "VALIDSIG"))


def _words(line: str) -> list[str]:
    prefix, _, rest = line.partition(" ")
    words = rest.split(" ")
    if prefix != "[GNUPG:]" or not words[0]:
        _refuse("gpgv printed something else than its status")
    return words


def _valid_signature(words: list[str]) -> str:
    """Return field 10 of VALIDSIG: the fingerprint of the primary key."""
    if len(words) != 11:
        _refuse("gpgv's VALIDSIG has not 10 fields")
    if words[8] not in _HASHES:
        _refuse("its hash is weaker than SHA-256")
    if words[9] != "00":
        _refuse("it signs text, not bytes")
    if not is_fingerprint(words[10]):
        _refuse("its key has no version 4 fingerprint")
    return words[10]


def _run(program: str, data: bytes, ring: int, detached: int, seconds: float) -> tuple[str, int]:
    command = [
        program,
        "--homedir=/nonexistent",
        "--status-fd=1",
        "--weak-digest=SHA1",
        f"--keyring=/proc/self/fd/{ring}",
        "--",
        f"/proc/self/fd/{detached}",
        "-",
    ]
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(ring, detached),
            env=_ENVIRONMENT,
            cwd="/",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _refuse(f"gpgv did not end within {seconds:.0f} seconds")
    except OSError as error:
        _refuse(f"gpgv cannot be run ({error.strerror})")
    return done.stdout[:STATUS_LIMIT].decode("utf-8", "replace"), done.returncode


def _gpgv() -> str:
    for place in _PLACES:
        if Path(place).is_file():
            return place
    raise NotSupported(
        "there is no gpgv on this machine, so no signature can be verified",
        code="gpgv-missing",
        remedy="Install the package gpgv (Debian, Ubuntu) or gnupg (Arch)",
    )


def _memory(name: str, data: bytes) -> int:
    """Put bytes where gpgv can open them: no disk that could be full, nothing left behind."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(reason: str) -> NoReturn:
    raise Forbidden(f"the signature is not good: {reason}", code="bad-signature")
