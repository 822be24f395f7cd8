"""The server's rules for trust over a real database, real keys, and a device that follows.

For the stateful test: what each step has to lead to, the model says.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from penguin_agent.trust_store import TrustStore as DeviceTrust
from penguin_agent.trust_store import verified
from penguind.identity.trust import Trust
from penguind.identity.trust_proposals import TrustProposals
from penguind.store.database import open_database
from penguind.store.trust import TrustStore
from penguind.store.trust_proposals import TrustProposalStore
from penguindome.envelope import Envelope, signed_bytes
from penguindome.trust import Role, TrustDocument, document_hash, renewed, to_payload

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from tests.penguindome.signing import Fleet


class TrustWorld:
    """One fleet's documents and proposals; `close` drops the database and the device."""

    def __init__(self, signing: Fleet, uri: str, name: str) -> None:
        self.signing = signing
        self._runner = asyncio.Runner()
        self._database = self.do(open_database(uri, name))
        self._store = TrustStore(self._database)
        self._proposal_store = TrustProposalStore(self._database)
        self.trust, self.proposals = self.process()
        self.folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
        self.device = DeviceTrust(self.folder / "trust")
        self._numbers = itertools.count()

    def close(self) -> None:
        self.do(self._database.client.drop_database(self._database.db.name))
        self.do(self._database.close())
        self._runner.close()
        shutil.rmtree(self.folder)

    def do(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(step)

    def process(self) -> tuple[Trust, TrustProposals]:
        """Return the rules as another server process has them."""
        trust = Trust(self._store, self.signing.id, lambda: self.signing.now)
        return trust, TrustProposals(self._proposal_store, trust, lambda: self.signing.now)

    def document(
        self, current: TrustDocument, roots: Sequence[str], threshold: int, step: int
    ) -> TrustDocument:
        """Return what somebody may want next; never the same bytes twice."""
        keys = {name: self.signing.keys[name] for name in roots}
        role = Role(threshold, tuple(keys.values()))
        return replace(
            renewed(current, self.signing.now),
            version=current.version + step,
            keys={key: self.signing.blob(name) for name, key in keys.items()},
            operators={key: name for name, key in keys.items()},
            roles={"root": role},
            minimum_agent=f"1.{next(self._numbers)}",
        )

    def sign(self, payload: bytes, name: str) -> bytes:
        return self.signing.home.sign(self.signing.keys[name], signed_bytes("trust", payload))

    def envelope(self, document: TrustDocument, names: Sequence[str]) -> Envelope:
        payload = to_payload(document)
        return Envelope("trust", payload, tuple(self.sign(payload, name) for name in names))

    def chain(self) -> list[Envelope]:
        return [envelope for _, envelope in self.do(self._store.after(0))]

    def offer(self, documents: Sequence[Envelope]) -> int:
        """Have the device follow what a server says; return the version that it holds then."""
        held = self.device.newest()
        pinned = document_hash(self.chain()[0].payload)
        newest, kept = verified(documents, current=held, pinned_hash=pinned, now=self.signing.now)
        self.device.keep(kept)
        assert newest is not None
        return newest.version
