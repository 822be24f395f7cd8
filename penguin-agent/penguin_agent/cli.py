"""The command `penguin-agent`: reads the words, hands over to one module for each verb.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 4 not permitted, 5 server or daemon not
reachable, 6 not in this state.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguin_agent.environment import secure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguin_agent.config import Settings

    Command = Callable[[argparse.Namespace, Settings], int]

EXIT_CODES = {
    "Unauthenticated": 4,
    "Forbidden": 4,
    "Unavailable": 5,
    "PreconditionFailed": 6,
    "AlreadyExists": 6,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(words)
    secure(words)
    os.umask(0o077)
    # Imported late: --help and wrong usage need nothing of this.
    from penguindome.durable import raise_for  # noqa: PLC0415 -- see above
    from penguindome.errors import PenguinDomeError  # noqa: PLC0415 -- see above

    try:
        try:
            return _run(options)
        except (PermissionError, BrokenPipeError):
            raise
        except OSError as error:
            raise_for(error, Path(error.filename or "a file"))
    except PenguinDomeError as error:
        return _failed(error.text(), EXIT_CODES.get(type(error).__name__, 1))
    except PermissionError as error:
        return _failed(f"{error.filename}: {error.strerror} — Use sudo", 4)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1


def _failed(text: str, code: int) -> int:
    from penguindome.display import printable  # noqa: PLC0415 -- as above

    print(f"penguin-agent: {printable(text)}", file=sys.stderr)  # noqa: T201 -- a CLI
    return code


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_ignored: Any, **_more: Any) -> None:
        from penguin_agent.version import agent_version  # noqa: PLC0415 -- only here

        sys.stdout.write(f"penguin-agent, version {agent_version()}\n")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="penguin-agent", description="PenguinDome's agent.")
    top.add_argument("--config", type=Path, metavar="FILE", help="the settings file")
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    enroll = verbs.add_parser(
        "enroll", help="enroll this device; the token comes on standard input"
    )
    enroll.add_argument(
        "--token-file", type=Path, metavar="FILE", help="read the token from a file"
    )
    enroll.add_argument("--wait", action="store_true", help="wait until an operator approved")
    # So that it is not taken for an abbreviation, nor repeated in a complaint.
    enroll.add_argument("--token", dest="exposed", help=argparse.SUPPRESS)
    enroll.add_argument("forbidden", nargs="*", help=argparse.SUPPRESS)
    verbs.add_parser("run", help="run the daemon")
    status = verbs.add_parser("status", help="tell how the agent is doing and what it sends")
    collect = verbs.add_parser("collect", help="print exactly what would be sent; sends nothing")
    collect.add_argument("plugins", nargs="*", metavar="PLUGIN", help="only these")
    issues = verbs.add_parser("issues", help="show the server's verdicts about this device")
    release = verbs.add_parser("release", help="go back to the release before")
    release.add_argument("act", choices=("rollback",), help="the agent must be stopped")
    sessions = verbs.add_parser("sessions", help="show remote sessions on this device, or end them")
    sessions.add_argument("--end", metavar="SESSION|all", help="end one, or all; needs root")
    consent = verbs.add_parser("consent", help="agree to a remote session that waits, or refuse")
    consent.add_argument("answer", choices=("yes", "no"))
    consent.add_argument("id", nargs="?", metavar="SESSION", help="which, if several wait")
    history = verbs.add_parser("history", help="list what operators had this device do")
    history.add_argument("order", nargs="?", metavar="ORDER", help="all about one: its id")
    verbs.add_parser("unenroll", help="forget this device's identity and what waits")
    for verb in (enroll, status, collect, issues, history, sessions):
        verb.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return top


def _run(options: argparse.Namespace) -> int:
    from penguin_agent.config import load  # noqa: PLC0415 -- only once the words are right
    from penguindome.logs import LogSettings, install  # noqa: PLC0415 -- the same

    # Absolute, as processes of ours stand elsewhere.
    settings = load(options.config and options.config.absolute())
    quiet = LogSettings(level="error")
    install(settings.logging if options.verb == "run" else quiet, "penguin-agent")
    return _command(options.verb)(options, settings)


def _command(verb: str) -> Command:
    """Import what a verb needs, and nothing that the others need."""
    import importlib  # noqa: PLC0415 -- only once the words are right

    module, _, name = _PLACES[verb].partition(":")
    command: Command = getattr(importlib.import_module(f"penguin_agent.{module}"), name)
    return command


_PLACES = {
    "run": "cli_run:run",
    "enroll": "cli_enroll:enroll",
    "unenroll": "cli_enroll:unenroll",
    "collect": "cli_collect:collect",
    "release": "cli_release:rollback",
    "history": "cli_history:history",
    "sessions": "cli_sessions:sessions",
    "consent": "cli_sessions:consent",
    "status": "cli_status:status",
    "issues": "cli_status:issues",
}


if __name__ == "__main__":
    sys.exit(main())
