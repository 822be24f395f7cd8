"""The server's settings: one frozen tree, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penguind.config_alerts import AlertSettings, read_alerts
from penguind.config_calendars import read_calendars
from penguind.config_keeping import (
    BackupSettings,
    RetentionSettings,
    backup_settings,
    retention_settings,
)
from penguind.config_listeners import (
    ListenerSettings,
    ListenSettings,
    advertised,
    read_listen,
    read_listeners,
)
from penguind.config_metrics import MetricsSettings, metrics_settings
from penguind.domain.version import parse_version
from penguindome.errors import InvalidInput, NotFound
from penguindome.logs import LogSettings
from penguindome.settings import Section, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.domain.advertised import Advertised
    from penguind.domain.calendar import Calendars

DEFAULT_PATH = Path("/etc/penguind/penguind.toml")
DEFAULT_STATE_DIR = Path("/var/lib/penguind")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who the server is and where it keeps its state."""

    fleet_id: str
    state_dir: Path
    user: str
    advertised_host: str


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Which MongoDB; an empty `uri` means a mongod that penguind starts itself."""

    uri: str
    name: str
    username: str
    password_file: Path | None
    tls_ca_file: Path | None
    replica_set: str

    @property
    def embedded(self) -> bool:
        """Tell whether penguind runs the database itself."""
        return not self.uri


@dataclass(frozen=True, slots=True)
class AgentsSettings:
    """What the server wishes of agents; they clamp intervals to their own bounds.

    `minimum_version` is empty where any will do.
    """

    collect_interval: timedelta
    submit_interval: timedelta
    plugin_intervals: Mapping[str, timedelta]
    minimum_version: str
    clock_tolerance: timedelta


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one device, and one address without a certificate, may ask of the server."""

    reports_per_minute: int
    report_burst: int
    report_bytes_per_day: int
    enroll_per_minute: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an administrator may set. `path` is the file that it came from."""

    path: Path
    server: ServerSettings
    listen: ListenSettings
    listeners: tuple[ListenerSettings, ...]
    database: DatabaseSettings
    audit_interval: timedelta
    agents: AgentsSettings
    checks_directory: Path
    calendars: Calendars
    limits: LimitSettings
    alerts: AlertSettings
    retention: RetentionSettings
    backup: BackupSettings
    metrics: MetricsSettings
    logging: LogSettings

    @property
    def advertised(self) -> Advertised:
        """Return what others are told to dial."""
        return advertised(self.listeners)

    def has_secret(self) -> bool:
        """Tell whether the file itself holds a password, in the database's address."""
        return bool(self.database.uri) and urlsplit(self.database.uri).password is not None


def load_settings(path: Path) -> Settings:
    """Read the settings file.

    Raises:
        NotFound: there is no such file.
        PreconditionFailed: it cannot be read.
        InvalidInput: for an unknown key or a value out of range, named.
    """
    try:
        root = read_settings(path)
    except NotFound:
        raise NotFound(
            "there is no settings file",
            code="settings-missing",
            subject=str(path),
            remedy="run penguind setup first, or name the file with --config",
        ) from None
    server = _server(root.section("server"))
    listen = read_listen(root.section("listen"), server.state_dir)
    settings = Settings(
        path=path,
        server=server,
        listen=listen,
        listeners=read_listeners(
            root.section("listeners"), root.table("listeners"), listen, server.advertised_host
        ),
        database=_database(root.section("database")),
        audit_interval=_minutes(root.section("audit"), "interval_minutes", 60, maximum=10_080),
        agents=_agents(root.section("agents")),
        checks_directory=_path(root.section("checks"), "directory", Path("/etc/penguind/checks.d")),
        calendars=read_calendars(root.section("calendars"), root.table("calendars")),
        limits=_limits(root.section("limits")),
        alerts=read_alerts(root.section("alerts")),
        retention=retention_settings(root.section("retention")),
        backup=backup_settings(root.section("backup")),
        metrics=metrics_settings(root.section("metrics")),
        logging=_logging(root.section("logging")),
    )
    root.finish()
    return settings


def _server(section: Section) -> ServerSettings:
    return ServerSettings(
        fleet_id=section.text("fleet_id", default=""),
        state_dir=_path(section, "state_dir", DEFAULT_STATE_DIR),
        user=section.text("user", default="penguind"),
        advertised_host=section.text("advertised_host", default=""),
    )


def _database(section: Section) -> DatabaseSettings:
    return DatabaseSettings(
        uri=section.text("uri", default=""),
        name=section.text("name", default="penguindome"),
        username=section.text("username", default=""),
        password_file=_optional_path(section, "password_file"),
        tls_ca_file=_optional_path(section, "tls_ca_file"),
        replica_set=section.text("replica_set", default=""),
    )


def _agents(section: Section) -> AgentsSettings:
    plugins = section.section("plugin_interval_minutes")
    intervals = {
        name: _minutes(plugins, name, 5) for name in section.table("plugin_interval_minutes")
    }
    return AgentsSettings(
        collect_interval=_minutes(section, "collect_interval_minutes", 5),
        submit_interval=_minutes(section, "submit_interval_minutes", 1),
        plugin_intervals=intervals,
        minimum_version=_version(section, "minimum_version"),
        clock_tolerance=timedelta(
            seconds=section.integer(
                "clock_tolerance_seconds", default=120, minimum=1, maximum=86_400
            )
        ),
    )


def _version(section: Section, name: str) -> str:
    text = section.text(name, default="")
    if text and parse_version(text) is None:
        raise InvalidInput(
            f"{text[:64]!r} is no version", subject=f"agents.{name}", remedy="for example 1.4"
        )
    return text


def _limits(section: Section) -> LimitSettings:
    return LimitSettings(
        reports_per_minute=section.integer(
            "reports_per_minute", default=12, minimum=1, maximum=100_000
        ),
        report_burst=section.integer("report_burst", default=30, minimum=1, maximum=100_000),
        report_bytes_per_day=section.integer(
            "report_bytes_per_day", default=64 << 20, minimum=1 << 20, maximum=1 << 40
        ),
        enroll_per_minute=section.integer(
            "enroll_per_minute", default=240, minimum=1, maximum=1_000_000
        ),
    )


def _logging(section: Section) -> LogSettings:
    return LogSettings(
        handler=section.text("handler", default="stderr"),
        level=section.text("level", default="info"),
        syslog_facility=section.text("syslog_facility", default="user"),
        syslog_host=section.text("syslog_host", default=""),
        syslog_port=section.integer("syslog_port", default=514, minimum=1, maximum=_MAX_PORT),
        syslog_protocol=section.text("syslog_protocol", default="tcp", choices=("tcp", "udp")),
        file=section.text("file", default=""),
    )


def _minutes(section: Section, name: str, default: int, *, maximum: int = 1440) -> timedelta:
    return timedelta(minutes=section.integer(name, default=default, minimum=1, maximum=maximum))


def _path(section: Section, name: str, default: Path) -> Path:
    return Path(section.text(name, default=str(default)))


def _optional_path(section: Section, name: str) -> Path | None:
    text = section.text(name, default="")
    return Path(text) if text else None
