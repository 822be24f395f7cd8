"""Three mongods on this machine that make one replica set, of which members may die."""

from __future__ import annotations

import contextlib
from typing import Any, Self

from pymongo.errors import PyMongoError

from tests.harness.process import wait_until
from tests.harness.site_mongod import SET, SiteMongod

MEMBERS = 3
# MongoDB waits ten seconds before it elects another; loopback needs no such patience.
_ELECTION_MILLISECONDS = 2000


class ReplicaSet:
    """A set of three; leaving it ends all members and removes their files."""

    def __init__(self) -> None:
        """Choose ports; nothing runs yet."""
        self.members = [SiteMongod(replica_set=SET) for _ in range(MEMBERS)]

    def __enter__(self) -> Self:
        """Start all members and wait for a primary and two secondaries."""
        try:
            for member in self.members:
                member.start()
            self._initiate()
            wait_until(self._is_whole, 60, "the set does not come up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End all members."""
        self.close()

    def close(self) -> None:
        """End all members and remove their files."""
        for member in self.members:
            member.close()

    @property
    def uri(self) -> str:
        """Return the address of the whole set."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={SET}"

    def primary(self) -> SiteMongod:
        """Return the member that takes writes; waits for an election."""
        found = wait_until(self._find_primary, 60, "no primary")
        assert isinstance(found, SiteMongod)
        return found

    def kill_primary(self) -> SiteMongod:
        """End the primary as a power cut would; return it, so that it can be started again."""
        member = self.primary()
        member.stop()
        return member

    def wait_until_whole(self) -> None:
        """Wait until every member is primary or secondary again."""
        wait_until(self._is_whole, 90, "a member does not come back")

    def _initiate(self) -> None:
        members = [
            {"_id": number, "host": f"127.0.0.1:{member.port}"}
            for number, member in enumerate(self.members)
        ]
        settings = {"electionTimeoutMillis": _ELECTION_MILLISECONDS}
        config = {"_id": SET, "members": members, "settings": settings}
        with self.members[0].client() as client:
            client.admin.command("replSetInitiate", config)

    def _hello(self, member: SiteMongod) -> dict[str, Any]:
        with contextlib.suppress(PyMongoError), member.client() as client:
            return client.admin.command("hello")
        return {}

    def _find_primary(self) -> SiteMongod | None:
        for member in self.members:
            if self._hello(member).get("isWritablePrimary"):
                return member
        return None

    def _is_whole(self) -> bool:
        answers = [self._hello(member) for member in self.members]
        leads = [one for one in answers if one.get("isWritablePrimary")]
        follows = [one for one in answers if one.get("secondary")]
        return len(leads) == 1 and len(leads) + len(follows) == MEMBERS
