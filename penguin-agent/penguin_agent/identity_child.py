"""The child process that works with private keys for the daemon; see `identities`.

Words: look|poll|renew and the settings file. Prints {"facts": …, "waiting_fingerprint": …} and, for
a poll, when to ask again; or {"error": …}. `facts` is null for a device that is not in.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguin_agent.config import load
from penguin_agent.failpoints import make_failpoint
from penguin_agent.identity_folder import IdentityFolder
from penguindome.errors import Damaged, PenguinDomeError
from penguindome.logs import LogSettings, install
from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguin_agent.config import Settings
    from penguin_agent.enrollment import Enrollment
    from penguin_agent.identity import Identity


def main(words: Sequence[str]) -> int:
    """Do one piece of work."""
    verb, *file = words
    os.umask(0o077)
    settings = load(Path(file[0]) if file else None)
    install(LogSettings(level="error"), "penguin-agent")
    # A crash that a test asks for is the whole machine's.
    victims = (os.getppid(), os.getpid())
    failpoint = make_failpoint(enabled=settings.failpoints, environ=os.environ, victims=victims)
    folder = IdentityFolder(settings.paths.state_dir / "identity", failpoint)
    try:
        answer = _VERBS[verb](folder, settings)
    except PenguinDomeError as error:
        answer = {"error": _words(error)}
    if folder.application() is not None:
        answer["waiting_fingerprint"] = folder.candidate().fingerprint
    sys.stdout.write(json.dumps(answer))
    return 0


def _look(folder: IdentityFolder, _settings: Settings) -> dict[str, Any]:
    return {"facts": _facts(folder.load())}


def _poll(folder: IdentityFolder, settings: Settings) -> dict[str, Any]:
    outcome = asyncio.run(_enrollment(folder, settings).poll())
    again = outcome.poll_after.total_seconds() if outcome.poll_after else 0.0
    return {"facts": _facts(outcome.identity), "poll_after_seconds": again}


def _renew(folder: IdentityFolder, settings: Settings) -> dict[str, Any]:
    identity = folder.load()
    if identity is None:
        raise Damaged("the identity is gone", remedy="Run penguin-agent enroll")
    return {"facts": _facts(asyncio.run(_enrollment(folder, settings).renew(identity)))}


def _enrollment(folder: IdentityFolder, settings: Settings) -> Enrollment:
    from penguin_agent.enrollment import make_enrollment  # noqa: PLC0415 -- a look needs no gRPC

    return make_enrollment(folder, settings.paths.state_dir)


def _facts(identity: Identity | None) -> dict[str, str] | None:
    if identity is None:
        return None
    facts = identity.facts
    return {
        "serial": facts.serial,
        "not_before": to_iso(facts.not_before),
        "not_after": to_iso(facts.not_after),
        "fingerprint": facts.fingerprint,
    }


def _words(error: PenguinDomeError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "reason": error.reason,
        "code": error.code,
        "subject": error.subject,
        "remedy": error.remedy,
        "retry_after_seconds": error.retry_after_seconds,
    }


_VERBS = {"look": _look, "poll": _poll, "renew": _renew}
