"""Whether a tree is as its operators signed it: its orders, and every file.

Signatures of people who have left since count for a tree that was installed while they were there:
an order is judged by the newest trust document on arrival, and here by any that the device held.
What is altered does not run; what is in no list never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.release.beneath import names_beneath, opened, read_checked
from penguin_agent.release.tree import PACKAGE, TREE_JSON, Tree, payloads
from penguindome.envelope import check_signed
from penguindome.errors import Damaged, Forbidden, PenguinDomeError
from penguindome.orders.kinds import kind_of, signatures_needed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguin_agent.release.folder import TreeFolder
    from penguin_agent.release.tree import TreeName
    from penguindome.envelope import Envelope
    from penguindome.orders.manifest import FileEntry
    from penguindome.trust_document import TrustDocument

EXTRA_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Owner:
    """For whom orders have to be."""

    fleet: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A tree, and what is wrong with it.

    Attributes:
        tree: As signed; the package's own where nothing that is signed is in force.
        altered: Paths of files that are missing, changed, or nobody's; `tree.json` means that the
            tree as a whole is not what was signed, so that nothing of it runs.
    """

    tree: Tree = PACKAGE
    altered: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.altered


class Verifier:
    """Verifies trees.

    Args:
        folder: Where they are.
        documents: The trust documents that the device verified, newest first.
        owner: This device.
    """

    def __init__(
        self,
        folder: TreeFolder,
        documents: Callable[[], Sequence[TrustDocument]],
        owner: Owner,
    ) -> None:
        self._folder = folder
        self._documents = documents
        self._owner = owner

    def check(self, name: TreeName) -> Checked:
        """Look at everything of a tree; never raises for what is found there."""
        if name == PACKAGE.name:
            return Checked()
        try:
            tree = self._folder.read(name)
            self._check_orders(tree)
        except PenguinDomeError:
            return Checked(Tree(name=name), (TREE_JSON,))
        return Checked(tree, check_files(self._folder, tree))

    def _check_orders(self, tree: Tree) -> None:
        documents = self._documents()
        for envelope, payload in zip(tree.orders, payloads(tree), strict=True):
            if payload.fleet != self._owner.fleet:
                raise Forbidden("a tree is another fleet's", code="wrong-fleet")
            if not payload.all_devices and self._owner.device_id not in payload.devices:
                raise Forbidden("a tree is another device's", code="wrong-device")
            _check_signed(envelope, documents, len(payload.devices))


def check_files(folder: TreeFolder, tree: Tree) -> tuple[str, ...]:
    """Return the paths of a tree's files that are not as signed, and of files too many."""
    try:
        with opened(folder.path(tree.name)) as top:
            return check_files_at(top, tree)
    except OSError:
        return (TREE_JSON,)


def check_files_at(top: int, tree: Tree) -> tuple[str, ...]:
    """Do the same for a tree in a folder that is open."""
    present = tree.present()
    altered = [path for path, one in present.items() if not _is_good(top, one.entry)]
    return tuple(sorted([*altered, *_extra(top, tree)]))


def _is_good(top: int, entry: FileEntry) -> bool:
    try:
        read_checked(top, entry)
    except Damaged:
        return False
    return True


def _extra(top: int, tree: Tree) -> list[str]:
    present = tree.present()
    # Also folders of which all files are done.
    paths = [one.entry.path for one in tree.files]
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    extra: list[str] = []
    for path, is_folder in names_beneath(top):
        known = path in folders if is_folder else path in present or path == TREE_JSON
        if not known:
            # A name may be no text at all.
            extra.append(path.encode("utf-8", "backslashreplace").decode())
        if len(extra) == EXTRA_LIMIT:
            break
    return extra


def _check_signed(envelope: Envelope, documents: Sequence[TrustDocument], devices: int) -> None:
    for document in documents:
        kind = kind_of(envelope.kind)
        held = document.roles[kind.role].threshold if kind.role in document.roles else 0
        try:
            check_signed(envelope, document, kind.role, signatures_needed(kind, held, devices))
        except Forbidden:
            continue
        return
    raise Forbidden("a tree is not signed by anybody who could", code="not-signed")
