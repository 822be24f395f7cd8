"""Whose word an order's end is: the device's own signed one, or only the server's."""

from __future__ import annotations

import base64
import json

import pytest

from penguinctl.known_keys import FILE
from penguindome import keys
from penguindome.orders.receipts import read_receipt
from penguindome.strict_json import canonical_json
from penguindome.succession import seal_succession
from penguindome.v1 import succession_pb2
from tests.penguinctl import samples


def shown(operator, kept):
    result = operator("order", "show", kept.order.order_id, "-o", "json")
    (target,) = json.loads(result.out)["targets"]
    return result.code, target["vouched"], result.err


def test_a_devices_own_word_is_told_from_the_servers(done_order):
    operator, _, kept = done_order
    assert shown(operator, kept)[:2] == (0, "yes")
    kept.targets[samples.WEB].ClearField("receipt")
    kept.targets[samples.WEB].vouched = False
    assert shown(operator, kept)[:2] == (0, "no")
    assert "VOUCHED" in operator("order", "show", kept.order.order_id).out


def test_what_the_server_says_other_than_the_device_is_told(done_order):
    operator, _, kept = done_order
    kept.targets[samples.WEB].exit_code = 1
    code, vouched, err = shown(operator, kept)
    assert (code, vouched, "WARNING" in err) == (7, "NO: forged", True)


@pytest.mark.parametrize("field", ["reason", "code", "details"])
def test_words_that_are_not_the_devices_own_are_told(done_order, field):
    operator, _, kept = done_order
    made_up = b'{"plan": "nothing"}' if field == "details" else "made up"
    setattr(kept.targets[samples.WEB], field, made_up)
    assert shown(operator, kept)[:2] == (7, "NO: forged")


def test_the_refusal_of_a_spoiled_copy_does_not_vouch_that_an_order_was_not_done(done_order):
    operator, book, kept = done_order
    order_id = kept.order.order_id
    for code, vouched in (("not-signed", "no"), ("not-supported", "no"), ("not-allowed", "yes")):
        kept.targets[samples.WEB].ClearField("exit_code")
        book.say(order_id, samples.WEB, "refused", code=code, reason="why")
        assert shown(operator, kept)[1] == vouched


def test_a_state_that_the_server_alone_claims_beside_an_older_receipt_is_its_own(done_order):
    operator, _, kept = done_order
    kept.targets[samples.WEB].state, kept.targets[samples.WEB].vouched = "expired", False
    assert shown(operator, kept)[1] == "no"


def test_a_receipt_that_was_changed_is_told(done_order):
    operator, _, kept = done_order
    receipt = kept.targets[samples.WEB].receipt
    said = json.loads(receipt.payload)
    assert read_receipt(receipt.payload).state == "succeeded"
    receipt.payload = canonical_json(said | {"stdout_bytes": 7})
    assert shown(operator, kept)[:2] == (7, "NO: forged")


def test_another_devices_receipt_is_told(done_order):
    operator, book, kept = done_order
    order_id = kept.order.order_id
    other = book.kept[order_id].targets[samples.WEB]
    book.keys[samples.DB], book.keys[samples.WEB] = (
        book.keys[samples.WEB],
        book.device_key(samples.DB),
    )
    book.say(order_id, samples.WEB, "succeeded", exit_code=0)
    book.keys.clear()
    assert other.receipt.payload
    for device in book.simulator.state.devices:
        device.public_key = b""
    assert shown(operator, kept)[1] == "no key"


def test_a_key_that_is_not_the_enrolled_one_vouches_for_nothing(done_order):
    operator, book, kept = done_order
    before = next(d for d in book.simulator.state.devices if d.device_id == samples.WEB)
    fingerprint = before.key_fingerprint
    del book.keys[samples.WEB]
    book.say(kept.order.order_id, samples.WEB, "succeeded", exit_code=0)
    before.key_fingerprint = fingerprint
    assert shown(operator, kept)[1] == "no key"


def test_a_receipt_outlives_the_renewal_of_its_devices_key(done_order):
    operator, book, kept = done_order
    del book.keys[samples.WEB]
    device = next(d for d in book.simulator.state.devices if d.device_id == samples.WEB)
    # The device has another key by now; the receipt names the one that it was signed with.
    book.device_key(samples.WEB)
    assert device.public_key
    assert shown(operator, kept)[:2] == (0, "former key")
    kept.targets[samples.WEB].exit_code = 1
    assert shown(operator, kept)[:2] == (7, "NO: forged")


def renewed(book):
    """Give the device another key, and the server the proof of it."""
    former = book.keys.pop(samples.WEB)
    made = seal_succession(
        former,
        book.device_key(samples.WEB),
        fleet=book.simulator.fleet,
        device_id=samples.WEB,
        time_unix_ms=1,
    )
    book.simulator.state.successions.append(
        succession_pb2.KeySuccession(
            payload=made.payload,
            former_signature=made.former_signature,
            following_signature=made.following_signature,
        )
    )


def test_a_receipt_by_a_former_key_is_the_devices_own_where_its_keys_prove_it(done_order):
    operator, book, kept = done_order
    renewed(book)
    renewed(book)
    result = operator("order", "show", kept.order.order_id, "-o", "json")
    (target,) = json.loads(result.out)["targets"]
    assert (target["vouched"], target["vouched_by_device"]) == ("yes: former key", True)
    kept.targets[samples.WEB].exit_code = 1
    assert shown(operator, kept)[:2] == (7, "NO: forged")


def test_a_key_that_does_not_follow_the_known_one_vouches_for_nothing(done_order):
    operator, book, kept = done_order
    known = base64.b64encode(keys.key_spki(book.keys.pop(samples.WEB))).decode()
    book.say(kept.order.order_id, samples.WEB, "succeeded", exit_code=0)
    file = operator.profile / FILE
    file.write_text(json.dumps({samples.WEB: {"key": known, "certain": True}}))
    file.chmod(0o600)
    try:
        code, vouched, err = shown(operator, kept)
        assert (code, vouched, "WARNING" in err) == (7, "NO: other key", True)
    finally:
        file.unlink()
