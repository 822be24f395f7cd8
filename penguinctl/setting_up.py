"""The steps of `penguinctl init`, each of which may have been done before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguinctl import signing, trust_view, ui, wire
from penguinctl.certificate import renewed
from penguinctl.first_trust import FirstTrust
from penguinctl.redeem import redeem
from penguinctl.session import connect

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguinctl.profile import Profile
    from penguindome.tokens import Invitation
    from penguindome.v1 import server_pb2


@dataclass(frozen=True, slots=True)
class SigningWish:
    """Which OpenPGP key the operator wants to sign with; a new one if none is named."""

    fingerprint: str | None
    home: Path | None
    passphrase_file: Path | None


class Setup:
    """Invitation, then key, then trust."""

    def __init__(self, app: App, wish: SigningWish) -> None:
        self._app = app
        self._wish = wish

    def run(self, invitation: Invitation | None, trust_hash: bytes) -> None:
        """Do what is not done yet, and say what was done."""
        app = self._app
        profile = redeem(app.folder, invitation) if invitation else app.profile
        ui.note(f"You are {profile.operator} in fleet {profile.fleet}.")
        profile = self._with_key(profile)
        session = connect(app.folder, renewed(app.folder, profile, app.now))
        request = wire.server_pb2.GetSelfRequest()
        me: server_pb2.GetSelfResponse = session.call("server.GetSelf", request)
        pinned = trust_hash or (invitation.trust_hash if invitation else b"")
        self._trust(FirstTrust(app.folder, profile, session, app.now), profile, me, pinned)
        ui.out(f"penguinctl is ready: {profile.operator} at {profile.host}:{profile.main_port}.")

    def _with_key(self, profile: Profile) -> Profile:
        if profile.signing_key and not self._wish.fingerprint:
            return profile
        key = self._key(profile)
        home = str(key.home.absolute()) if key.home else ""
        profile = replace(
            profile, signing_key=key.fingerprint, gpg_home=home, own_home=key.own_home
        )
        self._app.folder.save(profile)
        ui.note(f"You sign with the OpenPGP key {key.fingerprint}.")
        return profile

    def _key(self, profile: Profile) -> signing.SigningKey:
        wish = self._wish
        passphrase = signing.read_passphrase(wish.passphrase_file)
        if wish.fingerprint:
            return signing.existing_key(wish.fingerprint, wish.home, passphrase)
        if passphrase is None and not ui.interactive():
            passphrase = ""
        home = (wish.home or self._app.folder.path / "gnupg").absolute()
        key = signing.make_key(
            profile.operator,
            profile.fleet,
            home,
            ours=wish.home is None,
            passphrase=passphrase,
        )
        if passphrase == "":
            ui.note(
                "WARNING: the new signing key has no passphrase, as nobody was there to choose one."
                f" Give it one: gpg --homedir {home} --change-passphrase {key.fingerprint}"
            )
        return key

    def _trust(
        self,
        first: FirstTrust,
        profile: Profile,
        me: server_pb2.GetSelfResponse,
        pinned: bytes,
    ) -> None:
        documents = first.on_server()
        if documents:
            first.adopt(documents, pinned)
            ui.note(f"Trust document verified and pinned: {first.store.pin().hex()}")
            if profile.signing_key not in first.store.current().keys:
                ui.note(
                    f"Your key {profile.signing_key} is not in it yet: until a root operator adds"
                    " it (`penguinctl trust add`), what you sign is refused."
                )
        elif "admin" in me.roles:
            self._found(first, profile, me)
        else:
            ui.note("The fleet has no trust document yet; an admin's `penguinctl init` makes it.")

    def _found(self, first: FirstTrust, profile: Profile, me: server_pb2.GetSelfResponse) -> None:
        names = list(dict.fromkeys(name for name in (me.advertised_host, profile.host) if name))
        first.make(signing.own_key(profile, self._wish.passphrase_file), names)
        ui.note(f"Trust document 1 made, signed and published: {first.store.pin().hex()}")
        trust_view.advise(first.store.current())
        ui.note("Do that before you rely on this fleet.")
