"""Read os-release. Source: os-release(5), systemd 255."""

from __future__ import annotations

import shlex


def parse(text: str) -> dict[str, str]:
    """Return the variables; lines that are no assignment are passed over."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not name or name.startswith("#"):
            continue
        try:
            words = shlex.split(value)
        except ValueError:
            continue
        # shlex leaves the escapes that a shell takes away between double quotes.
        found[name] = words[0].replace("\\$", "$").replace("\\`", "`") if words else ""
    return found


def os_info(text: str) -> dict[str, str]:
    """Return the distribution's name and version; a rolling one has its build id, or ""."""
    variables = parse(text)
    return {
        "distname": variables.get("NAME") or "Linux",
        "version": variables.get("VERSION_ID") or variables.get("BUILD_ID", ""),
    }
