"""penguinctl release: from a folder to the fleet, against a real server and devices that answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.harness.database import mongo_uri
from tests.harness.ordering import id_of
from tests.penguinctl.release_story import play

__all__ = ["mongo_uri"]

pytestmark = pytest.mark.timeout(180)


def test_a_folder_is_published_in_one_go_and_followed_from_the_canary_to_all(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood")
        told.put("data/big", "x" * 700_000, 0o644)
        canary, web = await told.laptop("canary-1"), await told.laptop("web-1")
        async with canary.connected(), web.connected():
            words = ("release", "publish", tree, "--label", "spring", "--disable", "sshd")
            words += ("--interval", "mood=1h", "--reason", "for the printers")
            done = await told.tried(*words, "--ring", "canary=canary-*", "-o", "json")
            assert done.returncode == 0, done.stderr
            assert "Ring canary: canary-*" in done.stderr
            assert "Uploaded 2 of 2 contents." in done.stderr
            found = json.loads(done.stdout)
            assert (found["number"], found["state"], found["label"]) == (1, "rolling", "spring")
            assert [one["name"] for one in found["rings"]] == ["canary", "rest"]
            assert found["order"]["signed_by"] == ["alice"]
            order_id = await canary.succeed()
            shown = await told.run("release", "show")
            assert "canary" in shown
            assert "####" in shown
            assert "everybody else" in shown
            following = asyncio.create_task(
                told.tried("release", "publish", tree, "--ring", "canary=canary-*", "--follow")
            )
            second = id_of(await canary.next_order())
            await canary.say(canary.word(second, "succeeded", 2))
            await told.run("release", "advance", 2, "--reason", "well so far")
            assert await web.succeed() == second
            done = await following
            assert done.returncode == 0, done.stderr
            assert "canary: 1 of 1 healthy" in done.stderr
            assert "Release 2 is complete." in done.stdout
            listed = (await told.json("release", "list"))["releases"]
            assert [(one["number"], one["state"]) for one in listed] == [
                (2, "complete"),
                (1, "superseded"),
            ]
            assert order_id != second

    play(mongo_uri, act)


def test_a_release_is_built_and_signed_by_two_people_before_it_is_published(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood")
        file = told.folder / "a.release"
        digest = await told.run("release", "build", tree, "-o", file)
        assert await told.run("release", "build", tree, "-o", told.folder / "b.release") == digest
        assert file.read_bytes() == (told.folder / "b.release").read_bytes()
        said = await told.run("release", "sign", file, "--number", 41)
        assert said == "Release 41 has 1 signatures.\n"
        again = await told.run("release", "sign", file)
        assert again == "Release 41 has 1 signatures.\n"
        web = await told.laptop("web-1")
        async with web.connected():
            found = await told.json("release", "publish", file)
            assert found["number"] == 41
            await web.succeed()
        shown = await told.json("release", "show", 41)
        assert shown["manifest_hash"] == digest.strip()
        assert [one["state"] for one in shown["targets"]] == ["succeeded"]
        # The same number with other bytes is nobody's; the same bytes again are harmless.
        assert (await told.json("release", "publish", file))["number"] == 41
        told.put("plugins/mood", "#!/bin/sh\necho other\n")
        await told.run("release", "build", tree, "--output-file", file)
        await told.run("release", "sign", file, "--number", 41)
        refused = await told.run("release", "publish", file, status=2)
        assert "the number 42" in refused

    play(mongo_uri, act)


def test_a_release_that_harms_its_canary_halts_and_former_contents_come_back(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood", "#!/bin/sh\necho good\n")
        canary = await told.laptop("canary-1")
        async with canary.connected():
            await told.run("release", "publish", tree)
            await canary.succeed()
            told.put("plugins/mood", "#!/bin/sh\necho bad\n")
            told.put("plugins/new")
            ring = ("--ring", "canary=name:canary-*")
            following = asyncio.create_task(
                told.tried("release", "publish", tree, *ring, "--follow", "--automatic")
            )
            second = id_of(await canary.next_order())
            reason = "plugin mood newly fails"
            await canary.say(canary.word(second, "failed", 2, reason=reason))
            done = await following
            assert done.returncode == 1
            assert "did not stand it" in done.stderr
            assert reason in await told.run("release", "show", 2)
            # Issues open a moment after the halt.
            names = set()
            while not {"release-halted", "release-failed"} <= names:
                names = {one["name"] for one in (await told.json("issue", "list"))["issues"]}
            changes = (await told.json("release", "diff", 1, 2))["changes"]
            assert [(one["change"], one["path"]) for one in changes] == [
                ("changed", "plugins/mood"),
                ("added", "plugins/new"),
            ]
            texts = await told.run("release", "diff", 1, 2, "--content")
            assert "-echo good\n+echo bad\n" in texts
            assert "They are the same." in await told.run("release", "diff", tree)
            await told.run("release", "withdraw", 2, "--reason", "bad", "--yes")
            back = await told.json("release", "rollback", 1, "--reason", "mail is slow")
            assert (back["number"], back["state"]) == (3, "rolling")
            assert await canary.succeed() == back["order"]["order_id"]
            assert (await told.json("release", "diff", 1, 3))["changes"] == []

    play(mongo_uri, act)


def test_halting_and_resuming_by_hand(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood")
        web = await told.laptop("web-1")
        ring = ("--ring", "canary=web-*")
        await told.run("release", "publish", tree, *ring, "--soak", "2d", "--healthy", 80)
        halted = await told.json("release", "halt", 1, "--reason", "the\nprinters fail")
        assert halted["state"] == "halted"
        async with web.connected():
            await web.no_order()
            assert "is rolling" in await told.run("release", "resume", 1)
            await web.succeed()
        assert "release 1 is rolling" in await told.run("release", "resume", 1, status=6)
        assert "no such release" in await told.run("release", "halt", 9, status=3)

    play(mongo_uri, act)


def test_what_cannot_be_published_is_refused_before_anything_is_sent(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood", mode=0o644)
        assert "not executable" in await told.run("release", "publish", tree, status=2)
        tree = told.put("plugins/mood")
        await told.laptop("web-1")
        cases = {
            ("--ring", "nonsense"): "neither NAME=SELECTOR",
            ("--ring", "canary=label:nobody"): "pick no active device",
            ("--ring", "0%"): "share",
            ("--ring", "50%", "--ring", "10%"): "adds nobody",
            ("--interval", "mood"): "PLUGIN=1h",
            ("--ttl", "200d"): "at most",
        }
        for words, reason in cases.items():
            said = await told.run("release", "publish", tree, *words, status=2)
            assert reason in said, said
        assert "give a folder" in await told.run("release", "build", status=2)
        file = told.folder / "x.release"
        file.write_text("nothing\n")
        assert "no release" in await told.run("release", "publish", file, status=2)
        await told.run("release", "build", tree, "-o", file)
        said = await told.run("release", "publish", file, "--label", "x", status=2)
        assert "has its settings" in said
        assert (await told.json("release", "list"))["releases"] == []
        assert "no such release" in await told.run("release", "show", status=3)
        await told.operator("vic", ["viewer"])
        await told.run("release", "list", who="vic")
        assert "role" in await told.run("release", "halt", 1, who="vic", status=4)

    play(mongo_uri, act)


def test_automation_without_a_terminal_and_the_shipped_plugins(mongo_uri):
    async def act(told):
        file = told.folder / "shipped.release"
        said = await told.tried("release", "build", "--shipped", "-o", file, "--label", "2030.1")
        assert "files" in said.stderr
        found = await told.json(
            "release", "publish", file, "--ring", "10%", "--ring", "half=50%", "--yes"
        )
        assert [one["name"] for one in found["rings"]] == ["10-percent", "half", "rest"]
        shown = await told.run("release", "list", "--columns", "number,label")
        assert "2030.1" in shown

    play(mongo_uri, act)
