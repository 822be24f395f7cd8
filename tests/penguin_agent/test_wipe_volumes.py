"""LUKS volumes: real headers in files that stand for disks, read and erased by cryptsetup."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.parsers.tools import run
from penguin_agent.wipe.volumes import Volumes, parse_dump

PASSPHRASE = b"correct horse"


def cryptsetup(*words, data=PASSPHRASE, check=True):
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        ["cryptsetup", *map(str, words)],
        input=data,
        capture_output=True,
        timeout=60,
        check=check,
        env=path,
    )


def make_volume(path, kind="luks2"):
    """Make a volume with two keys in a file."""
    fast = ["--pbkdf-force-iterations", "1000", "-q"]
    if kind == "luks2":
        fast += ["--pbkdf", "pbkdf2"]
    with path.open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    cryptsetup("luksFormat", "--type", kind, *fast, path, "-")
    key = path.with_name("key")
    key.write_bytes(b"second")
    cryptsetup("luksAddKey", *fast, "--key-file", "-", path, key)


def opens(path, passphrase=PASSPHRASE):
    words = ("open", "--test-passphrase", "--key-file", "-", path)
    return cryptsetup(*words, data=passphrase, check=False).returncode == 0


class Tree:
    """A root with disks that are files."""

    def __init__(self, root):
        self.root = root
        (root / "sys/class/block").mkdir(parents=True)
        (root / "dev").mkdir()
        self.volumes = Volumes(root, run)

    def disk(self, name, kind="luks2", *, place="pci0", removable="0", holder=""):
        """Make a disk; `holder` is the identifier of what stands on it."""
        real = self.root / "sys/devices" / place / name
        real.mkdir(parents=True)
        (real / "removable").write_text(f"{removable}\n")
        if holder:
            (real / "holders/dm-0/dm").mkdir(parents=True)
            (real / "holders/dm-0/dm/uuid").write_text(f"{holder}\n")
        (self.root / "sys/class/block" / name).symlink_to(real)
        if kind:
            make_volume(self.root / "dev" / name, kind)
        else:
            (self.root / "dev" / name).write_bytes(b"\0" * 1024 * 1024)
        return self.root / "dev" / name


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.mark.parametrize("kind", ["luks1", "luks2"])
def test_a_volume_is_found_and_its_keys_are_gone_after_erasing(tree, kind):
    path = tree.disk("sda3", kind)
    assert opens(path)
    assert opens(path, b"second")
    (volume,), skipped = tree.volumes.find()
    assert (volume.device, volume.version, volume.slots) == ("/dev/sda3", int(kind[-1]), 2)
    assert skipped == []
    assert tree.volumes.erase(volume) == ""
    assert not opens(path)
    assert not opens(path, b"second")
    (after,), _ = tree.volumes.find()
    assert after.slots == 0


def test_what_is_no_volume_is_passed_over(tree):
    tree.disk("sda1", "")
    assert tree.volumes.find() == ([], [])


def test_a_stick_or_a_disk_on_usb_is_told_and_kept(tree):
    tree.disk("sdb1", removable="1")
    tree.disk("sdc1", place="pci0/usb3")
    why = "it can be taken out of the machine"
    assert tree.volumes.find() == ([], [("/dev/sdb1", why), ("/dev/sdc1", why)])


def test_files_behind_loop_devices_are_somebodys_and_kept(tree):
    tree.disk("loop0")
    assert tree.volumes.find() == ([], [])


def test_half_a_mirror_is_left_to_the_mirror(tree):
    tree.disk("sda3", holder="LVM-abc")
    assert tree.volumes.find() == ([], [])


def test_a_volume_that_is_open_is_found(tree):
    tree.disk("sda3", holder="CRYPT-LUKS2-abc-root")
    (volume,), _ = tree.volumes.find()
    assert volume.device == "/dev/sda3"


def test_an_encrypted_disk_whose_header_is_elsewhere_is_told(tree):
    tree.disk("sda3", "", holder="CRYPT-LUKS2-abc-root")
    assert tree.volumes.find() == (
        [],
        [("/dev/sda3", "it is encrypted, but has no LUKS header of its own")],
    )


def test_another_volume_than_the_planned_one_is_not_erased(tree):
    path = tree.disk("sda3")
    (planned,), _ = tree.volumes.find()
    make_volume(path)
    assert tree.volumes.erase(planned) == "another volume is there now"
    assert opens(path)


def test_a_disk_that_cannot_be_written_is_told(tree):
    path = tree.disk("sda3")
    (planned,), _ = tree.volumes.find()

    def refusing(*words, **options):
        return run("false") if words[1] == "erase" else run(*words, **options)

    assert Volumes(tree.root, refusing).erase(planned).startswith("2 of its keys are left")
    assert opens(path)


@given(st.text())
def test_any_text_is_no_volume_or_one_of_a_known_version(text):
    found = parse_dump(text, "/dev/sda3")
    assert found is None or found.version in (1, 2)


HEAD = "LUKS header information\nVersion:       \t2\nUUID:          \tabc-def\n"


@given(st.lists(st.integers(0, 31), unique=True))
def test_slots_are_counted_and_digests_are_not(slots):
    lines = "".join(f"  {n}: luks2\n\tKey:        512 bits\n" for n in slots)
    text = f"{HEAD}\nKeyslots:\n{lines}Tokens:\n  0: systemd-tpm2\nDigests:\n  0: pbkdf2\n"
    found = parse_dump(text, "/dev/sda3")
    assert found is not None
    assert found.slots == len(slots)


def test_a_form_without_a_list_of_slots_does_not_look_like_one_without_keys():
    assert parse_dump(HEAD, "/dev/sda3") is None
