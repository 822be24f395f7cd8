"""Post signed JSON to a webhook.

Trust: the receiver may answer anything; its answer is cut, its redirects are not followed, and
proxies that the environment names are not used. Its certificate is verified.
"""

from __future__ import annotations

import http.client
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penguind.alerts.deadline import cut, in_thread
from penguind.alerts.secret_file import read_secret
from penguind.domain.alert import Outcome
from penguind.domain.alert_hook import signature
from penguindome.display import printable
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.config_alerts import WebhookSettings
    from penguind.domain.alert import Alert

_SECONDS_PER_POST = 120.0
_ANSWER_BYTES = 64 << 10
_ANSWER_LENGTH = 200
_SHORTEST_SECRET = 16
_LONGEST_WAIT_SECONDS = 14_400
_OK = range(200, 300)
_REFUSED = range(300, 500)
# Too slow, and too often: these are about now.
_LATER = frozenset({408, 429})


class WebhookChannel:
    """Posts alerts, one at a time, each over a connection of its own."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._connection: http.client.HTTPConnection | None = None

    async def send(self, alert: Alert, now: datetime) -> Outcome:
        """Try to post an alert."""
        return await in_thread(
            lambda: self._send(alert, now), hang_up=self._hang_up, seconds=_SECONDS_PER_POST
        )

    async def rest(self) -> None:
        """Nothing stays open."""

    def _hang_up(self) -> None:
        # Read once: the thread may close it meanwhile.
        connection = self._connection
        cut(None if connection is None else connection.sock)

    def _send(self, alert: Alert, now: datetime) -> Outcome:
        body = alert.text.encode("ascii")
        try:
            headers = self._headers(alert.alert_id, body, now)
            connection = self._connected()
        # A ValueError: a host that is no name.
        except (OSError, http.client.HTTPException, ValueError, PenguinDomeError) as error:
            self._close()
            return Outcome("again", _words(error), channel_down=True)
        try:
            connection.request("POST", self._target(), body, headers)
            return _outcome(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Outcome("again", f"no answer: {_words(error)}", perhaps_delivered=True)
        finally:
            self._close()

    def _connected(self) -> http.client.HTTPConnection:
        settings = self._settings
        parts = urlsplit(settings.url)
        host, seconds = parts.hostname or "", settings.timeout_seconds
        if parts.scheme == "https":
            trusted = None if settings.ca_file is None else str(settings.ca_file)
            context = ssl.create_default_context(cafile=trusted)
            self._connection = http.client.HTTPSConnection(
                host, parts.port, timeout=seconds, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
        self._connection.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _target(self) -> str:
        parts = urlsplit(self._settings.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _headers(self, alert_id: str, body: bytes, now: datetime) -> dict[str, str]:
        secret = read_secret(self._settings.secret_file)
        if len(secret) < _SHORTEST_SECRET:
            raise PenguinDomeError(
                f"the secret is shorter than {_SHORTEST_SECRET} bytes",
                subject=str(self._settings.secret_file),
                remedy="write a random one, e.g. of openssl rand -hex 32",
            )
        timestamp = str(int(now.timestamp()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "penguind",
            "Connection": "close",
            "PenguinDome-Alert-Id": alert_id,
            "PenguinDome-Timestamp": timestamp,
            "PenguinDome-Signature": signature(secret, timestamp, body),
        }


def _outcome(response: http.client.HTTPResponse) -> Outcome:
    status = response.status
    words = response.read(_ANSWER_BYTES).decode("utf-8", "replace")
    answer = _clean(f"{status} {response.reason} {words}")
    if status in _OK:
        return Outcome("sent", answer)
    if status in _REFUSED and status not in _LATER:
        return Outcome("refused", answer)
    return Outcome("again", answer, wait=_wait(response.getheader("Retry-After", "")))


def _wait(text: str) -> timedelta:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return timedelta(seconds=min(seconds, _LONGEST_WAIT_SECONDS))


def _words(error: Exception) -> str:
    if isinstance(error, PenguinDomeError):
        return error.text()
    return _clean(str(error) or type(error).__name__)


def _clean(text: str) -> str:
    return printable(" ".join(text.split()))[:_ANSWER_LENGTH]
