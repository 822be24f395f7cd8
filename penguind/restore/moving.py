"""Moving what stands in a restore's way aside: the state folder's contents, and the collections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.console import open_external
from penguind.mongod.paths import MongodPaths, take_lock
from penguind.privileges import acting_as
from penguind.store import dump

if TYPE_CHECKING:
    from penguind.config import Settings
    from penguind.restore.places import Places


async def set_aside(places: Places, settings: Settings, stamp: str) -> list[str]:
    """Rename whatever is there; return where it is now.

    Raises:
        PreconditionFailed: a server uses it, or it cannot be renamed.
    """
    moved = []
    home = places.state_dir / "mongo"
    # Whoever had the server may have left links there, which must not lead root anywhere.
    with acting_as(settings.server.user):
        if (home / "penguind.lock").exists():
            take_lock(MongodPaths(home=home, socket=home)).close()
        if places.occupants():
            moved.append(str(places.move_aside(stamp)))
    if not settings.database.embedded:
        async with await open_external(settings.database) as database:
            if not await dump.is_marked(database):
                moved += await dump.move_aside(database, stamp)
    return moved
