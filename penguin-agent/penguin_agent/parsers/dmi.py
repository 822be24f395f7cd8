"""Read dmidecode's report. Source: dmidecode(8) 3.5."""

from __future__ import annotations

SECTION = "System Information"
_NO_ANSWER = ("Not Applicable", "Not Specified", "Not Present")


def section(text: str, title: str = SECTION) -> dict[str, str]:
    """Return the fields of the first section of that title; {} when there is none.

    A field's further lines, which are indented once more, follow its value after a line break.
    """
    fields: dict[str, str] = {}
    inside, name = False, ""
    for line in text.splitlines():
        if not line.startswith("\t"):
            if inside and not line.strip():
                break
            inside = inside or line.strip() == title
        elif inside and line.startswith("\t\t"):
            if name:
                fields[name] = f"{fields[name]}\n{line.strip()}".strip()
        elif inside:
            name, _, value = (part.strip() for part in line.partition(":"))
            if name:
                fields[name] = value
    return {name: value for name, value in fields.items() if value not in _NO_ANSWER}


def has_no_dmi(text: str) -> bool:
    """Return whether the machine has no such table at all (many ARM boards, containers).

    dmidecode goes to /dev/mem only when the kernel has none below /sys/firmware/dmi; there it may
    be kept out by the kernel's lockdown or by the agent's own unit.
    """
    return "No SMBIOS nor DMI entry point found" in text or "/dev/mem: " in text
