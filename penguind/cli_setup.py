"""penguind setup: the questions, once, or --yes."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import click
from click.core import ParameterSource

from penguind.config import DEFAULT_STATE_DIR, load_settings
from penguind.mongod.paths import require_mongod
from penguind.setup.checks import check_database, check_kept
from penguind.setup.file import Answers
from penguind.setup.questions import ask
from penguind.setup.steps import become_service, invite_first, make_server
from penguindome.durable import raise_for, read_file
from penguindome.errors import InvalidInput
from penguindome.names import valid_operator_name
from penguindome.times import utc_now

_FILE = click.Path(dir_okay=False, path_type=Path)
_PORT = click.IntRange(1, 65535)


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing: take the options and the defaults.")
@click.option("--user", default="", help="The user that the server runs as. Default: penguind.")
@click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--advertised-host", default="", help="The host that devices and operators dial.")
@click.option("--server-name", "server_names", multiple=True, help="A further name or address.")
@click.option("--address", default="0.0.0.0", show_default=True, help="Where to listen.")  # noqa: S104 -- devices dial in
@click.option("--main-port", type=_PORT, default=7443, show_default=True)
@click.option("--bootstrap-port", type=_PORT, default=7444, show_default=True)
@click.option("--certificate", type=_FILE, help="Your own certificate, with its authority's.")
@click.option("--key", type=_FILE, help="The key of your own certificate.")
@click.option("--database-uri", default="", help="Your own MongoDB. Default: a private one.")
@click.option("--database-name", default="penguindome", show_default=True)
@click.option("--database-username", default="")
@click.option("--database-password-file", type=_FILE, help="A file with the password.")
@click.option("--database-tls-ca-file", type=_FILE, help="The authority of its certificate.")
@click.option("--database-replica-set", default="", help="Its replica set, if not in the address.")
@click.option("--operator", "operators", multiple=True, help="An operator to invite.")
@click.option("--invitation-file", type=_FILE, help="Write the invitation here instead.")
@click.pass_obj
def setup(config: Path, /, invitation_file: Path | None, **options: Any) -> None:
    """Make this machine a server: keys, settings, database and the first invitation.

    Safe to run again: what exists is kept, and said so. As root it gives everything to the
    service's user.
    """
    options = {name: value for name, value in options.items() if value is not None}
    asking = not options.pop("yes")
    answers = _answers(options)
    if config.exists():
        check_kept(load_settings(config), _given(answers))
    else:
        answers = _asked(answers) if asking else answers
        _check_database(answers)
    settings = make_server(config, answers, utc_now, _say)
    # Opened before root is left behind: it may lie where only root can write.
    sink = _open_secret(invitation_file)
    become_service(settings)
    lines = asyncio.run(invite_first(load_settings(config), answers.operators, utc_now, _say))
    if sink is not None:
        with sink:
            sink.write("".join(f"{line}\n" for line in lines))
        _say(f"The invitation, a secret, is in {invitation_file}; use it with: penguinctl init")
    _say(f"Set up. Start it: systemctl enable --now penguind, or: penguind --config {config} run")
    if lines and invitation_file is None:
        _say("The operator's invitation, a secret, is the last line; use it with: penguinctl init")
        click.echo("\n".join(lines))


def _given(answers: Answers) -> dict[str, Any]:
    """Return the answers that were given as options, by name."""
    context = click.get_current_context()
    return {
        name: getattr(answers, name)
        for name in context.params
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and hasattr(answers, name)
    }


def _check_database(answers: Answers) -> None:
    """Say what is wrong with the database before anything is made."""
    if answers.database_uri:
        asyncio.run(check_database(answers))
    else:
        require_mongod()


def _answers(options: dict[str, Any]) -> Answers:
    """Return what options and defaults say."""
    password_file = options.pop("database_password_file", None)
    if ("certificate" in options) != ("key" in options):
        raise InvalidInput("--certificate and --key go together", remedy="give both or neither")
    answers = Answers(
        state_dir=Path(options.pop("state_dir", DEFAULT_STATE_DIR)).absolute(),
        user=options.pop("user") or ("penguind" if os.geteuid() == 0 else _own_name()),
        advertised_host=options.pop("advertised_host") or _host_name(),
        operators=tuple(options.pop("operators")) or (_first_operator(),),
        server_names=tuple(options.pop("server_names")),
    )
    for name in ("certificate", "key", "database_tls_ca_file"):
        if name in options:
            options[name] = options[name].absolute()
    if password_file is not None:
        options["database_password"] = _first_line(password_file)
    return replace(answers, **options)


def _first_line(path: Path) -> str:
    try:
        text = read_file(path.resolve()).decode()
    except UnicodeDecodeError:
        raise InvalidInput("is not UTF-8 text", subject=str(path)) from None
    return text.partition("\n")[0].rstrip("\r")


def _asked(answers: Answers) -> Answers:
    """Return what a person answers.

    Raises:
        InvalidInput: the answers ended before the questions; nothing was made.
    """
    try:
        return ask(answers)
    except click.Abort:
        click.echo(err=True)
        raise InvalidInput(
            "set-up was ended before its last question; nothing was made",
            remedy="run it again, or without questions: penguind setup --yes",
        ) from None


def _host_name() -> str:
    """Return how this machine is called; "localhost" would lead every device to itself."""
    name = socket.getfqdn()
    return socket.gethostname() if name.startswith("localhost") else name


def _first_operator() -> str:
    """Return who seems to sit here."""
    name = os.environ.get("SUDO_USER", "") or _own_name()
    return name if valid_operator_name(name) and name not in ("root", "nobody") else "admin"


def _own_name() -> str:
    """Return this process's user; in a container it may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.geteuid())


def _open_secret(path: Path | None) -> IO[str] | None:
    """Open a file for a secret: closed to others, never through a link."""
    if path is None:
        return None
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise_for(error, path)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
