"""penguinctl patch: put, remove, list and call off, against a real server."""

from __future__ import annotations

import hashlib
import os

import pytest

from penguindome.orders.bodies import patch_body
from penguindome.payload import read_payload
from penguindome.v1 import agent_pb2
from tests.harness.database import mongo_uri
from tests.harness.ordering import id_of
from tests.penguinctl.release_story import play

__all__ = ["mongo_uri"]

pytestmark = pytest.mark.timeout(180)


def body_of(envelope):
    return patch_body(read_payload(envelope.payload).body)


def test_files_are_put_and_removed_on_the_devices_that_were_named(mongo_uri):
    async def act(told):
        source = told.put("printers").joinpath("printers")
        web, mail = await told.laptop("web-1"), await told.laptop("mail-1")
        async with web.connected(), mail.connected():
            words = ("patch", "put", "plugins/printers", source, "web-*", "--reason", "try it")
            put = await told.json(*words, "--ttl", "1d")
            assert (put["kind"], put["name"]) == ("patch", "plugins/printers")
            came = await web.next_order()
            await mail.no_order()
            (file,) = body_of(came).files
            assert (file.path, file.entry.mode, file.content) == (
                "plugins/printers",
                0o755,
                source.read_bytes(),
            )
            listed = (await told.json("patch", "list"))["patches"]
            assert [one["hostname"] for one in listed[0]["pending"]] == ["web-1"]
            assert listed[0]["files"][0]["mode"] == "0755"
            shown = await told.run("patch", "list", "web-1")
            assert "put plugins/printers [mode 0755, 20 bytes]" in shown
            await web.say(web.word(id_of(came), "succeeded", 2))
            assert (await told.json("patch", "list"))["patches"] == []
            assert len((await told.json("patch", "list", "web-1", "--all"))["patches"]) == 1
            assert (await told.json("patch", "list", "mail-1", "--all"))["patches"] == []
            said = await told.run("patch", "rm", "plugins/printers", "web-1", "mail-1")
            assert "is on its way to 2 devices" in said
            (file,) = body_of(await mail.next_order()).files
            assert (file.path, file.entry) == ("plugins/printers", None)

    play(mongo_uri, act)


def test_a_large_file_is_uploaded_and_fetched_by_its_device_alone(mongo_uri):
    async def act(told):
        source = told.folder / "big.bin"
        source.write_bytes(os.urandom(500_000))
        link = told.folder / "link"
        link.symlink_to(source)
        web = await told.laptop("web-1")
        async with web.connected():
            await told.run("patch", "put", "data/big.bin", link, "web-1", "--mode", "0644")
            came = await web.next_order()
            (file,) = body_of(came).files
            assert (file.content, file.entry.mode) == (None, 0o644)
            digest = hashlib.sha256(source.read_bytes()).digest()
            request = agent_pb2.FetchBlobRequest(order_id=id_of(came), sha256=digest)
            got = b"".join([piece.data async for piece in web.agent.FetchBlob(request)])
            assert got == source.read_bytes()

    play(mongo_uri, act)


def test_two_patches_of_one_file_cannot_wait_on_one_device_and_can_be_called_off(mongo_uri):
    async def act(told):
        source = told.put("printers").joinpath("printers")
        await told.laptop("web-1")
        await told.laptop("web-2")
        await told.laptop("web-3")
        put = ("patch", "put", "plugins/printers", source)
        first = await told.json(*put, "web-1", "web-2")
        refused = await told.run(*put, "web-2", "web-3", status=6)
        for word in ("plugins/printers", first["order_id"], "web-2"):
            assert word in refused
        assert not {"web-1", "web-3"} & set(refused.replace(",", "").split())
        # Another file, another device: nothing stands in the way.
        await told.run(*put, "web-3")
        cancel = ("patch", "cancel", "plugins/Printers")
        called = await told.json(*cancel, "web-2", "--reason", "wrong one")
        assert called["cancels_order_ids"] == [first["order_id"]]
        assert [one["hostname"] for one in called["devices"]] == ["web-2"]
        pending = {
            target["hostname"]
            for one in (await told.json("patch", "list"))["patches"]
            for target in one["pending"]
        }
        assert pending == {"web-1", "web-3"}
        await told.run(*put, "web-2")
        said = await told.run("patch", "cancel", first["order_id"])
        assert f"Called off {first['order_id']} on 1 device." in said
        assert "no such patch" in await told.run("patch", "cancel", first["order_id"], status=3)
        said = await told.run(*cancel)
        assert "on 2 devices" in said
        assert await told.run("patch", "list") == ""

    play(mongo_uri, act)


def test_what_devices_would_refuse_is_refused_here(mongo_uri):
    async def act(told):
        source = told.put("printers", mode=0o644).joinpath("printers")
        await told.laptop("web-1")
        cases = {
            ("plugins/printers", source): "not executable",
            ("../etc/passwd", source): "plain relative",
            ("/etc/passwd", source): "plain relative",
            ("tree.json", source): "reserved",
        }
        for words, reason in cases.items():
            assert reason in await told.run("patch", "put", *words, "web-1", status=2)
        assert "reserved" in await told.run("patch", "rm", "tree.json", "web-1", status=2)
        await told.run("patch", "rm", "data/x", "nobody", status=3)

    play(mongo_uri, act)


def test_a_device_whose_settings_forbid_patches_is_left_out_and_named(mongo_uri):
    async def act(told):
        await told.laptop("web-1")
        strict = await told.laptop("strict-1")
        async with strict.connected(denied=["patches"]):
            done = await told.tried("patch", "rm", "data/x", "web-1", "strict-1")
            assert "on its way to 1 device" in done.stdout
            assert "strict-1: its own settings forbid patches" in done.stderr
            said = await told.run("patch", "rm", "data/y", "strict-1", status=6)
            assert "no device is left" in said

    play(mongo_uri, act)
