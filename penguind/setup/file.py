"""Set-up's settings file: written once, with what was answered; an existing one is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguindome.durable import write_file

if TYPE_CHECKING:
    from pathlib import Path

_HEAD = """\
# The settings of penguind. Check them after a change: penguind check-config
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What set-up was told. An empty `database_uri` means the embedded database.

    `operators` are invited, with every role; empty means that nobody is.
    """

    state_dir: Path
    user: str
    advertised_host: str
    address: str = "0.0.0.0"  # noqa: S104 -- devices dial in
    main_port: int = 7443
    bootstrap_port: int = 7444
    certificate: Path | None = None
    key: Path | None = None
    server_names: tuple[str, ...] = ()
    database_uri: str = ""
    database_name: str = "penguindome"
    database_username: str = ""
    database_password: str = field(default="", repr=False)
    database_tls_ca_file: Path | None = None
    database_replica_set: str = ""
    audit_interval_minutes: int = 60
    collect_interval_minutes: int = 5
    submit_interval_minutes: int = 1
    log_handler: str = "stderr"
    log_level: str = "info"
    syslog_facility: str = "user"
    syslog_host: str = ""
    syslog_port: int = 514
    operators: tuple[str, ...] = ()


def password_path(answers: Answers) -> Path:
    """Return where the database's password is kept."""
    return answers.state_dir / "database-password"


def write_settings(path: Path, answers: Answers, fleet_id: str, mode: int) -> None:
    """Write the settings file, and the database's password beside the state."""
    if answers.database_password:
        write_file(password_path(answers), f"{answers.database_password}\n".encode(), 0o600)
    text = _HEAD + "".join(_section(*item) for item in _tree(answers, fleet_id).items())
    write_file(path, text.encode(), mode)


def _tree(answers: Answers, fleet_id: str) -> dict[str, dict[str, str | int]]:
    """Return sections; what is empty keeps its default and is left out."""
    password = str(password_path(answers)) if answers.database_password else ""
    return {
        "server": {
            "fleet_id": fleet_id,
            "state_dir": str(answers.state_dir),
            "user": answers.user,
            "advertised_host": answers.advertised_host,
        },
        "listen": {
            "address": answers.address,
            "main_port": answers.main_port,
            "bootstrap_port": answers.bootstrap_port,
            "certificate": str(answers.certificate or ""),
            "key": str(answers.key or ""),
        },
        "database": {
            "uri": answers.database_uri,
            "name": answers.database_name,
            "username": answers.database_username,
            "password_file": password,
            "tls_ca_file": str(answers.database_tls_ca_file or ""),
            "replica_set": answers.database_replica_set,
        },
        "audit": {"interval_minutes": answers.audit_interval_minutes},
        "agents": {
            "collect_interval_minutes": answers.collect_interval_minutes,
            "submit_interval_minutes": answers.submit_interval_minutes,
        },
        "logging": _logging(answers),
    }


def _logging(answers: Answers) -> dict[str, str | int]:
    found: dict[str, str | int] = {"handler": answers.log_handler, "level": answers.log_level}
    if answers.log_handler == "syslog":
        found |= {
            "syslog_facility": answers.syslog_facility,
            "syslog_host": answers.syslog_host,
            "syslog_port": answers.syslog_port,
        }
    return found


def _section(name: str, values: dict[str, str | int]) -> str:
    # A JSON string is a TOML basic string; TOML 1.0, "String".
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value != ""]
    return "\n".join(["", f"[{name}]", *lines, ""])
