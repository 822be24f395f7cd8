"""The trust documents that this device has verified, one file for each version.

Trust: the folder is root's; what is in it was verified before it was written.
"""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import TYPE_CHECKING

from penguindome.durable import make_private_dir, read_file, write_file
from penguindome.envelope_json import from_json, to_json
from penguindome.errors import Damaged, PenguinDomeError
from penguindome.trust import replay
from penguindome.trust_document import document_hash, from_payload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from penguindome.envelope import Envelope
    from penguindome.trust_document import TrustDocument

_NAME = re.compile(r"[1-9][0-9]{0,8}\.json")


class TrustStore:
    """The folder `trust/`; the address that worked last stands beside the documents."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.address_path = directory / "address.json"
        make_private_dir(directory)

    def newest(self) -> TrustDocument | None:
        """Return the newest document, None before the enrollment.

        Raises:
            Damaged: Its file cannot be read.
        """
        paths = self._paths()
        if not paths:
            return None
        try:
            return from_payload(from_json(read_file(paths[-1])).payload)
        except PenguinDomeError as error:
            raise Damaged(
                f"the trust document is damaged: {error}", subject=str(paths[-1])
            ) from None

    def held(self) -> list[TrustDocument]:
        """Return all documents that are kept and can be read, newest first."""
        found = []
        for path in reversed(self._paths()):
            try:
                found.append(from_payload(from_json(read_file(path)).payload))
            except PenguinDomeError:
                continue
        return found

    def keep(self, documents: Sequence[Envelope]) -> None:
        """Write documents that were verified, oldest first."""
        for envelope in documents:
            version = from_payload(envelope.payload).version
            write_file(self._directory / f"{version}.json", to_json(envelope))

    def forget(self) -> None:
        """Delete all, oldest first, so that a crash leaves the newest."""
        for path in self._paths():
            path.unlink(missing_ok=True)
        self.address_path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        found = [path for path in self._directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem))


def verified(
    documents: Sequence[Envelope],
    *,
    current: TrustDocument | None,
    pinned_hash: bytes,
    now: datetime,
) -> tuple[TrustDocument | None, tuple[Envelope, ...]]:
    """Return the newest document once a chain is applied, and what to keep of the chain.

    Args:
        documents: Oldest first.
        current: The newest document that is held; None to begin with the pinned one.
        pinned_hash: The hash that came with the token.
        now: The time.

    Raises:
        Forbidden: The chain does not lead from what is held, or was pinned, to its end.
    """
    if not documents:
        return current, ()
    newest = replay(documents, current=current, pinned_hash=pinned_hash, now=now)
    chain = tuple(documents)
    if current is None:
        # What came before the pinned document is nobody's word.
        chain = tuple(dropwhile(lambda each: document_hash(each.payload) != pinned_hash, chain))
    return newest, chain
