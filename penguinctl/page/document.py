"""The whole page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import moments
from penguinctl.page import parts
from penguinctl.page.style import CSS
from penguinctl.page.text import text

if TYPE_CHECKING:
    from datetime import datetime

    from penguindome.v1 import server_pb2 as pb

# Nothing is fetched and nothing runs, whatever a device writes into its names.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(seen: pb.GetOverviewResponse, *, server: str, selectors: str, now: datetime) -> str:
    """Return the page as HTML.

    Args:
        seen: What the server told.
        server: Where it is, for people.
        selectors: Which devices were asked about; empty for all.
        now: The time of this look.
    """
    about = f"Devices: {text(selectors)}. " if selectors else ""
    # With the zone: the page is passed on.
    made = text(moments.local(seen.time_unix_ms, now).partition(" (")[0])
    body = "".join(
        [
            parts.numbers(seen),
            parts.posture(seen),
            parts.trends(seen.trend, now),
            '<div class="pair" style="margin: 1.25rem 0">',
            parts.kinds("Operating systems", seen.operating_systems, seen.devices),
            parts.kinds("Agent versions", seen.agent_versions, seen.devices),
            "</div>",
            parts.silent(seen, now),
        ]
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Fleet overview, {made}</title>
<style>{CSS}</style>
</head>
<body>
<header>
<h1>Fleet overview</h1>
<p class="soft">{about}As of {made}.</p>
</header>
<main>
{body}
</main>
<footer>
<p>Fleet {text(seen.fleet_id)}, server {text(server)}. Made by PenguinDome: penguinctl overview.</p>
</footer>
</body>
</html>
"""
