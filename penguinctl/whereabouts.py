"""Where the server is by the signed trust document, when it is not where it was."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from penguinctl import ui
from penguinctl.trust_store import TrustStore

if TYPE_CHECKING:
    from penguinctl.profile import Profile, ProfileFolder

# A command that can go on elsewhere must not wait for long.
_KNOCK_SECONDS = 3.0


def placed(folder: ProfileFolder, profile: Profile) -> Profile:
    """Return the profile with an address where our server answers, and keep it.

    The present one comes first. Without other addresses in the newest trust document nothing is
    tried and nothing changes.
    """
    found = _candidates(folder, profile)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=folder.read("anchor.pem").decode())
    for each in found if len(found) > 1 else ():
        if _answers(context, each.host, each.main_port):
            if each != profile:
                ui.note(f"The server is at {each.host}:{each.main_port} now.")
                folder.save(each)
            return each
    return profile


def _candidates(folder: ProfileFolder, profile: Profile) -> list[Profile]:
    store = TrustStore(folder)
    named = store.current().server_addresses if store.versions() else ()
    others = (
        replace(profile, host=one.host, main_port=one.main_port, bootstrap_port=one.bootstrap_port)
        for one in named
    )
    return [profile, *(one for one in others if one != profile)]


def _answers(context: ssl.SSLContext, host: str, port: int) -> bool:
    """Tell whether a server that proves itself answers; it may still refuse us."""
    try:
        with (
            socket.create_connection((host, port), _KNOCK_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False
