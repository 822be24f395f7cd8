"""Send log records where the settings say, one line each, whatever they hold.

Trust: arguments of a record may come from devices or peers; control characters are escaped, and a
record whose placeholders do not fit its arguments is written raw instead of lost.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import logbook
import logbook.compat
import logbook.more

from penguindome import syslog
from penguindome.display import printable
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_LIMIT_BYTES = 1024 * 1024
FILE_BACKUPS = 5
_PLAIN = "{record.time:%Y-%m-%dT%H:%M:%S}Z {record.level_name} {record.channel}: {record.message}"
_SHORT = "{record.channel}: {record.message}"
_PRIORITY = {
    logbook.DEBUG: 7,
    logbook.INFO: 6,
    logbook.NOTICE: 5,
    logbook.WARNING: 4,
    logbook.ERROR: 3,
    logbook.CRITICAL: 2,
}
_NAMES = {severity: logbook.get_level_name(level) for level, severity in _PRIORITY.items()}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Say where records go.

    Attributes:
        handler: A Logbook handler's name without "Handler", e.g. stderr, syslog, rotating-file.
        level: The least level that is written.
        syslog_facility: For syslog.
        syslog_host: For syslog over the network; empty for the local socket.
        syslog_port: For syslog over the network.
        syslog_protocol: For syslog over the network: tcp or udp.
        file: For handlers that write to a file.
    """

    handler: str = "stderr"
    level: str = "info"
    syslog_facility: str = "user"
    syslog_host: str = ""
    syslog_port: int = 514
    syslog_protocol: str = "tcp"
    file: str = ""


class _OneLine(logbook.StringFormatter):
    """Format a record as one printable line; never fail."""

    def format_record(self, record: Any, handler: Any) -> str:
        """Return the line of a record."""
        try:
            line = super().format_record(_Shown(record), handler)
        except Exception as error:  # noqa: BLE001 -- a record must never be lost to its arguments
            line = f"{record.channel}: unformattable record {record.msg!r} ({type(error).__name__})"
        return printable(str(line))

    def format_exception(self, record: Any) -> str | None:
        """Return the traceback as a single line."""
        text = record.formatted_exception
        return None if text is None else " | " + " | ".join(text.split("\n"))

    def __call__(self, record: Any, handler: Any) -> str:
        """Return the whole line, traceback included."""
        return self.format_record(record, handler) + printable(self.format_exception(record) or "")


class _Journal(_OneLine):
    """Put the priority in front, as sd-daemon(3) defines it."""

    def __call__(self, record: Any, handler: Any) -> str:
        return f"<{_PRIORITY.get(record.level, 4)}>{super().__call__(record, handler)}"


class _Syslog(logbook.Handler, logbook.StringFormatterHandlerMixin):
    """Hand records to the thread that talks to syslog."""

    def __init__(self, sender: syslog.Sender) -> None:
        logbook.Handler.__init__(self)
        logbook.StringFormatterHandlerMixin.__init__(self, _SHORT)
        self._sender = sender

    def emit(self, record: Any) -> None:
        """Send one record, without waiting for it."""
        severity = _PRIORITY.get(record.level, 4)
        time = f"{record.time:%Y-%m-%dT%H:%M:%S}Z"
        self._sender.put(syslog.Line(severity, time, self.format(record)))

    def wait_connected(self) -> str:
        """Return why there is no connection yet, empty if there is; waits a few seconds at most."""
        return self._sender.wait_connected()

    def close(self) -> None:
        """Write what waits, for a moment."""
        self._sender.close()


class _Shown:
    """Be a record whose message can always be had."""

    def __init__(self, record: Any) -> None:
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)

    @property
    def message(self) -> str:
        """Return the message, or the raw parts where they do not fit together."""
        record = self._record
        try:
            return str(record.message)
        except Exception:  # noqa: BLE001 -- wrong placeholders raise whatever they like
            return f"{record.msg} {record.args!r} {record.kwargs!r}"


def logger(name: str) -> logbook.Logger:
    """Return a logger; it writes where `install` says."""
    return logbook.Logger(name)


def install(settings: LogSettings, program: str) -> None:
    """Send all records of this process, the standard library's included, to one handler.

    Raises:
        InvalidInput: There is no such handler, level or facility.
    """
    handler, warning = make_handler(settings, program)
    handler.push_application()
    if isinstance(handler, _Syslog):
        atexit.register(handler.close)
    logbook.compat.redirect_logging()
    # Libraries tell every step of their work at debug: with the data in it, and at a high price.
    logging.getLogger().setLevel(logging.INFO)
    if warning:
        logger(program).warning("{}", warning)


