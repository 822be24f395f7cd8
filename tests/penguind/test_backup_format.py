"""The form of a backup: what was written is read, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguind.backup.contents import FileEntry, Header, Totals
from penguind.backup.documents import split_documents
from penguind.backup.frames import VERSION, FrameWriter, magic, read_frames
from penguind.backup.reading import Nobody, Reading
from penguindome.errors import Damaged, InvalidInput, NotSupported, PenguinDomeError

HEADER = Header("a" * 32, "f", "2030-01-02T03:04:05Z", "1", "h", "d", "/s", "/c", "/k", 3, "", [])
DOCUMENTS = bson.encode({"_id": 1}) + bson.encode({"_id": 2, "name": "x"})


def backup(*frames):
    """Return a file of these frames, chained as they should be."""
    writer = FrameWriter()
    return magic() + b"".join(writer.frame(kind, payload) for kind, payload in frames)


def whole(path="authority/anchor.pem", name="trail", totals=None):
    entry = {**FileEntry("state", "x", 0o600).document(), "path": path}
    return backup(
        ("H", HEADER.document()),
        ("F", entry),
        ("f", b"abc"),
        ("C", {"name": name}),
        ("d", DOCUMENTS),
        ("E", totals or Totals(1, 3, {name: 2}).document()),
    )


def read(data):
    return asyncio.run(Reading(Nobody()).run(io.BytesIO(data)))


def test_a_whole_backup_says_what_it_holds():
    header, totals = read(whole())
    assert header == HEADER
    assert totals == Totals(1, 3, {"trail": 2})


@given(place=st.integers(0, len(whole()) - 1), bit=st.integers(0, 7))
@settings(deadline=None)
def test_no_flipped_bit_is_overlooked(place, bit):
    data = bytearray(whole())
    data[place] ^= 1 << bit
    with pytest.raises(PenguinDomeError):
        read(bytes(data))


def test_every_cut_is_noticed_and_says_where():
    data = whole()
    for size in range(len(magic()), len(data)):
        with pytest.raises(Damaged, match=r"at byte \d+"):
            read(data[:size])


def test_a_flipped_byte_is_found_in_its_frame_before_it_is_used():
    data = bytearray(whole())
    frames = list(read_frames(io.BytesIO(bytes(data))))
    data[frames[2].offset + 6] ^= 1
    damaged = read_frames(io.BytesIO(bytes(data)))
    assert [next(damaged).kind, next(damaged).kind] == ["H", "F"]
    with pytest.raises(Damaged, match=f"at byte {frames[2].offset}"):
        next(damaged)


def test_frames_cannot_change_places_or_vanish():
    parts = [("F", {"root": "state", "path": p, "mode": 0}) for p in ("a", "b")]
    writer = FrameWriter()
    frames = [writer.frame(kind, value) for kind, value in (("H", HEADER.document()), *parts)]
    for wrong in ([0, 2, 1], [0, 2]):
        with pytest.raises(Damaged):
            read(magic() + b"".join(frames[number] for number in wrong))


def test_nothing_may_follow_the_end():
    with pytest.raises(Damaged, match="follows the end"):
        read(whole() + b"x")


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../b", "a//b", "", ".restoring/complete", "mongo/data/x", "a\0b"],
)
def test_a_file_never_leads_out_of_its_root(path):
    with pytest.raises(Damaged, match="leads elsewhere"):
        read(whole(path=path))


@pytest.mark.parametrize("path", ["crontab", "sub/own.yaml", "own.yaml.sh"])
def test_only_checks_come_as_checks(path):
    entry = {"root": "checks", "path": path, "mode": 0o644}
    with pytest.raises(Damaged, match="no check's"):
        read(backup(("H", HEADER.document()), ("F", entry)))


@pytest.mark.parametrize("name", ["system.users", "a$b", "", "x" * 200, "admin\0"])
def test_a_collection_is_one_of_ours(name):
    with pytest.raises(Damaged, match="collection name"):
        read(whole(name=name))


def test_totals_that_lie_are_noticed():
    with pytest.raises(Damaged, match="totals"):
        read(whole(totals=Totals(2, 3, {"trail": 2}).document()))


def test_other_files_are_told_apart():
    with pytest.raises(InvalidInput, match="no backup"):
        read(b"PK\x03\x04 something else")
    with pytest.raises(InvalidInput, match="no backup"):
        read(b"")
    newer = magic().replace(str(VERSION).encode(), str(VERSION + 1).encode())
    with pytest.raises(NotSupported, match=f"format {VERSION + 1}"):
        read(newer)
    for start in (b"-----BEGIN PGP MESSAGE-----\n", b"\x85\x01\x0c"):
        with pytest.raises(NotSupported, match="encrypted"):
            read(start + b"x" * 40)


def test_a_length_of_gigabytes_is_refused_unread():
    data = io.BytesIO(magic() + b"d" + (2**31).to_bytes(4, "big"))
    with pytest.raises(Damaged, match="no frame"):
        next(read_frames(data))


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5).filter(lambda k: "\0" not in k), st.integers(0, 99), max_size=3
        )
    )
)
@settings(deadline=None, max_examples=50)
def test_documents_are_told_apart_as_they_were_put_together(values):
    batch = b"".join(map(bson.encode, values))
    assert [bson.decode(one) for one in split_documents(batch)] == values


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_junk_is_documents_or_damaged(junk):
    with contextlib.suppress(Damaged):
        assert b"".join(split_documents(junk)) == junk


def test_the_first_digest_is_that_of_the_magic_line():
    digest = hashlib.sha256(hashlib.sha256(magic()).digest() + b"f\0\0\0\1x").digest()
    assert FrameWriter().frame("f", b"x").endswith(digest)
