"""Strategies that make bodies of orders, as operators could sign them, and hostile JSON."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from penguindome.ids import new_device_id, ulid_from
from penguindome.orders.bodies import (
    OUTPUT_LIMIT_BYTES,
    TIMEOUT_LIMIT_SECONDS,
    WIPE_LEVELS,
    CancelBody,
    CommandBody,
    PatchBody,
    PatchFile,
    WipeBody,
)
from penguindome.orders.manifest import FILE_LIMIT_BYTES, MODES, FileEntry
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings
from penguindome.orders.shell_body import RECORDING, ShellBody

DEVICES = [new_device_id() for _ in range(3)]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
# What JSON can say: no lone surrogates; no NUL, which no program's word can hold.
anything = st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace").decode())
texts = anything.map(lambda text: text.replace("\0", ""))
hostnames = st.dictionaries(
    st.sampled_from(DEVICES), st.from_regex(r"[a-z]{1,12}", fullmatch=True), min_size=1
)
parts = st.tuples(st.sampled_from(LETTERS), st.text(LETTERS + ".-", max_size=12)).map("".join)
paths = (
    st.lists(parts, min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: path.partition("/")[0].lower() != "tree.json")
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
entries = st.builds(
    FileEntry, paths, st.sampled_from(MODES), st.integers(0, FILE_LIMIT_BYTES), digests
)


def _fit(files: list[FileEntry]) -> tuple[FileEntry, ...]:
    """Drop files that a tree could not hold beside those before them."""
    kept: dict[str, FileEntry] = {}
    for one in files:
        path = one.path.lower()
        if not any(f"{a}/".startswith(f"{b}/") for k in kept for a, b in ((path, k), (k, path))):
            kept[path] = one
    return tuple(sorted(kept.values(), key=lambda one: one.path))


trees = st.lists(entries, max_size=8).map(_fit)
plugin_names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
day = st.none() | st.integers(1, 24 * 3600)
settings = st.builds(
    ReleaseSettings,
    day,
    day,
    st.dictionaries(plugin_names, st.integers(1, 24 * 3600), max_size=3),
    st.lists(plugin_names, max_size=3).map(tuple),
)
releases = st.builds(ReleaseBody, texts.map(lambda text: text[:16]), trees, settings)
commands = st.builds(
    CommandBody,
    hostnames=hostnames,
    name=st.text(LETTERS + "-", min_size=1, max_size=64),
    argv=st.lists(texts, max_size=4).map(lambda words: ("/bin/true", *words)),
    script=st.binary(max_size=60),
    user=st.from_regex(r"[a-z_][a-z0-9_.-]{0,20}", fullmatch=True),
    timeout_seconds=st.integers(1, TIMEOUT_LIMIT_SECONDS),
    output_limit_bytes=st.integers(0, OUTPUT_LIMIT_BYTES),
)


@st.composite
def patch_files(draw: st.DrawFn) -> tuple[PatchFile, ...]:
    """Make files to be put, with and without their content, and to be removed."""
    made = []
    for entry in draw(trees.filter(len)):
        how = draw(st.sampled_from(["fetched", "inline", "removed"]))
        if how == "removed":
            made.append(PatchFile(entry.path, None))
        elif how == "inline":
            data = draw(st.binary(max_size=40))
            digest = hashlib.sha256(data).hexdigest()
            whole = FileEntry(entry.path, entry.mode, len(data), digest)
            made.append(PatchFile(entry.path, whole, data))
        else:
            made.append(PatchFile(entry.path, entry))
    return tuple(made)


patches = st.builds(PatchBody, hostnames, patch_files())
wipes = st.builds(
    WipeBody,
    hostnames.map(lambda names: dict(list(names.items())[:1])),
    st.sampled_from(WIPE_LEVELS),
    texts,
    st.booleans(),
)
ulids = st.builds(ulid_from, st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
cancels = st.builds(CancelBody, hostnames, st.lists(ulids, min_size=1, max_size=4).map(tuple))
copies = st.sampled_from([("shell", "", ""), ("copy-from", "/a b", ""), ("copy-to", "a", "0" * 64)])


@st.composite
def sessions(draw: st.DrawFn) -> ShellBody:
    """Make a shell, a remote program or a copy."""
    purpose, path, sha256 = draw(copies)
    return ShellBody(
        hostnames=dict([next(iter(draw(hostnames).items()))]),
        operator_key=draw(st.binary(min_size=32, max_size=32)),
        purpose=purpose,
        argv=tuple(draw(st.lists(texts.filter(len), max_size=3))),
        terminal=draw(st.booleans()),
        columns=draw(st.integers(1, 1000)),
        recording=draw(st.sampled_from(RECORDING)),
        auditor_keys=tuple(draw(st.lists(st.binary(max_size=60), max_size=2))),
        moderated=draw(st.booleans()),
        path=path,
        sha256=sha256,
        mode=draw(st.integers(0, 0o777)),
        size=draw(st.integers(0, 2**50)),
    )


# Everything that strict_json lets through, also large integers, which become objects.
hostile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | anything
    | st.sampled_from(["..", "/", "0644", "$int", "\u202e", "A" * 300, "tree.json", "0" * 64])
    | st.just({"$int": "9" * 30}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
