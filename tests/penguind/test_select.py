"""Selector terms over devices and their open issues."""

from __future__ import annotations

import asyncio

import pytest

from penguindome.errors import InvalidInput, NotFound
from tests.harness.judging import judging

OFF = {"firewall": {"status": "off"}}
NAKED = {**OFF, "hd_encryption": []}
FIREWALL = "failing:firewall-disabled"
DISK = "failing:unencrypted-hard-drive"

CASES = [
    ([], ["lab", "lab", "web-1", "web-2"]),
    (["web-1"], ["web-1"]),
    (["WEB-1"], ["web-1"]),
    (["d-1111", "web-2"], ["web-1", "web-2"]),
    (["web-*"], ["web-1", "web-2"]),
    (["nothing-*"], []),
    (["lab"], ["lab", "lab"]),
    (["id:d-*"], ["lab", "lab", "web-1", "web-2"]),
    (["name:d-*"], []),
    (["label:eng"], ["lab", "web-1"]),
    (["label:eng", "label:hot"], ["web-1"]),
    (["web-*", "label:eng"], ["web-1"]),
    ([FIREWALL], ["web-1", "web-2"]),
    ([FIREWALL, DISK], ["web-2"]),
    ([FIREWALL, "label:eng"], ["web-1"]),
    (["failing:no-such-check"], []),
]


@pytest.fixture(scope="module")
def answers(mongo_uri):
    async def run():
        async with judging(mongo_uri) as bench:
            await bench.add("d-1111", OFF, hostname="web-1", labels=("eng", "hot"))
            await bench.add("d-2222", NAKED, hostname="web-2")
            await bench.add("d-3333", hostname="lab", labels=("eng",))
            await bench.add("d-4444", hostname="lab")
            await bench.add("d-5555", NAKED, hostname="gone", state="revoked")
            await bench.audit()
            picked = [
                [one.hostname for one in await bench.selector.resolve(terms)] for terms, _ in CASES
            ]
            with pytest.raises(NotFound, match="no such device"):
                await bench.selector.resolve(["web-1", "web-9"])
            with pytest.raises(NotFound):
                await bench.selector.resolve(["gone"])
            with pytest.raises(InvalidInput):
                await bench.selector.resolve(["what:ever"])
            old = await bench.selector.resolve(["gone"], states=["revoked"])
            assert [one.device_id for one in old] == ["d-5555"]
            assert await bench.selector.resolve_ids([]) is None
            assert await bench.selector.resolve_ids(["web-1"]) == ["d-1111"]
            return picked

    return asyncio.run(run())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_terms_pick_devices(answers, number):
    assert answers[number] == CASES[number][1], CASES[number][0]
