"""Somebody in the middle of the very first contact, when all that is known is a token's line."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from penguindome import certs
from penguindome.tokens import (
    decode_invitation,
    decode_token,
    encode_invitation,
    encode_token,
)
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_server import EvilServer, relays
from tests.attacks.kit.keys import DAY, Identity, certificate, own_authority
from tests.harness.operator import Operator

pytestmark = pytest.mark.timeout(120)
SERVICE = "/penguindome.v1.BootstrapService/"
CHAIN = SERVICE + "GetTrustChain"
ALL = [SERVICE + name for name in ("Begin", "GetTrustChain", "Enroll", "RedeemInvitation")]


def leaf(authority, *, host="127.0.0.1"):
    """Return a server's certificate by an authority, with its chain."""
    key, now = certs.generate_key(), datetime.now(UTC)
    address = {"ip_addresses": [host]} if host[0].isdigit() else {"dns_names": [host]}
    pem = certs.issue(
        authority_pem=authority.certificate,
        authority_key_pem=authority.key,
        spki=certs.key_spki(key),
        client=False,
        not_before=now - DAY,
        not_after=now + DAY,
        **address,
    )
    return Identity(key, pem + authority.certificate)


def impostors(keys, device):
    """Return servers' certificates that an attacker could have, by how."""
    twin = leaf(own_authority(like=keys.anchor))
    return {
        "own authority": leaf(own_authority()),
        "own authority of the same name": twin,
        "own authority with the true one behind": replace(
            twin, certificate=twin.certificate + keys.anchor
        ),
        "a device's certificate": Identity(device.key, device.certificate),
        "by the device authority": leaf(keys.device),
        "for another host": leaf(keys.anchor_pair, host="example.com"),
        "for clients": Identity(device.key, certificate(keys.anchor_pair, device.key, device.uri)),
    }


HOWS = [
    "own authority",
    "own authority of the same name",
    "own authority with the true one behind",
    "a device's certificate",
    "by the device authority",
    "for another host",
    "for clients",
]


@pytest.mark.parametrize("how", HOWS)
def test_agent_sends_nothing_to_an_impostor(fleet, keys, wire, device, how):
    honest = relays(wire.bootstrap(), *ALL)
    token = decode_token(fleet.alice.token())
    agent = fleet.device(plugins=fleet.plugins())
    with EvilServer(impostors(keys, device)[how], honest) as evil:
        said = agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)), ok=False)
    assert evil.heard == []
    assert "Traceback" not in said
    agent.enroll(encode_token(token))


def test_agent_does_not_ask_the_systems_authorities(fleet, wire, tmp_path):
    """A certificate of a public authority, which the whole machine trusts, is an impostor's too."""
    public = own_authority()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(public.certificate)
    token = decode_token(fleet.alice.token())
    agent = fleet.device(plugins=fleet.plugins())
    names = ("SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSL_CERT_DIR")
    agent._more = dict.fromkeys(names, str(roots))
    with EvilServer(leaf(public), relays(wire.bootstrap(), *ALL)) as evil:
        agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)), ok=False)
    assert evil.heard == []
    agent.enroll(encode_token(token))


def forged_chains(chain):
    """Return answers about the trust document that are not the one that the token pins."""
    other = boot.GetTrustChainResponse()
    other.CopyFrom(chain)
    payload = bytearray(other.documents[0].envelope.payload)
    payload[payload.index(b'"')] ^= 1
    other.documents[0].envelope.payload = bytes(payload)
    unsigned = boot.GetTrustChainResponse()
    unsigned.CopyFrom(chain)
    del unsigned.documents[0].envelope.signatures[:]
    return {"none": boot.GetTrustChainResponse(), "changed": other, "unsigned": unsigned}


@pytest.mark.parametrize("how", ["none", "changed", "unsigned"])
def test_agent_keeps_its_secret_from_a_server_without_the_trust_document(fleet, keys, wire, how):
    """The server's own keys are stolen; the operators' are not."""
    channel = wire.bootstrap()
    token = decode_token(fleet.alice.token())
    honest = relays(channel, *ALL)
    chain = boot.GetTrustChainResponse.FromString(honest[CHAIN](b""))
    forged = forged_chains(chain)[how].SerializeToString()
    agent = fleet.device(plugins=fleet.plugins())
    with EvilServer(keys.server, {**honest, CHAIN: lambda _: forged}) as evil:
        agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)), ok=False)
    assert "GetTrustChain" in evil.methods()
    assert "Enroll" not in evil.methods()
    assert not any(token.secret in request for _, request in evil.heard)
    agent.enroll(encode_token(token))


def test_server_with_the_true_keys_hears_the_secret(fleet, keys, wire):
    """The control: the same server, and a listener who would notice."""
    token = decode_token(fleet.alice.token())
    agent = fleet.device(plugins=fleet.plugins())
    with EvilServer(keys.server, relays(wire.bootstrap(), *ALL)) as evil:
        agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)))
    assert "Enroll" in evil.methods()
    assert any(token.secret in request for _, request in evil.heard)


@pytest.mark.parametrize("how", [*HOWS, "none of these"])
def test_new_operator_sends_nothing_to_an_impostor(fleet, keys, wire, device, how):
    honest = how == "none of these"
    invitation = decode_invitation(fleet.invite("victim").read_text())
    who = keys.server if honest else impostors(keys, device)[how]
    folder = fleet.folder / f"v{HOWS.index(how) if how in HOWS else 'honest'}"
    victim = Operator(folder)
    with EvilServer(who, relays(wire.bootstrap(), *ALL)) as evil:
        line = encode_invitation(replace(invitation, bootstrap_port=evil.port))
        said = victim.try_run("init", standard_input=line + "\n")
    victim.close()
    assert "Traceback" not in said.stderr
    heard = any(invitation.secret in request for _, request in evil.heard)
    assert heard is honest
    assert honest or said.returncode != 0
