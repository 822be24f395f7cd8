"""Become a device of a fleet, stay one, cease to be one.

The order is the point: the server's certificate is held against the token's anchor, then the trust
document against the token's hash, and only then is the token's secret sent.
"""

from __future__ import annotations

import asyncio
import base64
import platform
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguin_agent.bootstrap import Application, BootstrapClient, Standing
from penguin_agent.hints import machine_hints
from penguin_agent.identity import Device
from penguin_agent.trust_store import TrustStore
from penguin_agent.trust_update import (
    at_any,
    bootstrap_addresses,
    token_address,
    update_trust,
    verified_chain,
)
from penguin_agent.version import agent_version
from penguindome.envelope import open_envelope
from penguindome.errors import AlreadyExists, Damaged, Forbidden
from penguindome.keys import sign
from penguindome.names import clean_hostname
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from penguin_agent.bootstrap import Answer
    from penguin_agent.identity import Identity
    from penguin_agent.identity_folder import Candidate, IdentityFolder
    from penguindome.envelope import Envelope
    from penguindome.tokens import EnrollmentToken
    from penguindome.trust_document import TrustDocument

OS_NAME_LIMIT = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the device stands after an attempt.

    identity: once it is in. poll_after: when to ask again while it waits. fingerprint: of its key.
    """

    identity: Identity | None
    fingerprint: str
    device_id: str
    poll_after: timedelta | None = None


class Enrollment:
    """Enrolls and renews one device.

    Args:
        identities: the identity's folder.
        trust: the trust documents.
        agent_version: told to the server.
        clock: the device's clock.
    """

    def __init__(
        self,
        identities: IdentityFolder,
        trust: TrustStore,
        *,
        agent_version: str,
        clock: Callable[[], datetime],
        hints: Callable[[str], Mapping[str, bytes]] = machine_hints,
    ) -> None:
        self._identities = identities
        self._trust = trust
        self._version = agent_version
        self._clock = clock
        self._hints = hints

    async def enroll(self, token: EnrollmentToken) -> Outcome:
        """Redeem a token; repeating it after a crash or a lost answer is harmless.

        Raises:
            AlreadyExists: The device is enrolled.
            Forbidden: The server's trust document is not the one that the token pins.
        """
        if self._identities.load() is not None:
            raise AlreadyExists(
                "this device is enrolled already",
                remedy="Run penguin-agent unenroll first if it shall move to another fleet",
            )
        device = self._device(token)
        async with BootstrapClient(token_address(device)) as client:
            chain = await client.trust_chain(0)
            if not chain:
                raise Forbidden("the server has no trust document", code="trust-missing")
            # What an earlier application left behind is not what this token builds on.
            document, believed = await verified_chain(
                chain, pinned_hash=token.trust_hash, current=None, now=self._clock()
            )
            candidate = self._identities.candidate()
            self._identities.apply(device)
            application = self._application(token, candidate)
            answer = await client.enroll(application, candidate.sign)
        self._trust.forget()
        self._trust.keep(believed)
        return self._settle(answer, replace(device, device_id=answer.device_id), document)

    async def poll(self) -> Outcome:
        """Ask whether the waiting application was approved.

        Raises:
            Forbidden: It was rejected, or the approval is not what operators signed.
        """
        identity = self._identities.load()
        if identity is not None:
            return Outcome(identity, identity.facts.fingerprint, identity.device.device_id)
        device = self._identities.application()
        if device is None or not device.device_id:
            raise Damaged("no enrollment is under way", remedy="Run penguin-agent enroll")
        candidate = self._identities.candidate()
        answer = await at_any(
            bootstrap_addresses(device, self._trust),
            lambda client: client.poll(device.device_id, candidate.sign),
        )
        if answer.approval is None:
            return self._settle(answer, device, self._trust.newest())
        # Who may approve, and until when, may have changed while we waited.
        document = await update_trust(self._trust, device, self._clock())
        if document is None:
            raise Forbidden("the server has no trust document", code="trust-missing")
        await self._check_approval(answer.approval, device, candidate, document)
        return self._settle(answer, replace(device, approval="operator"), document)

    async def renew(self, identity: Identity) -> Identity | None:
        """Get a certificate for a fresh key; None while an operator has to approve again.

        Raises:
            PenguinDomeError: The server refused, or cannot be reached.
        """
        candidate = self._identities.candidate()
        proofs = self._identities.proofs(identity, self._clock())
        device = identity.device
        answer = await at_any(
            bootstrap_addresses(device, self._trust),
            lambda client: client.renew(
                device.device_id, candidate.csr, lambda data: sign(identity.key_pem, data), proofs
            ),
        )
        if answer.standing is not Standing.ACTIVE:
            return None
        return self._identities.accept(answer.certificate, device)

    async def _check_approval(
        self, approval: Envelope, device: Device, candidate: Candidate, document: TrustDocument
    ) -> None:
        payload = await asyncio.to_thread(
            open_envelope,
            approval,
            trust=document,
            role="approve",
            fleet=device.fleet,
            device_id=device.device_id,
            now=self._clock(),
        )
        named = payload.body.get("fingerprint")
        if approval.kind != "enroll" or named != candidate.fingerprint:
            raise Forbidden(
                "the approval is for another key than this device's", code="approval-wrong"
            )

    def _settle(self, answer: Answer, device: Device, document: TrustDocument | None) -> Outcome:
        candidate = self._identities.candidate()
        if document is not None and document.fleet != device.fleet:
            raise Forbidden("the trust document is another fleet's", code="trust-fleet")
        if answer.standing is Standing.REJECTED:
            self._identities.abandon()
            raise Forbidden(
                "an operator rejected this device",
                code="enrollment-rejected",
                subject=device.device_id,
                remedy="Ask for a new token",
            )
        self._identities.apply(device)
        if answer.standing is Standing.PENDING:
            return Outcome(None, candidate.fingerprint, device.device_id, answer.poll_after)
        identity = self._identities.accept(answer.certificate, device)
        return Outcome(identity, identity.facts.fingerprint, device.device_id)

    def _device(self, token: EnrollmentToken) -> Device:
        """Return what is known before the server answers; a repeat goes on where it stopped."""
        fresh = Device(
            device_id="",
            fleet=token.fleet,
            host=token.host,
            main_port=token.main_port,
            bootstrap_port=token.bootstrap_port,
            anchor=base64.b64encode(token.anchor).decode(),
            trust_hash=token.trust_hash.hex(),
            token_id=token.token_id.hex(),
        )
        waiting = self._identities.application()
        if waiting is not None and waiting.token_id != fresh.token_id:
            self._identities.abandon()
        return fresh

    def _application(self, token: EnrollmentToken, candidate: Candidate) -> Application:
        return Application(
            token_id=token.token_id,
            secret=token.secret,
            csr=candidate.csr,
            hostname=clean_hostname(socket.gethostname()),
            hints=self._hints(token.fleet),
            agent_version=self._version,
            os_name=os_name(),
        )


def make_enrollment(identities: IdentityFolder, state_dir: Path) -> Enrollment:
    """Return the enrollment of the device whose state is in a folder."""
    return Enrollment(
        identities, TrustStore(state_dir / "trust"), agent_version=agent_version(), clock=utc_now
    )


def os_name() -> str:
    """Return how the operating system calls itself, e.g. "Debian GNU/Linux 12 (bookworm)"."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")[:OS_NAME_LIMIT]
    except OSError:
        return "Linux"
