"""A tree of files as operators signed it: a release, and the patches put over it.

A tree is whatever its signed orders say, in their order: `tree.json` lists the files for people,
and is believed only if it is exactly what the orders beside it make. Pure: no disk, no clock.
Trust: `tree.json` may have been changed by whoever became root here once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from penguindome import envelope_json
from penguindome.errors import Damaged, InvalidInput, PenguinDomeError
from penguindome.ids import ulid_time
from penguindome.orders.bodies import PatchBody, patch_body
from penguindome.orders.manifest import FileEntry, check_manifest, check_path
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings, release_body
from penguindome.payload import read_payload
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.payload import Payload
    from penguindome.strict_json import Json

MIB = 1024 * 1024
TREE_JSON = "tree.json"
TREE_JSON_LIMIT_BYTES = 12 * MIB
_LIMITS = JsonLimits(
    size_bytes=TREE_JSON_LIMIT_BYTES, nodes=100_000, string_bytes=TREE_JSON_LIMIT_BYTES
)
_NAME = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([1-9][0-9]{0,5}))?\Z")


@dataclass(frozen=True, slots=True, order=True)
class TreeName:
    """A release's number, and how many patches were put over it."""

    number: int
    patch: int = 0

    def __str__(self) -> str:
        """Return the folder's name."""
        return f"{self.number}.{self.patch}" if self.patch else str(self.number)

    def next_patch(self) -> TreeName:
        """Return the name after one more patch."""
        return TreeName(self.number, self.patch + 1)


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file, and the id of the order that brought it."""

    entry: FileEntry
    origin: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A release with its patches; number 0 is the package's own tree, with files over it.

    Attributes:
        name: Its number and the count of its patches.
        label: The release's word for people.
        settings: What the release tells the agent.
        files: Sorted by path.
        removed: What patches took away.
        orders: The signed orders that make it, oldest first.
        done: Standing scripts that ran well and are no longer there.
    """

    name: TreeName = TreeName(0)
    label: str = ""
    settings: ReleaseSettings = field(default_factory=ReleaseSettings)
    files: tuple[TreeFile, ...] = ()
    removed: tuple[str, ...] = ()
    orders: tuple[Envelope, ...] = ()
    done: tuple[str, ...] = ()

    @property
    def is_package(self) -> bool:
        """Tell whether this is the package's own tree with nothing over it."""
        return self.name == TreeName(0)

    def has_order(self, order_id: str) -> bool:
        """Tell whether an order is one of those that make the tree."""
        return any(payload.id == order_id for payload in payloads(self))

    def present(self) -> dict[str, TreeFile]:
        """Return what has to be on the disk, by path."""
        return {one.entry.path: one for one in self.files if one.entry.path not in self.done}

    def with_done(self, path: str) -> Tree:
        """Return the tree without a standing script that ran well."""
        return replace(self, done=tuple(sorted({*self.done, path})))


PACKAGE = Tree()


def tree_name(text: str) -> TreeName | None:
    """Return the name that a folder's name stands for, None for none."""
    match = _NAME.match(text)
    if match is None or text == "0":
        return None
    return TreeName(int(match[1]), int(match[2] or 0))


def release_tree(number: int, order_id: str, body: ReleaseBody, envelope: Envelope) -> Tree:
    """Return the tree of a release, without patches."""
    return Tree(
        name=TreeName(number),
        label=body.label,
        settings=body.settings,
        files=_sorted({one.path: TreeFile(one, order_id) for one in body.files}),
        orders=(envelope,),
    )


