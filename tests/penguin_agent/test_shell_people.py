"""Questions that wait, sessions that are listed, and notices that fail."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from penguin_agent.shell.consents import Consents, Question
from penguin_agent.shell.notices import Notices
from penguin_agent.shell.open_sessions import OpenSession, OpenSessions
from penguindome.errors import NotFound
from penguindome.times import utc_now

SHORT, LONG = timedelta(seconds=0.2), timedelta(seconds=20)


def question(name):
    return Question(name, "alice", "root", "a reason")


@pytest.mark.parametrize("agreed", [True, False])
def test_the_answer_is_what_was_said(agreed):
    async def work():
        consents = Consents()
        asking = asyncio.create_task(consents.ask(question("one"), LONG))
        await asyncio.sleep(0)
        assert [one.order_id for one in consents.waiting()] == ["one"]
        assert consents.answer("", agreed=agreed).operator == "alice"
        # Whoever answers second changes nothing.
        consents.answer("one", agreed=not agreed)
        assert await asking is agreed
        assert consents.waiting() == []

    asyncio.run(work())


def test_no_answer_is_a_no_and_one_of_two_has_to_be_named():
    async def work():
        consents = Consents()
        asking = [asyncio.create_task(consents.ask(question(n), SHORT)) for n in ("one", "two")]
        await asyncio.sleep(0)
        with pytest.raises(NotFound, match="which session"):
            consents.answer("", agreed=True)
        with pytest.raises(NotFound):
            consents.answer("three", agreed=True)
        consents.answer("two", agreed=True)
        assert await asyncio.gather(*asking) == [False, True]
        with pytest.raises(NotFound, match="no session waits"):
            consents.answer("one", agreed=True)

    asyncio.run(work())


def test_a_question_that_is_called_off_waits_no_more():
    async def work():
        consents = Consents()
        asking = asyncio.create_task(consents.ask(question("one"), LONG))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert consents.waiting() == []

    asyncio.run(work())


def test_one_session_or_all_are_ended():
    ended = []
    sessions = OpenSessions(Consents())
    for name in ("one", "two", "three"):
        sessions.add(
            OpenSession(
                order_id=name, operator="alice", user="root", purpose="shell", reason="",
                began_time=utc_now(),
                end=lambda reason, code, name=name: ended.append((name, reason, code)),
            )
        )  # fmt: skip
    with pytest.raises(NotFound):
        sessions.end("four", "no", "killed")
    assert sessions.end("two", "no", "killed") == 1
    assert ended == [("two", "no", "killed")]
    sessions.remove("two")
    sessions.remove("two")
    assert (len(sessions), sessions.end("", "no", "killed")) == (2, 2)
    assert [one["id"] for one in sessions.words()["sessions"]] == ["one", "three"]
    sessions.remove("one")
    sessions.remove("three")
    assert sessions.end("", "no", "killed") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/no/such/program"], "No such file"),
        (["false"], "ended with 1"),
        (["sleep", "60"], "no answer within"),
    ],
)
def test_who_cannot_be_told_is_said_and_holds_nothing_up(monkeypatch, tmp_path, words, said):
    monkeypatch.setattr("penguin_agent.shell.notices.SECONDS", 0.5)
    notices = Notices(desktop=False, wall=True, buses=tmp_path, launch=lambda _: words)
    began = time.monotonic()
    (trouble,) = asyncio.run(notices.tell("a session begins"))
    assert said in trouble
    assert time.monotonic() - began < 5


def test_what_is_told_acts_on_no_terminal(tmp_path):
    writes = ["sh", "-c", 'printf %s "$1" > "$0"', str(tmp_path / "told")]
    notices = Notices(
        desktop=False, wall=True, buses=tmp_path, launch=lambda words: [*writes, words[-1]]
    )
    assert asyncio.run(notices.tell("evil\x1b]0;owned\x07\nroot: all is well\u202e")) == ()
    told = (tmp_path / "told").read_text()
    assert not any(one in told for one in "\x1b\x07\n\u202e")
    assert told.startswith("PenguinDome: evil")
