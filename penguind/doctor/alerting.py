"""The check of what tells people: is there anything, and does the mail server answer."""

from __future__ import annotations

import smtplib
import ssl
from typing import TYPE_CHECKING

from penguind.doctor.running import Finding, fail, ok, warn

if TYPE_CHECKING:
    from penguind.config_alerts import SmtpSettings
    from penguind.doctor.examination import Examination

_SECONDS = 5


def alerts(examination: Examination) -> Finding:
    """Check that alerts are on and that the mail server answers; nothing is sent."""
    settings = examination.settings.alerts
    if not settings.enabled or settings.dry_run:
        return warn("alerts are switched off", "set alerts.enabled, without alerts.dry_run")
    if not settings.mails and not settings.webhooks:
        return warn("nobody is told about issues", "set [alerts.smtp] and mail_to, or a webhook")
    if not settings.mails:
        return ok(f"{len(settings.webhooks)} webhooks are told")
    smtp = settings.smtp
    where = f"{smtp.host}:{smtp.port}"
    try:
        _greet(smtp)
    except (OSError, smtplib.SMTPException) as error:
        reason = str(error)[:200] or type(error).__name__
        return fail(f"the mail server {where} does not answer: {reason}", "correct [alerts.smtp]")
    return ok(f"the mail server {where} answers")


def _greet(smtp: SmtpSettings) -> None:
    """Connect, encrypt where that is set, and say goodbye."""
    context = ssl.create_default_context(cafile=str(smtp.ca_file) if smtp.ca_file else None)
    if smtp.security == "tls":
        with smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=_SECONDS, context=context) as server:
            server.noop()
        return
    with smtplib.SMTP(smtp.host, smtp.port, timeout=_SECONDS) as server:
        if smtp.security == "starttls":
            server.starttls(context=context)
        server.noop()
