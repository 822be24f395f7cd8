"""The command line: its nouns, and how every failure ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from penguinctl import exits, ui, view
from penguinctl.app import App
from penguinctl.lazy import LazyGroup, Noun
from penguindome.errors import PenguinDomeError
from penguindome.grpc_environment import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence


class Penguinctl(LazyGroup):
    """All nouns of penguinctl."""

    nouns = {  # noqa: RUF012 -- the base class declares it read-only
        "init": Noun("penguinctl.nouns.init:init", "Become an operator by an invitation."),
        "overview": Noun("penguinctl.nouns.overview:overview", "The fleet at a glance."),
        "token": Noun("penguinctl.nouns.token:token", "Enrollment tokens for new devices."),
        "device": Noun("penguinctl.nouns.device:device", "Devices: see, approve, revoke, label."),
        "run": Noun("penguinctl.nouns.run:run", "Run a command on devices, and see its output."),
        "command": Noun(
            "penguinctl.nouns.command:command", "Commands that ran: see, read output, cancel."
        ),
        "shell": Noun("penguinctl.nouns.shell:shell", "A terminal, or a program, on a device."),
        "cp": Noun("penguinctl.nouns.cp:cp", "Copy one file to or from a device."),
        "session": Noun(
            "penguinctl.nouns.session:session", "Remote sessions: watch, end, play, verify."
        ),
        "wipe": Noun("penguinctl.nouns.wipe:wipe", "Wipe a device; by default a dry run."),
        "order": Noun("penguinctl.nouns.order:order", "Signed orders: see, approve, withdraw."),
        "release": Noun("penguinctl.nouns.release:release", "Releases: what runs on every device."),
        "patch": Noun("penguinctl.nouns.patch:patch", "Patches: files for single devices."),
        "issue": Noun("penguinctl.nouns.issue:issue", "Issues: see, audit, snooze, open, close."),
        "check": Noun("penguinctl.nouns.check:check", "Checks: see, and test new ones."),
        "alert": Noun("penguinctl.nouns.alert:alert", "Alerts: what people are told."),
        "param": Noun("penguinctl.nouns.param:param", "Parameters: mail address, linked devices."),
        "trail": Noun("penguinctl.nouns.trail:trail", "The audit trail: what changed on devices."),
        "ledger": Noun("penguinctl.nouns.ledger:ledger", "The ledger: what operators did."),
        "trust": Noun("penguinctl.nouns.trust:trust", "The trust document: who may sign."),
        "operator": Noun(
            "penguinctl.nouns.operator:operator", "Operators: invite, change, revoke."
        ),
        "server": Noun("penguinctl.nouns.server:server", "The server itself."),
        "profile": Noun("penguinctl.nouns.profile:profile", "Profiles: one for each fleet."),
        "completion": Noun("penguinctl.nouns.completion:completion", "Completion for your shell."),
    }

    def prepare_completion(self, command: click.Command, path: str) -> None:
        """Let the fleet's names be offered."""
        from penguinctl import completion  # noqa: PLC0415 -- only for completion

        completion.prepare(command, path)


EPILOG = """\b
Examples:
  penguinctl init --invitation-file invitation.txt
  penguinctl device list
  penguinctl device show web-1
  penguinctl issue list label:engineering
  penguinctl -h

\b
Exit codes:
  0 done               4 not permitted
  1 failed             5 server unreachable
  2 usage              6 conflict or precondition
  3 nothing matched    7 verification failed
  8 not ended yet: devices or signatures are still waited for
"""


# Set by the scripts of `penguinctl completion`.
_COMPLETE = "_PENGUINCTL_COMPLETE"


@click.group(
    cls=Penguinctl,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where profiles are. [default: $XDG_CONFIG_HOME/penguinctl]",
)
@click.option(
    "--profile",
    "profile_name",
    default="",
    envvar="PENGUINCTL_PROFILE",
    metavar="NAME",
    help="Use this profile; see `penguinctl profile`.",
)
@click.option(
    "--server",
    default="",
    metavar="HOST[:PORT]",
    help="Dial the profile's server there; it has to prove to be that server.",
)
@click.option("--no-pager", is_flag=True, help="Show long tables without a pager.")
@click.version_option(package_name="penguindome", prog_name="penguinctl")
@click.pass_context
def cli(
    context: click.Context,
    /,
    *,
    config_dir: Path | None,
    profile_name: str,
    server: str,
    no_pager: bool,
) -> None:
    """Look after the devices of a PenguinDome fleet.

    Devices are named by hostname, id, a pattern (web-*), label:NAME or failing:CHECK. Commands that
    cannot be undone take an id, or a hostname that exactly one device has.
    """
    from penguinctl.profiles import parse_address  # noqa: PLC0415 -- --help stays quick

    view.current().pager = not no_pager
    context.obj = App(config_dir, profile_name, parse_address(server) if server else None)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    if _COMPLETE in os.environ:
        from penguinctl import completion  # noqa: PLC0415 -- only for completion

        completion.register(cli)
    try:
        result = cli.main(args=list(arguments), prog_name="penguinctl", standalone_mode=False)
    except click.ClickException as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt):
        ui.note("penguinctl: interrupted")
        return exits.INTERRUPTED
    except PenguinDomeError as error:
        ui.note(ui.Styled("penguinctl: ", "red"), " ".join(error.text().split("\n")))
        return exits.exit_code(error)
    except UnicodeError:
        # Without the text itself: it may be a passphrase.
        text = "an argument, or a file that was given, is not UTF-8 text"
        ui.note(ui.Styled("penguinctl: ", "red"), text)
        return exits.USAGE
    except Exception as error:  # noqa: BLE001 -- a bug still ends in one readable line
        return _bug(error)
    finally:
        # Who signed nothing has not loaded it.
        if (gpg_agent := sys.modules.get("penguinctl.gpg_agent")) is not None:
            gpg_agent.end_agents()
    return result if isinstance(result, int) else exits.OK


def _usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        ui.note(error.format_message())
        return exits.USAGE
    context = getattr(error, "ctx", None)
    if context is not None:
        ui.note(context.get_usage())
    ui.note(ui.Styled("penguinctl: ", "red"), error.format_message())
    return error.exit_code


def _bug(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        return exits.FAILED
    if isinstance(error, OSError):
        ui.note(ui.Styled("penguinctl: ", "red"), str(error))
        return exits.FAILED
    import traceback  # noqa: PLC0415 -- only for bugs

    ui.note("".join(traceback.format_exception(error)), end="")
    ui.note("penguinctl: this is a bug in penguinctl; please report the lines above")
    return exits.FAILED


def _open_missing_streams() -> None:
    """Let streams that were closed be /dev/null: their numbers must not become a connection's."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 -- stays


def main() -> NoReturn:
    """Run the command line and end the process."""
    # Before gRPC is imported: it obeys such variables, and its own log would bypass the sink.
    for name in [name for name in os.environ if name.startswith("GRPC_")]:
        del os.environ[name]
    os.environ.update(SETTINGS)
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = exits.FAILED
    # Not sys.exit: gRPC's threads and the interpreter's farewell cost more than a small answer.
    os._exit(code)
