"""Issues that the server's own code opens: about devices and itself, and what operators close."""

from __future__ import annotations

import pytest

from penguind.own_issues import Finding, OwnIssues
from tests.harness.judging import story_runner

NAME = "agent-flooding"
SUBJECT = "server:certificate/main"


class Bench:
    """A finder of problems, and a clock that is moved by hand."""

    def __init__(self, judges):
        self.judges = judges
        self.own = OwnIssues(judges.issues, judges.checks, judges.pushed.append)

    async def find(self, *findings, name=NAME, among=None):
        """Look again; returns the ids that have an open issue."""
        found = [one if isinstance(one, Finding) else Finding(one, one) for one in findings]
        self.judges.passes(minutes=1)
        await self.own.reconcile(name, found, self.judges.now, gone="it is over", among=among)
        return sorted(one.device_id for one in await self.judges.issues.find_open(name=name))

    async def closes(self, device_id):
        """Close its issue in an operator's name."""
        (issue,) = await self.judges.issues.find_open([device_id])
        await self.judges.desk.close(
            [issue.issue_id], operator="ann", reason="seen to", now=self.judges.now
        )


@pytest.fixture
def run(mongo_uri):
    return story_runner(mongo_uri, Bench)


def test_issues_open_for_what_is_found_and_close_for_the_rest(run):
    async def story(bench):
        assert await bench.find("d-a", SUBJECT) == ["d-a", SUBJECT]
        assert await bench.find("d-a", "d-b") == ["d-a", "d-b"]
        assert await bench.find("d-c", among=["d-b", "d-c"]) == ["d-a", "d-c"]
        (closed,) = await bench.judges.issues.find_closed([SUBJECT])
        whole = await bench.judges.issues.get(closed.issue_id)
        assert (whole.source, whole.timeline[-1].reason) == ("server", "it is over")

    run(story)


def test_what_an_operator_closed_stays_closed_while_it_goes_on(run):
    async def story(bench):
        await bench.find("d-a", "d-b")
        await bench.closes("d-a")
        assert await bench.find("d-a", "d-b") == ["d-b"]
        # The server's memory is the database's: a restart changes nothing.
        bench.own = OwnIssues(bench.judges.issues, bench.judges.checks, lambda _: None)
        assert await bench.find("d-a", "d-b") == ["d-b"]
        assert await bench.own.remembered(NAME) == {"d-a", "d-b"}

    run(story)


def test_it_comes_back_after_it_went_away(run):
    async def story(bench):
        await bench.find("d-a")
        await bench.closes("d-a")
        assert await bench.find() == []
        assert await bench.find("d-a") == ["d-a"]

    run(story)


def test_looking_at_others_is_not_going_away(run):
    async def story(bench):
        await bench.find("d-a")
        await bench.closes("d-a")
        assert await bench.find(among=["d-b"]) == []
        assert await bench.find("d-a") == []

    run(story)


def test_it_comes_back_with_other_evidence(run):
    async def story(bench):
        old = Finding("d-a", "a", evidence={"plugins.x.y": 1, "others": ["d-b"]})
        new = Finding("d-a", "a", evidence={"plugins.x.y": 2, "others": ["d-b"]})
        await bench.find(old)
        await bench.closes("d-a")
        assert await bench.find(old) == []
        assert await bench.find(new) == ["d-a"]
        await bench.closes("d-a")
        assert await bench.find(new) == []
        assert await bench.find(old) == ["d-a"]

    run(story)


def test_closing_by_event_ends_the_operators_word(run):
    async def story(bench):
        await bench.find("d-a")
        await bench.closes("d-a")
        await bench.own.close(NAME, ["d-a"], bench.judges.now, reason="it is over")
        assert await bench.find("d-a") == ["d-a"]

    run(story)


def test_an_open_issue_says_what_is_found_now(run):
    async def story(bench):
        await bench.find(Finding("d-a", "a", evidence={"n": 1}))
        (before,) = await bench.judges.issues.find_open(["d-a"])
        other = Finding("d-a", "a", evidence={"n": 2}, severity="low", summary="not so bad")
        await bench.find(other)
        issue = await bench.judges.issues.get(before.issue_id)
        assert (issue.severity, issue.summary) == ("low", "not so bad")
        assert issue.evidence == {"n": 2}
        assert len(issue.timeline) == 1
        pushed = len(bench.judges.pushed)
        await bench.find(other)
        assert len(bench.judges.pushed) == pushed
        # The check's file says what is the worst.
        await bench.find(Finding("d-a", "a", severity="critical"))
        assert (await bench.judges.issues.get(before.issue_id)).severity == "medium"

    run(story)


def test_what_an_operator_opened_is_left_alone(run):
    async def story(bench):
        await bench.judges.add("d-a")
        await bench.judges.desk.open(
            "d-a", NAME, operator="ann", reason="mine", severity="low", now=bench.judges.now
        )
        assert await bench.find("d-a") == ["d-a"]
        assert await bench.find() == ["d-a"]
        (issue,) = await bench.judges.issues.find_open(["d-a"])
        assert (issue.source, issue.severity) == ("operator", "low")

    run(story)


def test_a_name_that_the_site_switched_off_opens_nothing_and_closes_what_is_open(run):
    async def story(bench):
        await bench.find("d-a")
        bench.judges.checks.current = type(bench.judges.checks.current)()
        assert await bench.find("d-a", "d-b") == []

    run(story)


def test_issues_about_the_server_outlive_audits_and_those_of_a_revoked_device_do_not(run):
    async def story(bench):
        await bench.judges.add("d-a")
        await bench.find("d-a", SUBJECT)
        await bench.judges.audit()
        assert await bench.find("d-a", SUBJECT) == ["d-a", SUBJECT]
        await bench.judges.devices.revoke("d-a", "", bench.judges.now)
        assert await bench.judges.audit() == ([], [NAME])
        assert await bench.find(SUBJECT) == [SUBJECT]

    run(story)
