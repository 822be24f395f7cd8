"""How sessions and notices are started: in units of their own where that is possible."""

import os

import pytest

from penguin_agent.orders.launch import has_systemd
from penguin_agent.shell.making import holder_words, notice_words

WORDS = ("/bin/true", "--now")


@pytest.fixture(params=[0, 1000])
def uid(request, monkeypatch, tmp_path):
    """Return the agent's user on a machine that systemd runs."""
    monkeypatch.setattr(has_systemd, "__defaults__", (tmp_path,))
    monkeypatch.setattr(os, "geteuid", lambda: request.param)
    return request.param


def test_only_root_starts_sessions_and_notices_in_units(uid):
    for words in (holder_words("X", WORDS), notice_words(WORDS)):
        assert words[-len(WORDS) :] == WORDS
        assert (words[0] == "systemd-run") == (uid == 0)
