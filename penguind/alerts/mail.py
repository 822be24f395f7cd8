"""Hand mails to a mail server, several over one connection.

Trust: the mail server may say anything; what it says is cut and never obeyed. Its certificate is
verified, and where encryption is demanded nothing is sent before it.
"""

from __future__ import annotations

import base64
import contextlib
import smtplib
import ssl
from typing import TYPE_CHECKING

from penguind.alerts.deadline import cut, in_thread
from penguind.alerts.secret_file import read_secret
from penguind.domain.alert import Outcome
from penguind.domain.alert_mail import Mail, mail_bytes
from penguindome.display import printable
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.config_alerts import AlertSettings
    from penguind.domain.alert import Alert

_MAILS_PER_CONNECTION = 50
_SECONDS_PER_MAIL = 240.0
_ANSWER_LENGTH = 200
_READY = 220
_LOGGED_IN = 235
_OK = 250
_OTHER_RECIPIENT = 251
_PERMANENT = 500


class MailChannel:
    """Sends mails, one at a time.

    Args:
        settings: the mail server, and who our mail comes from.
        fleet_id: stands in the mails' ids.
        name: what we call ourselves to the mail server.
    """

    def __init__(self, settings: AlertSettings, fleet_id: str, name: str) -> None:
        self._smtp = settings.smtp
        self._sender = settings.mail_from
        self._fleet_id = fleet_id
        self._name = name
        self._client: smtplib.SMTP | None = None
        self._sent = 0

    async def send(self, alert: Alert, now: datetime) -> Outcome:
        """Try to send an alert."""
        del now
        return await in_thread(
            lambda: self._send(alert), hang_up=self._hang_up, seconds=_SECONDS_PER_MAIL
        )

    async def rest(self) -> None:
        """Close the connection, for there is nothing more to send now."""
        if self._client is not None:
            await in_thread(self._quit, hang_up=self._hang_up, seconds=self._smtp.timeout_seconds)

    def _hang_up(self) -> None:
        # Read once: the thread may drop it meanwhile.
        client = self._client
        cut(None if client is None else client.sock)

    def _send(self, alert: Alert) -> Outcome:
        mail = Mail(alert.alert_id, alert.recipient, alert.subject, alert.text, alert.created_time)
        try:
            data = mail_bytes(mail, sender=self._sender, fleet_id=self._fleet_id)
        except PenguinDomeError as error:
            return Outcome("refused", error.text())
        try:
            client = self._connected()
        # A ValueError: a host that is no name, or a challenge of the server's that is garbage.
        except (OSError, smtplib.SMTPException, ValueError, PenguinDomeError) as error:
            self._drop()
            return Outcome("again", f"{self._smtp.host}: {_words(error)}", channel_down=True)
        outcome = _hand_over(client, self._sender, alert.recipient, data)
        self._sent += 1
        if outcome.result == "again":
            self._drop()
        return outcome

    def _connected(self) -> smtplib.SMTP:
        """Return a connection that takes a mail, an old one if it still does."""
        if self._client is not None and self._sent < _MAILS_PER_CONNECTION:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._client.rset()[0] == _OK:
                    return self._client
        self._quit()
        self._sent = 0
        self._client = self._open()
        return self._client

    def _open(self) -> smtplib.SMTP:
        smtp = self._smtp
        trusted = None if smtp.ca_file is None else str(smtp.ca_file)
        seconds = smtp.timeout_seconds
        # Made before it connects, so that whoever hangs up finds it.
        if smtp.security == "tls":
            context = ssl.create_default_context(cafile=trusted)
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                local_hostname=self._name, timeout=seconds, context=context
            )
        else:
            client = smtplib.SMTP(local_hostname=self._name, timeout=seconds)
        self._client = client
        # TLS verifies this name.
        client._host = smtp.host  # type: ignore[attr-defined]  # noqa: SLF001 -- only its constructor, which connects, sets it
        code, text = client.connect(smtp.host, smtp.port)
        if code != _READY:
            raise smtplib.SMTPConnectError(code, text)
        client.ehlo()
        if smtp.security == "starttls":
            client.starttls(context=ssl.create_default_context(cafile=trusted))
            client.ehlo()
        if smtp.username and smtp.password_file is not None:
            _log_in(client, smtp.username, read_secret(smtp.password_file))
        return client

    def _quit(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._client.quit()
        self._drop()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None


def _log_in(client: smtplib.SMTP, username: str, password: bytes) -> None:
    if username.isascii() and password.isascii():
        client.login(username, password.decode("ascii"))
        return
    # smtplib knows only ASCII; RFC 4616 says that PLAIN is UTF-8.
    words = base64.b64encode(b"\0" + username.encode() + b"\0" + password).decode("ascii")
    code, text = client.docmd("AUTH", f"PLAIN {words}")
    if code != _LOGGED_IN:
        raise smtplib.SMTPAuthenticationError(code, text)


def _hand_over(client: smtplib.SMTP, sender: str, recipient: str, data: bytes) -> Outcome:
    """Send one mail; only a refusal of its recipient, or of itself, is for good."""
    try:
        code, text = client.mail(sender)
        if code != _OK:
            return Outcome("again", _answer(code, text), channel_down=True)
        code, text = client.rcpt(recipient)
    except (OSError, smtplib.SMTPException) as error:
        return Outcome("again", _words(error))
    if code not in (_OK, _OTHER_RECIPIENT):
        return _refusal(code, text)
    try:
        code, text = client.data(data)
    except smtplib.SMTPDataError as error:
        return _refusal(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return Outcome("again", f"no answer to the mail: {_words(error)}", perhaps_delivered=True)
    return Outcome("sent", _answer(code, text)) if code == _OK else _refusal(code, text)


def _refusal(code: int, text: bytes | str) -> Outcome:
    return Outcome("refused" if code >= _PERMANENT else "again", _answer(code, text))


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    if isinstance(error, PenguinDomeError):
        return error.text()
    return _clean(str(error) or type(error).__name__)


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return _clean(f"{code} {words}")


def _clean(text: str) -> str:
    return printable(" ".join(text.split()))[:_ANSWER_LENGTH]
