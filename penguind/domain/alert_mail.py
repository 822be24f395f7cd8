"""Build mails whose headers no hostname, issue or parameter can break.

Source: RFC 5322 (messages), RFC 2047 (words in headers), RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from penguindome.display import printable
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

# Not every server takes 8-bit text.
_POLICY = SMTP.clone(cte_type="7bit")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_MAX_ADDRESS_LENGTH = 254
_MAX_SUBJECT_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says, before it has headers."""

    mail_id: str
    recipient: str
    subject: str
    text: str
    time: datetime


def valid_address(text: str) -> bool:
    """Tell whether a text is a mail address and nothing more: ASCII, no quotes, no comments."""
    return len(text) <= _MAX_ADDRESS_LENGTH and _ADDRESS.fullmatch(text) is not None


def header_line(text: str) -> str:
    """Return a text as one short line that means itself in a header."""
    line = " ".join(printable(text).split())
    # Else a reader would take it for an encoded word.
    line = line.replace("=?", "= ?")
    return line if len(line) <= _MAX_SUBJECT_LENGTH else f"{line[: _MAX_SUBJECT_LENGTH - 1]}…"


def mail_bytes(mail: Mail, *, sender: str, fleet_id: str) -> bytes:
    """Return the mail as it goes over the wire; the same each time.

    Raises:
        InvalidInput: an address is none.
    """
    for address in (sender, mail.recipient):
        if not valid_address(address):
            raise InvalidInput("this is no mail address", subject=address[:80])
    message = EmailMessage(_POLICY)
    message["From"] = Address("PenguinDome", addr_spec=sender)
    message["To"] = Address(addr_spec=mail.recipient)
    message["Subject"] = header_line(mail.subject)
    message["Date"] = mail.time
    # Short enough to stand on one line: not every reader unfolds it.
    message["Message-ID"] = f"<{mail.mail_id}@{fleet_id}.pd>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message.as_bytes()
