"""A release from an operator's folder to real agents: new plugins report, removed ones are gone."""

from __future__ import annotations

import pytest

from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)
FIREWALL = '#!/bin/sh\necho \'{"status": "off"}\'\n'
MOOD = '#!/bin/sh\necho \'{"mood": "good"}\'\n'


class Publisher:
    """Alice, a folder, and what devices have of it."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.alice = fleet.alice
        self.tree = fleet.folder / "tree"
        self.passphrase = fleet.folder / "passphrase"
        self.passphrase.write_text("")

    def put(self, path, text):
        where = self.tree / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        where.chmod(0o755)

    def signed(self, *words):
        return self.alice.json(*words, "--yes", "--passphrase-file", self.passphrase)

    def publish(self, *words):
        return self.signed("release", "publish", self.tree, *words)["number"]

    def wait_for(self, number, state, seconds=60):
        def there():
            found = self.alice.json("release", "show", number)
            return found if found["state"] == state else None

        return wait_until(there, seconds, f"release {number} is not {state}")

    def outputs(self, agent):
        shown = self.alice.json("device", "show", agent.device_id(), "--plugin", "*")
        return {one["name"]: one["value"] for one in shown["outputs"] if one["name"] != "agent"}

    def wait_for_outputs(self, agent, wanted):
        def there():
            self.alice.run("device", "collect", agent.device_id())
            return self.outputs(agent) == wanted

        wait_until(there, 60, f"{self.outputs(agent)} instead of {wanted}: {agent.log()[-2000:]}")


@pytest.fixture(scope="module")
def publisher():
    with Fleet() as fleet:
        yield Publisher(fleet)


@pytest.fixture(scope="module")
def agent(publisher):
    fleet = publisher.fleet
    token = fleet.alice.token("--label", "canary")
    device = fleet.device(plugins=fleet.plugins(firewall=FIREWALL), token=token)
    fleet.wait_for_report(device)
    return device


def test_a_release_brings_plugins_and_takes_outputs_away_with_an_entry_in_the_trail(
    publisher, agent
):
    publisher.put("plugins/mood", MOOD)
    publisher.put("commands/tidy", "#!/bin/sh\necho tidied\n")
    number = publisher.publish("--ring", "canary=label:canary")
    assert number == 1
    wait_until(
        lambda: publisher.alice.json("release", "show", 1)["rings"][0]["healthy"] == 1,
        60,
        "the canary does not take the release",
    )
    publisher.wait_for_outputs(agent, {"mood": {"mood": "good"}})
    entries = publisher.alice.json("trail", "--key", "plugins.firewall")["entries"]
    assert [(one["type"], one["old"]) for one in entries] == [("delete", {"status": "off"})]
    shown = publisher.alice.json("release", "show", 1)
    states = {one["part"]: one["state"] for one in shown["targets"]}
    assert states == {"": "succeeded", "commands/tidy": "succeeded"}
    publisher.alice.run("release", "advance", 1)
    publisher.wait_for(1, "complete")


def test_a_release_that_breaks_a_plugin_goes_back_halts_and_is_told_of(publisher, agent):
    publisher.put("plugins/mood", "#!/bin/sh\nexit 3\n")
    number = publisher.publish()
    found = publisher.wait_for(number, "halted", seconds=120)
    assert "did not stand it" in found["reason"]
    (target,) = [one for one in found["targets"] if not one["part"]]
    assert target["state"] == "failed"
    assert "mood" in target["reason"]
    wait_until(
        lambda: (
            {"release-halted", "release-failed"}
            <= {one["name"] for one in publisher.alice.json("issue", "list")["issues"]}
        ),
        30,
        "no issues open",
    )
    publisher.wait_for_outputs(agent, {"mood": {"mood": "good"}})


def test_going_back_is_going_on_under_a_new_number(publisher, agent):
    back = publisher.signed("release", "rollback", 1)
    assert back["number"] == 3
    publisher.wait_for(3, "complete")
    assert agent.status()["release"]
    wait_until(
        lambda: (
            not {one["name"] for one in publisher.alice.json("issue", "list")["issues"]}
            & {"release-halted", "release-failed"}
        ),
        60,
        "the issues stay open",
    )


def test_a_patch_lasts_until_the_next_release(publisher, agent):
    source = publisher.fleet.folder / "extra"
    source.write_text("#!/bin/sh\necho '{\"extra\": 1}'\n")
    source.chmod(0o755)
    publisher.signed("patch", "put", "plugins/extra", source, agent.device_id())
    publisher.wait_for_outputs(agent, {"mood": {"mood": "good"}, "extra": {"extra": 1}})
    assert publisher.alice.json("patch", "list")["patches"] == []
    publisher.put("plugins/mood", MOOD)
    number = publisher.publish("--label", "again")
    publisher.wait_for(number, "complete")
    publisher.wait_for_outputs(agent, {"mood": {"mood": "good"}})
