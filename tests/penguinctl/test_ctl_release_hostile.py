"""Whatever stands in a poisoned database about releases and patches, the terminal stays itself."""

from __future__ import annotations

import json

import pytest

from tests.harness.database import mongo_uri
from tests.penguinctl.hostile_text import TEXT
from tests.penguinctl.release_story import play
from tests.penguinctl.test_ctl_hostile import dangerous

__all__ = ["mongo_uri"]

pytestmark = pytest.mark.timeout(180)
# BSON takes no NUL in what is compared as text here, but terminals would not mind it either.
POISON = TEXT.replace("\x00", "")


async def poison(told):
    """Put the text where people read it; what is signed stays, since it would not verify."""
    db = told.server.database.db
    await db["rollouts"].update_many(
        {}, {"$set": {"label": POISON, "reason": POISON, "plan.rings.0.name": POISON}}
    )
    await db["rollouts"].update_many({}, {"$set": {"plan.rings.0.selectors": [POISON]}})
    words = {"name": POISON, "reason": POISON, "by": POISON, "signed_by": [POISON]}
    await db["orders"].update_many({}, {"$set": words})
    await db["order_targets"].update_many(
        {}, {"$set": {"hostname": POISON, "reason": POISON, "code": POISON}}
    )


def test_every_command_escapes_what_it_shows(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood")
        web = await told.laptop("web-1")
        async with web.connected():
            await told.run("release", "publish", tree, "--ring", "canary=web-1")
            order = await told.json("release", "show")
            await web.next_order()
            word = web.word(order["order"]["order_id"], "failed", 2, reason=TEXT.replace("\0", ""))
            await web.say(word)
        await told.run("patch", "rm", "data/x", "web-1")
        await poison(told)
        for words in (
            ("release", "list"),
            ("release", "show", "1"),
            ("release", "show"),
            ("release", "resume", "1", "--reason", "x"),
            ("release", "halt", "1", "--reason", "x"),
            ("patch", "list"),
            ("patch", "list", "--all"),
            ("release", "withdraw", "1", "--yes"),
        ):
            for form in ((), ("-o", "json"), ("-o", "csv")):
                done = await told.tried(*words, *form)
                assert dangerous(done.stdout + done.stderr) <= set("\r"), (words, form)
                if form == ("-o", "json") and done.returncode == 0:
                    json.loads(done.stdout)
        shown = await told.run("release", "show", 1)
        assert r"\u202e" in shown

    play(mongo_uri, act)


def test_a_release_that_nobody_signed_is_neither_compared_nor_brought_back(mongo_uri):
    async def act(told):
        tree = told.put("plugins/mood")
        await told.laptop("web-1")
        await told.run("release", "publish", tree)
        # As if the server had put a release of its own there.
        db = told.server.database.db
        found = await db["orders"].find_one({"kind": "release"})
        forged = bytes(found["payload"]).replace(b"plugins/mood", b"plugins/evil")
        await db["orders"].update_one({"_id": found["_id"]}, {"$set": {"payload": forged}})
        for words in (("diff", tree, "1"), ("rollback", "1", "--yes")):
            said = await told.run("release", *words, status=7)
            assert "not to be trusted" in said
        # Nor does a content that is another one pass for it.
        await db["orders"].update_one(
            {"_id": found["_id"]}, {"$set": {"payload": found["payload"]}}
        )
        await db["blob_pieces"].update_many({}, {"$set": {"data": b"evil"}})
        told.put("plugins/mood", "#!/bin/sh\necho other\n")
        said = await told.run("release", "diff", "1", tree, "--content", status=7)
        assert "another content" in said

    play(mongo_uri, act)
