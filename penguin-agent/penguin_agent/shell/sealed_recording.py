"""Seal pieces of a recording to auditors, with gpg and their public keys: no keyring, no agent.

Source: gpg(1), --recipient-file. Each piece is one OpenPGP message.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS = 20
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}


def sealer(keys: Sequence[bytes]) -> Callable[[bytes], bytes] | None:
    """Return what seals to all of these keys; None without keys."""
    return (lambda data: seal(data, keys)) if keys else None


def seal(data: bytes, keys: Sequence[bytes]) -> bytes:
    """Return one OpenPGP message that each of the keys opens.

    Raises:
        PreconditionFailed: gpg cannot seal to them.
    """
    descriptors = [_memory(key) for key in keys]
    words = [
        "gpg", "--batch", "--no-options", "--no-autostart", "--no-auto-check-trustdb",
        "--homedir=/nonexistent", "--no-keyring", "--trust-model=always", "--lock-never",
    ]  # fmt: skip
    for descriptor in descriptors:
        words += ["--recipient-file", f"/proc/self/fd/{descriptor}"]
    try:
        done = subprocess.run(
            [*words, "--encrypt"],
            input=data,
            capture_output=True,
            pass_fds=descriptors,
            env=_ENVIRONMENT,
            cwd="/",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(str(error)) from None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if done.returncode != 0 or not done.stdout:
        raise _failed(done.stderr.decode("utf-8", "replace").strip()[-200:])
    return done.stdout


def _memory(data: bytes) -> int:
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


def _failed(reason: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"the recording cannot be sealed to the auditors' keys: {' '.join(reason.split())}",
        code="not-sealed",
        remedy="Install GnuPG on the device, and give keys that can encrypt",
    )
