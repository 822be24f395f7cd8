"""What is on the device whose signed tree is attacked, and what it gets next."""

from tests.penguin_agent.release_kit import says

OLD = {"plugins/one": says("one"), "plugins/two": says("two")}
NEW = {"plugins/one": says("new"), "plugins/three": says("three")}
