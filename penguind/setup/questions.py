"""Set-up's dialogue: one question for each answer that has more than one sensible value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguindome.names import valid_operator_name

if TYPE_CHECKING:
    from penguind.setup.file import Answers

_PORT = click.IntRange(1, 65535)
_MINUTES = click.IntRange(1, 1440)
_LEVELS = click.Choice(["debug", "info", "notice", "warning", "error", "critical"])


def ask(answers: Answers) -> Answers:
    """Ask everything, with the given answers as defaults."""
    for part in (_network, _certificate, _database, _intervals, _logging, _operator):
        answers = part(answers)
    return answers


def _network(answers: Answers) -> Answers:
    host = _text("Host name or address that devices dial", answers.advertised_host)
    main = _number("Port for devices and operators", answers.main_port, _PORT)
    bootstrap = _number("Port for enrollment", answers.bootstrap_port, _PORT)
    while bootstrap == main:
        click.echo("The two ports must differ.", err=True)
        bootstrap = _number("Port for enrollment", answers.bootstrap_port, _PORT)
    return replace(answers, advertised_host=host, main_port=main, bootstrap_port=bootstrap)


def _certificate(answers: Answers) -> Answers:
    if not click.confirm(
        "Use a certificate of your own", answers.certificate is not None, err=True
    ):
        return replace(answers, certificate=None, key=None)
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    certificate = click.prompt("Certificate file, its authority last", type=path, err=True)
    key = click.prompt("Key file", type=path, err=True)
    return replace(answers, certificate=certificate.absolute(), key=key.absolute())


def _database(answers: Answers) -> Answers:
    prompt = "Address of your MongoDB (mongodb://…), empty for a private one"
    uri = _text(prompt, answers.database_uri)
    if not uri:
        return replace(answers, database_uri="")
    name = _text("Name of the database", answers.database_name)
    username = _text("User name at the database, empty for none", answers.database_username)
    password = answers.database_password
    if username and not password:
        password = click.prompt("Password", hide_input=True, err=True)
    before = answers.database_tls_ca_file
    authority = _text("Authority of its certificate (a file), empty without", str(before or ""))
    return replace(
        answers,
        database_uri=uri,
        database_name=name,
        database_username=username,
        database_password=password,
        database_tls_ca_file=Path(authority).absolute() if authority else None,
        database_replica_set=_text(
            "Name of its replica set, empty where the address says it", answers.database_replica_set
        ),
    )


def _intervals(answers: Answers) -> Answers:
    return replace(
        answers,
        audit_interval_minutes=_number(
            "Minutes between full audits", answers.audit_interval_minutes, click.IntRange(1, 10_080)
        ),
        collect_interval_minutes=_number(
            "Minutes between collections on devices", answers.collect_interval_minutes, _MINUTES
        ),
        submit_interval_minutes=_number(
            "Minutes between reports of changes", answers.submit_interval_minutes, _MINUTES
        ),
    )


def _logging(answers: Answers) -> Answers:
    handler = _text("Log handler (stderr, syslog, or another of Logbook's)", answers.log_handler)
    level = click.prompt("Log level", answers.log_level, type=_LEVELS, err=True)
    answers = replace(answers, log_handler=handler, log_level=level)
    if handler != "syslog":
        return answers
    facility = _text("Syslog facility", answers.syslog_facility)
    host = _text("Syslog host, empty for this machine", answers.syslog_host)
    port = _number("Syslog port", answers.syslog_port, _PORT) if host else answers.syslog_port
    return replace(answers, syslog_facility=facility, syslog_host=host, syslog_port=port)


def _operator(answers: Answers) -> Answers:
    default = answers.operators[0] if answers.operators else "admin"
    name = _text("Name of the first operator", default)
    while not valid_operator_name(name):
        click.echo("Lower-case letters, digits, dots, dashes and underscores, please.", err=True)
        name = _text("Name of the first operator", default)
    return replace(answers, operators=(name, *answers.operators[1:]))


def _text(question: str, default: str) -> str:
    return str(click.prompt(question, default, err=True, show_default=bool(default))).strip()


def _number(question: str, default: int, kind: Any) -> int:
    return int(click.prompt(question, default, type=kind, err=True))
