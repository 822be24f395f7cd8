"""Encrypting a backup to OpenPGP public keys while it is written; gpg does it, in a pipe.

gpg gets an empty folder of its own, no options, no agent and no keyring: the recipients' key files
say everything, and a machine's gpg.conf must not change what happens.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from penguindome.durable import read_file
from penguindome.errors import InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KEY_LIMIT_BYTES = 256 << 10
_END_SECONDS = 60
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}


@contextmanager
def encrypting(keys: Sequence[Path], output: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield where to write plain bytes; what comes out is encrypted to all keys.

    Args:
        keys: files with one public key each, armored or binary.
        output: a real file, which gpg itself writes to.

    Raises:
        InvalidInput: a key cannot be encrypted to.
        NotSupported: there is no gpg.
    """
    program = shutil.which("gpg", path=_ENVIRONMENT["PATH"])
    if program is None:
        raise NotSupported("gpg is missing", subject="gpg", remedy="install gnupg")
    with tempfile.TemporaryDirectory(prefix="pd", dir="/tmp") as home:
        recipients = _copies(keys, Path(home))
        errors = Path(home) / "errors"
        with errors.open("wb") as sink:
            process = subprocess.Popen(
                [program, *_words(home), *recipients, "--encrypt"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=sink,
                env=_ENVIRONMENT,
            )
        yield from _fed(process, errors)


def _fed(process: subprocess.Popen[bytes], errors: Path) -> Iterator[IO[bytes]]:
    if process.stdin is None:
        raise RuntimeError("gpg has no standard input")
    try:
        yield process.stdin
        process.stdin.close()
    except BrokenPipeError:
        # It ended first, and says why.
        pass
    except BaseException:
        process.kill()
        raise
    finally:
        _close(process.stdin)
        code = _ended(process)
    if code != 0:
        words = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise InvalidInput(
            f"gpg does not encrypt: {words[-1][:300] if words else f'status {code}'}",
            code="not-encrypted",
            subject="--encrypt-to",
            remedy="give public keys that can encrypt and have not expired: gpg --export NAME",
        )


def _close(stream: IO[bytes]) -> None:
    # What was not written yet may have no reader any more.
    with suppress(OSError):
        stream.close()


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _copies(keys: Sequence[Path], home: Path) -> list[str]:
    """Copy the key files to where gpg may look, and return its words for them."""
    words = []
    for number, key in enumerate(keys):
        copy = home / f"key{number}"
        copy.write_bytes(read_file(key.resolve(), _KEY_LIMIT_BYTES))
        words += ["--recipient-file", str(copy)]
    return words


def _words(home: str) -> list[str]:
    return [
        *("--homedir", home, "--no-options", "--no-autostart", "--no-keyring", "--batch"),
        *("--no-auto-check-trustdb", "--trust-model", "always", "--quiet", "--no-tty"),
        *("--cipher-algo", "AES256", "--compress-level", "1"),
    ]
