"""Where the server is by the signed trust document, when it is not where it was."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from penguinctl import ui
from penguinctl.trust_store import TrustStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.profile import Profile, ProfileFolder

# A command that can go on elsewhere must not wait for long.
_KNOCK_SECONDS = 3.0


def placed(folder: ProfileFolder, profile: Profile) -> Profile:
    """Return the profile with an address where somebody answers, and keep it.

    Without other addresses in the newest trust document nothing is tried and nothing changes.
    """
    for each in _candidates(folder, profile):
        if _answers(each.host, each.main_port):
            if each != profile:
                ui.note(f"The server is at {each.host}:{each.main_port} now.")
                folder.save(each)
            return each
    return profile


def _candidates(folder: ProfileFolder, profile: Profile) -> Sequence[Profile]:
    """Return profiles by address: the present one first, unless the document lacks it."""
    store = TrustStore(folder)
    named = store.current().server_addresses if store.versions() else ()
    others = [
        replace(profile, host=one.host, main_port=one.main_port, bootstrap_port=one.bootstrap_port)
        for one in named
    ]
    if profile in others:
        others.remove(profile)
        return [profile, *others] if others else []
    return [*others, profile] if others else []


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), _KNOCK_SECONDS):
            return True
    except OSError:
        return False
