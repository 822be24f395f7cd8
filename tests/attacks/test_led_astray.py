"""A server that was taken over wants to lead devices to another one, by trust documents of its own.

Its keys are stolen, so its handshake is in order. What it cannot do is sign as the operators do.
"""

from dataclasses import replace

import pytest

from penguindome import certs
from penguindome.envelope import signed_bytes
from penguindome.tokens import decode_token, encode_token
from penguindome.trust import ServerAddress, from_payload, to_payload, with_server
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_server import EvilServer, relays
from tests.attacks.kit.keys import own_authority
from tests.penguindome.signing import gpg_home

pytestmark = pytest.mark.timeout(120)
SERVICE = "/penguindome.v1.BootstrapService/"
CHAIN = SERVICE + "GetTrustChain"
ALL = [SERVICE + name for name in ("Begin", "GetTrustChain", "Enroll", "RenewDevice")]
HOWS = ["unsigned", "old signatures", "attacker's key", "attacker's key made root"]


def leading_away(document):
    """Return what the attacker wants devices to believe next."""
    anchor = certs.pem_to_der(own_authority().certificate)
    where = ServerAddress("127.0.0.1", 1, 2)
    return with_server(document, document.issued_time, anchors=[anchor], addresses=[where])


def forged(chain, how):
    """Return the honest chain, with a version behind it that no operator signed."""
    longer = boot.GetTrustChainResponse()
    longer.CopyFrom(chain)
    newest = chain.documents[-1]
    following = leading_away(from_payload(newest.envelope.payload))
    with gpg_home() as home:
        key = home.make("mallory")
        if how == "attacker's key made root":
            following = replace(
                following,
                keys={key: home.export(key)},
                operators={key: "mallory"},
                roles={name: replace(one, threshold=1, fingerprints=(key,))
                       for name, one in following.roles.items()},
            )  # fmt: skip
        payload = to_payload(following)
        signed = [home.sign(key, signed_bytes("trust", payload))]
    signatures = {"unsigned": [], "old signatures": list(newest.envelope.signatures)}
    added = longer.documents.add(version=following.version)
    added.envelope.kind = "trust"
    added.envelope.payload = payload
    added.envelope.signatures.extend(signatures.get(how, signed))
    return longer.SerializeToString()


def kept(agent):
    """Return what the device's folders hold of an enrollment."""
    state = agent.folder / "state"
    names = [path.name for path in (state / "trust").glob("*.json")]
    return names + [path.name for path in (state / "identity").glob("*.json")]


@pytest.mark.parametrize("how", HOWS)
def test_a_new_device_is_not_led_astray(fleet, keys, wire, how):
    honest = relays(wire.bootstrap(), *ALL)
    chain = boot.GetTrustChainResponse.FromString(honest[CHAIN](b""))
    answer = forged(chain, how)
    token = decode_token(fleet.alice.token())
    agent = fleet.device(plugins=fleet.plugins())
    with EvilServer(keys.server, {**honest, CHAIN: lambda _: answer}) as evil:
        said = agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)), ok=False)
    assert "refused" in said
    assert "Enroll" not in evil.methods()
    assert kept(agent) == []
    agent.enroll(encode_token(token))
    assert "device.json" in kept(agent)


@pytest.mark.parametrize("how", ["changed", "another fleet's"])
def test_a_document_of_another_hash_is_not_kept(fleet, keys, wire, how):
    honest = relays(wire.bootstrap(), *ALL)
    chain = boot.GetTrustChainResponse.FromString(honest[CHAIN](b""))
    document = from_payload(chain.documents[0].envelope.payload)
    fleet_id = "0" * 32 if how == "another fleet's" else document.fleet
    with gpg_home() as home:
        key = home.make("mallory")
        role = replace(document.roles["root"], fingerprints=(key,), threshold=1)
        payload = to_payload(
            replace(
                leading_away(document),
                fleet=fleet_id,
                version=1,
                keys={key: home.export(key)},
                operators={key: "mallory"},
                roles=dict.fromkeys(document.roles, role),
            )
        )
        other = boot.GetTrustChainResponse()
        added = other.documents.add(version=1)
        added.envelope.kind, added.envelope.payload = "trust", payload
        added.envelope.signatures.append(home.sign(key, signed_bytes("trust", payload)))
    answer = other.SerializeToString()
    token = decode_token(fleet.alice.token())
    agent = fleet.device(plugins=fleet.plugins())
    with EvilServer(keys.server, {**honest, CHAIN: lambda _: answer}) as evil:
        agent.enroll(encode_token(replace(token, bootstrap_port=evil.port)), ok=False)
    assert "GetTrustChain" in evil.methods()
    assert "Enroll" not in evil.methods()
    assert kept(agent) == []