def make_handler(settings: LogSettings, program: str) -> tuple[logbook.Handler, str]:
    """Return the handler that settings describe, and a warning if records go to stderr instead.

    A syslog that cannot be reached is tried again later.

    Raises:
        InvalidInput: There is no such handler, level or facility.
    """
    level = _level(settings.level)
    kind = _handler_class(settings.handler)
    logbook.set_datetime_format("utc")
    warning = ""
    try:
        handler = _BUILDERS.get(kind.__name__, _plain)(kind, settings, program)
    except OSError as error:
        warning = f"logging to {settings.handler} failed ({error}); logging to stderr instead"
        handler = logbook.StderrHandler()
    except TypeError:
        raise _bad(f"the handler {settings.handler!r} needs settings that there are not") from None
    handler.level = level
    if hasattr(handler, "format_string"):
        _set_format(handler)
    if isinstance(handler, _Syslog) and (reason := handler.wait_connected()):
        warning = f"logging to syslog failed ({reason}); logging to stderr until it answers"
    return handler, warning


def _set_format(handler: Any) -> None:
    if isinstance(handler, logbook.StderrHandler) and _to_journal():
        handler.formatter_class, handler.format_string = _Journal, _SHORT
    else:
        handler.formatter_class = _OneLine
        handler.format_string = _SHORT if isinstance(handler, _Syslog) else _PLAIN


def _level(name: str) -> int:
    try:
        return int(logbook.lookup_level(name.upper()))
    except (LookupError, ValueError, TypeError):
        raise _bad(f"there is no log level {name!r}", "Use debug, info, warning or error") from None


def _handler_class(name: str) -> Any:
    wanted = name.replace("-", "").replace("_", "").lower() + "handler"
    for module in (logbook, logbook.more):
        for found in vars(module).values():
            if (
                isinstance(found, type)
                and issubclass(found, logbook.Handler)
                and found.__name__.lower() == wanted
            ):
                return found
    raise _bad(f"there is no log handler {name!r}", "Use stderr, syslog, rotating-file or null")


def _plain(kind: Any, settings: LogSettings, program: str) -> logbook.Handler:
    del settings, program
    return kind()


def _file(kind: Any, settings: LogSettings, program: str) -> logbook.Handler:
    del program
    if not settings.file:
        raise _bad(f"the handler {settings.handler!r} needs a file", "Set `file` beside `handler`")
    options = {"max_size": FILE_LIMIT_BYTES, "backup_count": FILE_BACKUPS}
    rotating = kind.__name__ == "RotatingFileHandler"
    return kind(settings.file, delay=False, **(options if rotating else {}))


def _syslog(kind: Any, settings: LogSettings, program: str) -> logbook.Handler:
    if settings.syslog_facility not in kind.facility_names:
        raise _bad(f"there is no syslog facility {settings.syslog_facility!r}", "Use user")
    if settings.syslog_protocol not in ("tcp", "udp"):
        raise _bad(f"syslog_protocol is {settings.syslog_protocol!r}", "Use tcp or udp")
    listener = syslog.Listener(settings.syslog_host, settings.syslog_port, settings.syslog_protocol)
    facility = kind.facility_names[settings.syslog_facility]
    return _Syslog(syslog.Sender(listener, facility, program, _stderr_line()))


def _stderr_line() -> Callable[[syslog.Line], str]:
    """Return what writes a line for stderr, as the handler for stderr would."""
    if _to_journal():
        return lambda line: f"<{line.severity}>{line.text}"
    return lambda line: f"{line.time} {_NAMES[line.severity]} {line.text}"


_BUILDERS: dict[str, Callable[[Any, LogSettings, str], logbook.Handler]] = {
    "FileHandler": _file,
    "MonitoringFileHandler": _file,
    "RotatingFileHandler": _file,
    "TimedRotatingFileHandler": _file,
    "SyslogHandler": _syslog,
}


def _to_journal() -> bool:
    """Tell whether stderr is the journal's stream. Source: systemd.exec(5), JOURNAL_STREAM."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _bad(reason: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(reason, code="bad-setting", subject="logging", remedy=remedy)
