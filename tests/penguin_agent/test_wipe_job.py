"""The folder between the agent and the process that wipes: begun at most once, whatever happens."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from penguin_agent.environment import package_folders
from penguin_agent.wipe.job import Job, Phase, Result
from penguin_agent.wipe.starting import command
from penguindome.envelope import Envelope
from penguindome.errors import AlreadyExists, InvalidInput, NotFound, PenguinDomeError
from penguindome.ids import new_ulid
from penguindome.times import utc_now

ORDER = Envelope("wipe", b"payload", (b"signature",))
BEGIN = """
import pathlib, sys
sys.path += sys.argv[3:]
from penguin_agent.wipe.job import Job
from penguindome.errors import PenguinDomeError
try:
    print(Job(pathlib.Path(sys.argv[1]), sys.argv[2]).begin().kind, flush=True)
except PenguinDomeError as error:
    sys.exit(error.code)
sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path, new_ulid(utc_now()))


class Wiper:
    """A process that begins and then waits until it is let go."""

    def __init__(self, job):
        words = [sys.executable, "-B", "-c", BEGIN, str(job.state_dir), job.order_id]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*words, *package_folders()], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def said(self):
        """Return the first line."""
        return self._process.stdout.readline().strip()

    def let_go(self):
        """End it; return what it said and its exit code."""
        out, error = self._process.communicate(timeout=60)
        return out.strip(), error.strip(), self._process.returncode

    def kill(self):
        self._process.kill()
        self.let_go()


def test_an_order_is_begun_once_and_seen_to_run_and_to_have_ended(job):
    job.prepare(ORDER)
    assert (job.has_begun(), job.is_running()) == (False, False)
    wiper = Wiper(job)
    assert wiper.said() == "wipe"
    assert (job.has_begun(), job.is_running()) == (True, True)
    assert not job.abandon()
    wiper.kill()
    assert (job.has_begun(), job.is_running()) == (True, False)
    assert Wiper(job).let_go() == ("", "begun", 1)


def test_of_many_at_once_one_begins(job):
    job.prepare(ORDER)
    wipers = [Wiper(job) for _ in range(8)]
    answers = [wiper.let_go() for wiper in wipers]
    assert sorted(answers) == [("", "begun", 1)] * 7 + [("wipe", "", 0)]


def test_what_the_agent_gave_up_on_never_begins(job):
    job.prepare(ORDER)
    assert job.abandon()
    assert Wiper(job).let_go() == ("", "begun", 1)


def test_an_order_is_prepared_once(job):
    job.prepare(ORDER)
    with pytest.raises(AlreadyExists):
        job.prepare(ORDER)


def test_nothing_prepared_is_nothing_begun(job):
    assert (job.has_begun(), job.is_running(), job.phase(), job.result()) == (
        False,
        False,
        None,
        None,
    )
    assert job.abandon()
    job.mark("delivered")
    assert not job.folder.exists()


def test_an_order_that_others_could_have_written_is_not_begun(job):
    job.prepare(ORDER)
    (job.folder / "order.json").chmod(0o644)
    assert Wiper(job).let_go() == ("", "bad-file", 1)
    (job.folder / "order.json").chmod(0o600)
    job.folder.chmod(0o777)
    assert Wiper(job).let_go() == ("", "bad-file", 1)
    assert not job.has_begun()


def test_an_order_that_is_a_link_is_not_begun(job, tmp_path):
    job.prepare(ORDER)
    (job.folder / "order.json").rename(tmp_path / "elsewhere")
    (job.folder / "order.json").symlink_to(tmp_path / "elsewhere")
    assert Wiper(job).let_go() == ("", "bad-file", 1)


@pytest.mark.parametrize("order_id", ["", "..", "../../etc", "01M8AS9VZ00PFAZRAM6V3P31B/"])
def test_only_an_orders_id_names_a_folder(tmp_path, order_id):
    with pytest.raises(NotFound):
        Job(tmp_path, order_id)


def test_what_is_noted_is_read_back(job):
    job.prepare(ORDER)
    job.note(Phase("planned", {"plan": {"homes": ["a"]}}))
    job.finish(Result("failed", "why", "partly-done", {"done": 1}))
    assert job.phase() == Phase("planned", {"plan": {"homes": ["a"]}})
    assert job.result() == Result("failed", "why", "partly-done", {"done": 1})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format":2,"state":"succeeded","reason":"","code":"","details":{}}',
        '{"format":1,"state":"running","reason":"","code":"","details":{}}',
        '{"format":1,"state":"succeeded","reason":"","code":"","details":[]}',
        '{"format":1,"state":"succeeded","reason":"","code":"","details":{},"more":1}',
        '{"format":1,"state":"succeeded"',
    ],
)
def test_a_result_of_another_form_is_no_result(job, text):
    job.prepare(ORDER)
    (job.folder / "result.json").write_text(text)
    with pytest.raises(PenguinDomeError) as caught:
        job.result()
    assert not isinstance(caught.value, NotFound)
    assert isinstance(caught.value, InvalidInput) or caught.value.code == "damaged"


def test_waiting_ends_with_the_sign_or_with_the_time(job):
    job.prepare(ORDER)
    assert not job.wait_for("seen", 0)
    job.mark("seen")
    job.mark("seen")
    assert job.wait_for("seen", 0)


def test_an_order_is_called_off_until_the_point_of_no_return(job):
    job.prepare(ORDER)
    wiper = Wiper(job)
    assert wiper.said() == "wipe"
    assert job.call_off()
    assert job.is_called_off()
    assert not job.pass_point()
    wiper.kill()


def test_an_order_is_not_called_off_after_the_point_of_no_return(job):
    job.prepare(ORDER)
    wiper = Wiper(job)
    assert wiper.said() == "wipe"
    assert job.pass_point()
    assert not job.call_off()
    assert not job.is_called_off()
    wiper.kill()


def test_an_order_that_was_called_off_in_time_never_begins(job):
    job.prepare(ORDER)
    assert job.call_off()
    assert job.is_called_off()
    assert Wiper(job).let_go() == ("", "begun", 1)


@pytest.mark.parametrize("systemd", [True, False])
def test_it_is_started_by_words_that_the_system_knows(job, systemd):
    words = command(job, systemd=systemd)
    told = subprocess.run([words[0], "--help"], capture_output=True, text=True, check=True)
    ours = words[: words.index("-I") - 1]
    options = {word.partition("=")[0] for word in ours if word.startswith("-")} - {"--"}
    assert {one for one in options if not re.search(rf"(^|\s){one}\b", told.stdout)} == set()
    assert words[-2:] == [str(job.state_dir), job.order_id]
