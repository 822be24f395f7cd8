"""Each plugin tells the truth about each recorded machine."""

from __future__ import annotations

import json

from penguin_agent.parsers import (
    addresses,
    disk_encryption,
    dmi,
    firewall,
    guest_session,
    os_release,
    sshd,
)
from penguindome.reports import canonical_json, parse_json


def is_sound(value):
    """Return whether the strict gate passes a value unchanged."""
    return parse_json(canonical_json(value)) == value


def test_firewall(firewall_state):
    state = firewall_state
    found = firewall.look(state.root, state.run)
    assert found == state.expected
    assert is_sound(found)


def test_disk_encryption(hd_encryption_state):
    state = hd_encryption_state
    found = disk_encryption.look(state.root, state.run)
    assert found == state.expected
    assert is_sound(found)


def test_sshd(sshd_state):
    state = sshd_state
    found = sshd.look(state.root, state.run)
    assert found == state.expected
    assert is_sound(found)


def test_os_info(os_info_state):
    state = os_info_state
    assert os_release.os_info(state.file("etc/os-release")) == state.expected


def test_dmidecode(dmidecode_state):
    state = dmidecode_state
    answer = state.run("dmidecode")
    assert dmi.section(answer.stdout) == state.expected
    assert dmi.has_no_dmi(answer.stdout + answer.stderr) == (answer.code != 0)


def test_network_devices(network_devices_state):
    state = network_devices_state
    found = addresses.by_device(json.loads(state.run("ip").stdout))
    assert found == state.expected
    assert is_sound(found)


def test_ip_addresses(ip_addresses_state):
    state = ip_addresses_state
    assert addresses.global_addresses(json.loads(state.run("ip").stdout)) == state.expected


def test_guest_session(guest_session_state):
    state = guest_session_state
    assert guest_session.look(state.root) == state.expected
