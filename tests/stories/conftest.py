"""A fleet for stories: one per module, since a server with its database takes seconds to start."""

import json

import pytest

from tests.harness.fleet import Fleet


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture
def alice(fleet):
    return fleet.alice


class Subject:
    """What one plugin will say on a device, until it is changed."""

    def __init__(self, path):
        self.path = path

    def says(self, value):
        """Make the plugin print this value from now on."""
        self.path.write_text(json.dumps(value), encoding="utf-8")

    @property
    def script(self):
        """Return a plugin that prints the value."""
        return f"#!/bin/sh\nexec cat {self.path}\n"


@pytest.fixture
def firewall(fleet, tmp_path_factory):
    path = fleet.folder / f"{tmp_path_factory.mktemp('f').name}.json"
    subject = Subject(path)
    subject.says({"status": "on"})
    return subject