def patched(tree: Tree, order_id: str, body: PatchBody, envelope: Envelope) -> Tree:
    """Return a tree with files put into it and removed from it.

    Raises:
        InvalidInput: `bad-files`: what comes out is no tree.
    """
    files = {one.entry.path: one for one in tree.files}
    removed = set(tree.removed)
    for one in body.files:
        files.pop(one.path, None)
        removed.discard(one.path)
        if one.entry is None:
            removed.add(one.path)
        else:
            files[one.path] = TreeFile(one.entry, order_id)
    check_manifest([one.entry for one in files.values()])
    named = {one.path for one in body.files}
    return replace(
        tree,
        name=tree.name.next_patch(),
        files=_sorted(files),
        removed=tuple(sorted(removed)),
        orders=(*tree.orders, envelope),
        done=tuple(path for path in tree.done if path in files and path not in named),
    )


def overtaken(tree: Tree, body: PatchBody, issued_time: datetime, order_id: str) -> bool:
    """Tell whether a patch comes too late: the tree's release is newer, and has a file of it.

    Args:
        tree: The one in force.
        body: The patch's.
        issued_time: The patch's, in whole seconds.
        order_id: The patch's; the time in it has milliseconds.
    """
    first = payloads(tree)[:1]
    if not first or first[0].kind != "release":
        return False
    released_time = (first[0].issued_time, ulid_time(first[0].id))
    if released_time <= (issued_time, ulid_time(order_id)):
        return False
    released = {one.path.lower() for one in release_body(first[0].body).files}
    return any(one.path.lower() in released for one in body.files)


def to_json(tree: Tree) -> bytes:
    """Return what `tree.json` holds."""
    return canonical_json(
        {
            "number": tree.name.number,
            "patch": tree.name.patch,
            "label": tree.label,
            "settings": tree.settings.to_json(),
            "files": [{**one.entry.to_json(), "origin": one.origin} for one in tree.files],
            "removed": list(tree.removed),
            "done": list(tree.done),
            "orders": [_order_json(envelope) for envelope in tree.orders],
        }
    )


def from_json(data: bytes) -> Tree:
    """Return the tree of a `tree.json`; whether its orders are signed is not asked here.

    Raises:
        Damaged: It is not what `to_json` wrote.
    """
    try:
        value = parse_json(data, _LIMITS)
        tree = _folded([_envelope(one) for one in value["orders"]])
        for path in value["done"]:
            tree = tree.with_done(check_path(path))
    except (PenguinDomeError, KeyError, TypeError) as error:
        raise Damaged(f"the list of the tree's files is damaged: {error}") from None
    if to_json(tree) != data:
        raise Damaged("the list of the tree's files is not what its orders say")
    return tree


def payloads(tree: Tree) -> list[Payload]:
    """Return what the orders of a tree say; they were parsed before."""
    return [read_payload(envelope.payload) for envelope in tree.orders]


def _folded(orders: Sequence[Envelope]) -> Tree:
    tree = PACKAGE
    for envelope in orders:
        payload = read_payload(envelope.payload)
        if payload.kind != envelope.kind:
            raise InvalidInput("an order's kind is not what it says", code="bad-payload")
        if envelope.kind == "patch":
            tree = patched(tree, payload.id, patch_body(payload.body), envelope)
        elif envelope.kind == "release" and tree.is_package and payload.seq:
            body = release_body(payload.body)
            tree = release_tree(payload.seq, payload.id, body, envelope)
        else:
            raise InvalidInput("an order does not belong there", code="bad-payload")
    if tree.is_package:
        raise InvalidInput("there is no order", code="bad-payload")
    return tree


def _sorted(files: Mapping[str, TreeFile]) -> tuple[TreeFile, ...]:
    return tuple(files[path] for path in sorted(files))


def _order_json(envelope: Envelope) -> dict[str, Json]:
    stored: dict[str, Json] = parse_json(envelope_json.to_json(envelope), _LIMITS)
    return {**stored, "payload_sha256": sha256(envelope.payload).hexdigest()}


def _envelope(value: Json) -> Envelope:
    if not isinstance(value, dict):
        raise InvalidInput("an order is no object", code="bad-envelope")
    stored = {name: part for name, part in value.items() if name != "payload_sha256"}
    return envelope_json.from_json(canonical_json(stored))
