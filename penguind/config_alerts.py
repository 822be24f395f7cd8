"""The settings of alerts: who is told about issues, how and when."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from penguind.domain.alert import MAIL
from penguind.domain.alert_mail import valid_address
from penguind.domain.check import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.domain.check import Severity
    from penguindome.settings import Section

Security = Literal["starttls", "tls", "none"]
_SECURITIES: tuple[Security, ...] = ("starttls", "tls", "none")
_PORTS: dict[str, int] = {"starttls": 587, "tls": 465, "none": 25}
_MAX_PORT = 65535
_MAX_TIMEOUT_SECONDS = 60
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server that takes our mail; an empty `host` means that there is none."""

    host: str = ""
    port: int = 587
    security: Security = "starttls"
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: int = 30


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One address that gets JSON."""

    name: str
    url: str
    secret_file: Path
    severities: frozenset[Severity]
    ca_file: Path | None = None
    timeout_seconds: int = 30


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Who is told, how and when.

    `digest_interval` None means daily at `digest_time` in the zone of `digest_calendar` (UTC where
    it is empty).
    """

    enabled: bool = True
    dry_run: bool = False
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    user_mail: bool = False
    immediate: frozenset[Severity] = frozenset({"critical", "high"})
    digest_time: time = time(8)
    digest_calendar: str = ""
    digest_interval: timedelta | None = None
    look_seconds: int = 30
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    webhooks: Mapping[str, WebhookSettings] = field(default_factory=dict)

    @property
    def mails(self) -> bool:
        """Tell whether mail can be sent."""
        return bool(self.smtp.host)

    def secret_files(self) -> list[Path]:
        """Return the files that hold secrets."""
        password = [self.smtp.password_file] if self.smtp.password_file else []
        return [*password, *(one.secret_file for one in self.webhooks.values())]


def read_alerts(section: Section) -> AlertSettings:
    """Read `[alerts]` and what is below it.

    Raises:
        InvalidInput: for an unknown key or a value that cannot be, named.
    """
    settings = AlertSettings(
        enabled=section.boolean("enabled", default=True),
        dry_run=section.boolean("dry_run", default=False),
        mail_from=_address(section, "mail_from"),
        mail_to=_addresses(section),
        user_mail=section.boolean("user_mail", default=False),
        immediate=_severities(section, "immediate", ("critical", "high")),
        digest_time=_time(section),
        digest_calendar=section.text("digest_calendar", default=""),
        digest_interval=_interval(section),
        look_seconds=section.integer("look_seconds", default=30, minimum=1, maximum=3600),
        smtp=_smtp(section.section("smtp")),
        webhooks=_webhooks(section),
    )
    _check_whole(section, settings)
    return settings


def _check_whole(section: Section, settings: AlertSettings) -> None:
    if settings.mails and not settings.mail_from:
        raise section.error("mail_from", "is missing", "Set it to the address that mail comes from")
    if (settings.mail_to or settings.user_mail) and not settings.mails:
        raise section.error("smtp.host", "is missing", "Set it to the server that takes our mail")


def _smtp(section: Section) -> SmtpSettings:
    security = cast("Security", section.text("security", default="starttls", choices=_SECURITIES))
    host = section.text("host", default="")
    plain_anyway = section.boolean("allow_plain", default=False)
    if security == "none" and host and not (plain_anyway or is_loopback(host)):
        raise section.error(
            "security",
            "is none, which is only for a server on this machine",
            'Set it to "starttls" or "tls", or allow_plain to true if all may read the mail',
        )
    username, password = section.text("username", default=""), section.path("password_file")
    if bool(username) != _is_set(password):
        raise section.error("username", "and password_file go together")
    return SmtpSettings(
        host=host,
        port=section.integer("port", default=_PORTS[security], minimum=1, maximum=_MAX_PORT),
        security=security,
        username=username,
        password_file=password if _is_set(password) else None,
        ca_file=_optional(section, "ca_file"),
        timeout_seconds=_timeout(section),
    )


def _webhooks(section: Section) -> dict[str, WebhookSettings]:
    hooks = section.section("webhooks")
    return {name: _webhook(hooks, name) for name in section.table("webhooks")}


def _webhook(hooks: Section, name: str) -> WebhookSettings:
    if not _NAME.fullmatch(name) or name == MAIL:
        raise hooks.error(
            name,
            "is no name for a webhook",
            "Use at most 32 lower-case letters, digits and hyphens; mail stands for mail",
        )
    section = hooks.section(name)
    secret = section.path("secret_file")
    if not _is_set(secret):
        raise section.error("secret_file", "is missing", "Name a file with a random secret")
    return WebhookSettings(
        name=name,
        url=_url(section),
        secret_file=secret,
        severities=_severities(section, "severities", SEVERITIES),
        ca_file=_optional(section, "ca_file"),
        timeout_seconds=_timeout(section),
    )


def _url(section: Section) -> str:
    text = section.text("url")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise section.error("url", "is no address") from None
    plain = parts.scheme == "http" and is_loopback(host)
    if not host or not text.isascii() or not text.isprintable() or " " in text:
        raise section.error("url", "is no address", "Write https://host/path")
    if parts.username is not None or parts.password is not None:
        raise section.error("url", "holds a login", "Receivers check the signature instead")
    if parts.scheme != "https" and not plain:
        raise section.error("url", "must begin with https://", "http is only for this machine")
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _severities(section: Section, name: str, default: tuple[Severity, ...]) -> frozenset[Severity]:
    given = section.texts(name, default)
    wrong = [one for one in given if one not in SEVERITIES]
    if wrong:
        raise section.error(name, f"holds {wrong[0][:40]!r}; possible: {', '.join(SEVERITIES)}")
    return frozenset(one for one in SEVERITIES if one in given)


def _address(section: Section, name: str) -> str:
    text = section.text(name, default="")
    if text and not valid_address(text):
        raise section.error(name, f"is {text[:60]!r}, which is no mail address")
    return text


def _addresses(section: Section) -> tuple[str, ...]:
    given = section.texts("mail_to")
    for one in given:
        if not valid_address(one):
            raise section.error("mail_to", f"holds {one[:60]!r}, which is no mail address")
    return tuple(dict.fromkeys(given))


def _time(section: Section) -> time:
    text = section.text("digest_time", default="08:00")
    match = _TIME.fullmatch(text)
    if match is None:
        raise section.error("digest_time", f"is {text[:20]!r}, which is no time such as 08:00")
    return time(int(match[1]), int(match[2]))


def _interval(section: Section) -> timedelta | None:
    minutes = section.integer("digest_interval_minutes", default=0, minimum=0, maximum=44_640)
    return timedelta(minutes=minutes) if minutes else None


def _timeout(section: Section) -> int:
    return section.integer("timeout_seconds", default=30, minimum=1, maximum=_MAX_TIMEOUT_SECONDS)


def _optional(section: Section, name: str) -> Path | None:
    path = section.path(name)
    return path if _is_set(path) else None


def _is_set(path: Path) -> bool:
    return path != Path()
