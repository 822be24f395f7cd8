"""`penguin-agent enroll` and `unenroll`.

The token comes on standard input or in a file, never as a word of the command, where every user of
the machine could read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from penguin_agent import cli_print
from penguin_agent.control import ask
from penguin_agent.daemon import check_state, hold_lock
from penguin_agent.enrollment import make_enrollment
from penguin_agent.failpoints import make_failpoint
from penguin_agent.identity_folder import IdentityFolder
from penguin_agent.trust_store import TrustStore
from penguindome.durable import read_file
from penguindome.errors import (
    AlreadyExists,
    InvalidInput,
    PenguinDomeError,
    PreconditionFailed,
    Unavailable,
)
from penguindome.tokens import decode_token

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from penguin_agent.config import Settings
    from penguin_agent.enrollment import Enrollment, Outcome
    from penguindome.tokens import EnrollmentToken

TOKEN_LIMIT = 16 * 1024
STOP_ATTEMPTS = 100
STOP_PAUSE_SECONDS = 0.1


def enroll(options: argparse.Namespace, settings: Settings) -> int:
    """Redeem a token; a token file is deleted once the device is known to the server."""
    if options.forbidden or options.exposed or str(options.token_file).startswith("pde1."):
        raise InvalidInput(
            "a token among the words of a command can be read by every user of this machine",
            remedy="Revoke that token; give a new one on standard input or with --token-file",
        )
    check_state(settings.paths.state_dir)
    failpoint = make_failpoint(enabled=settings.failpoints, environ=os.environ)
    identities = IdentityFolder(settings.paths.state_dir / "identity", failpoint)
    enrollment = make_enrollment(identities, settings.paths.state_dir)
    token = _read_token(options.token_file)
    outcome = asyncio.run(
        _enroll(enrollment, token, wait=options.wait, json=options.output == "json")
    )
    if options.token_file is not None:
        options.token_file.unlink(missing_ok=True)
    _tell(outcome, json=options.output == "json")
    try:
        ask(settings.paths.socket, "reload")
    except PenguinDomeError:
        sys.stderr.write("The daemon does not run yet: systemctl enable --now penguin-agent\n")
    return 0


def unenroll(_options: argparse.Namespace, settings: Settings) -> int:
    """Forget the identity, the trust and everything that waits or was kept for the fleet."""
    state_dir = settings.paths.state_dir
    check_state(state_dir)
    with contextlib.suppress(Unavailable):
        ask(settings.paths.socket, "stop")
    lock = _lock_once_free(state_dir)
    IdentityFolder(state_dir / "identity").forget()
    TrustStore(state_dir / "trust").forget()
    for name in ("spool", "state", "dead-letters", "orders", "releases"):
        shutil.rmtree(state_dir / name, ignore_errors=True)
    (state_dir / "verdicts.json").unlink(missing_ok=True)
    os.close(lock)
    cli_print.line("This device is enrolled no more. Ask an operator to delete its record.")
    return 0


def _lock_once_free(state_dir: Path) -> int:
    """Take the daemon's lock; it may need a moment to end."""
    for _attempt in range(STOP_ATTEMPTS):
        with contextlib.suppress(AlreadyExists):
            return hold_lock(state_dir)
        time.sleep(STOP_PAUSE_SECONDS)
    return hold_lock(state_dir)


async def _enroll(
    enrollment: Enrollment, token: EnrollmentToken, *, wait: bool, json: bool
) -> Outcome:
    outcome = await enrollment.enroll(token)
    if wait and outcome.identity is None and not json:
        _tell(outcome, json=False)
    while wait and outcome.identity is None and outcome.poll_after is not None:
        await asyncio.sleep(outcome.poll_after.total_seconds())
        outcome = await enrollment.poll()
    return outcome


def _read_token(file: Path | None) -> EnrollmentToken:
    if file is not None:
        return decode_token(_private_text(file))
    if sys.stdin.isatty():
        sys.stderr.write("Paste the token and press Enter: ")
        sys.stderr.flush()
    return decode_token(sys.stdin.readline(TOKEN_LIMIT))


def _private_text(file: Path) -> str:
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise InvalidInput(
            f"the token cannot be read: {error.strerror}",
            subject=str(file),
            remedy="Give the file that the token is in",
        ) from None
    if mode & 0o077:
        raise PreconditionFailed(
            "others can read the token", subject=str(file), remedy=f"chmod 600 {file}"
        )
    return read_file(file, TOKEN_LIMIT).decode("utf-8", "replace")


def _tell(outcome: Outcome, *, json: bool) -> None:
    enrolled = outcome.identity is not None
    if json:
        cli_print.as_json(
            {
                "enrolled": enrolled,
                "device_id": outcome.device_id,
                "fingerprint": outcome.fingerprint,
            }
        )
        return
    if enrolled:
        cli_print.line(f"Enrolled as {outcome.device_id}.")
        return
    cli_print.line(f"Waiting for an operator's approval as {outcome.device_id}.")
    cli_print.line("Read this fingerprint to the operator:")
    cli_print.line(spaced(outcome.fingerprint))


def spaced(fingerprint: str) -> str:
    """Return a fingerprint in groups of four, to be read aloud."""
    return " ".join(fingerprint[n : n + 4] for n in range(0, len(fingerprint), 4))
