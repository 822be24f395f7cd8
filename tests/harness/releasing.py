"""Releases in tests: an office that uploads contents, publishes, and looks at rings."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguind.store.blobs import PIECE_BYTES
from penguindome.envelope import make_payload
from penguindome.ids import new_ulid
from penguindome.v1 import agent_pb2, order_pb2, release_pb2
from penguindome.v1.release_pb2_grpc import ReleaseServiceStub
from tests.harness.ordering import SECONDS, Laptop, Office, open_office

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penguindome.v1 import envelope_pb2
    from tests.harness.serving import Running
    from tests.penguindome.signing import Fleet


class ReleaseOffice(Office):
    """Operators who sign, and publish releases."""

    @property
    def releases(self) -> ReleaseServiceStub:
        return ReleaseServiceStub(self.server.channel(self.operators["alice"]))

    async def missing(self, *digests: bytes) -> set[bytes]:
        request = release_pb2.FindMissingBlobsRequest(sha256=digests)
        return set((await self.releases.FindMissingBlobs(request)).sha256)

    async def upload(self, data: bytes, *, digest: bytes = b"", size: int | None = None) -> None:
        """Upload a content, announced as it is unless told otherwise."""
        announced = {"sha256": digest or hashlib.sha256(data).digest()}
        first = release_pb2.UploadBlobRequest(
            size=len(data) if size is None else size, data=data[:PIECE_BYTES], **announced
        )
        rest = range(PIECE_BYTES, len(data), PIECE_BYTES)
        more = [release_pb2.UploadBlobRequest(data=data[at : at + PIECE_BYTES]) for at in rest]
        await self.pieces([first, *more])

    async def pieces(self, messages: Iterable[release_pb2.UploadBlobRequest]) -> None:
        await self.releases.UploadBlob(iter(messages))

    async def download(self, digest: bytes) -> bytes:
        request = release_pb2.DownloadBlobRequest(sha256=digest)
        return b"".join([one.data async for one in self.releases.DownloadBlob(request)])

    async def fetch(self, who: Laptop, order_id: str, data: bytes, offset: int = 0) -> bytes:
        """Fetch, as a device, the content that these bytes are."""
        return await self.fetch_raw(who, order_id, hashlib.sha256(data).digest(), offset)

    async def fetch_raw(self, who: Laptop, order_id: str, digest: bytes, offset: int = 0) -> bytes:
        request = agent_pb2.FetchBlobRequest(order_id=order_id, sha256=digest, offset=offset)
        return b"".join([one.data async for one in who.agent.FetchBlob(request)])

    def release(
        self, number: int, files: Mapping[str, bytes], *names: str, **changes: Any
    ) -> envelope_pb2.Envelope:
        """Return a signed release."""
        entries = [
            {
                "path": path,
                "mode": "0755",
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            for path, data in sorted(files.items())
        ]
        now = self.server.clock()
        fields: dict[str, Any] = {
            "fleet": self.server.settings.server.fleet_id,
            "kind": "release",
            "id": new_ulid(now),
            "issued_time": now,
            "not_before_time": now,
            "expires_time": now + timedelta(days=100),
            "devices": None,
            "reason": "a test",
            "by": "alice",
            "seq": number,
            "body": {"label": "spring", "files": entries, "settings": {}},
        }
        return self.signed("release", make_payload(**(fields | changes)), *names)

    def large_patch(
        self, hostnames: Mapping[str, str], path: str, data: bytes
    ) -> envelope_pb2.Envelope:
        """Return a signed patch whose content has to be fetched."""
        digest = hashlib.sha256(data).hexdigest()
        entry = {"path": path, "mode": "0644", "size": len(data), "sha256": digest}
        body = {"files": [{"path": path, "entry": entry}]}
        return self.signed("patch", self.payload("patch", hostnames, body))

    async def publish(
        self, envelope: envelope_pb2.Envelope, *rings: order_pb2.RolloutRing, **plan: Any
    ) -> order_pb2.Order:
        return await self.submit(envelope, rollout=order_pb2.RolloutPlan(rings=rings, **plan))

    async def get_release(self, number: int) -> release_pb2.GetReleaseResponse:
        return await self.releases.GetRelease(release_pb2.GetReleaseRequest(number=number))

    async def change(self, number: int, action: str, reason: str = "") -> release_pb2.Release:
        request = release_pb2.ChangeRolloutRequest(number=number, action=action, reason=reason)
        return (await self.releases.ChangeRollout(request)).release

    async def rings(self, number: int, **wanted: tuple[bool, int, int]) -> release_pb2.Release:
        """Return a release once each ring is so: open, how many devices, how many healthy."""
        async with asyncio.timeout(SECONDS):
            while True:
                release = (await self.get_release(number)).release
                found = {one.name: (one.open, one.devices, one.healthy) for one in release.rings}
                if found == wanted:
                    return release
                await asyncio.sleep(0.05)

    async def wait_state(self, number: int, state: str) -> release_pb2.Release:
        async with asyncio.timeout(SECONDS):
            while True:
                release = (await self.get_release(number)).release
                if release.state == state:
                    return release
                await asyncio.sleep(0.05)


async def open_release_office(
    server: Running, signers: Fleet, *names: str, **document: Any
) -> ReleaseOffice:
    """Have operators with keys; see `open_office`."""
    office = await open_office(server, signers, *names, **document)
    return ReleaseOffice(office.server, office.signers, office.operators)
