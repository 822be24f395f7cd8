"""One fleet for stories about remote shells, and penguinctl at terminals of its own."""

import subprocess

from tests.harness.process import BIN, environment
from tests.harness.tmux import Tmux

NOTHING = "#!/bin/sh\necho {}\n"


def env_of(operator, **more):
    """Return what an operator's own shell has."""
    known = {
        "HOME": str(operator.folder),
        "XDG_CONFIG_HOME": str(operator.folder / "config"),
        "GNUPGHOME": str(operator.folder / "gnupg"),
    }
    return environment(**(known | more))


def device_of(fleet, settings=""):
    """Return a device that runs and was heard of."""
    made = fleet.device(
        plugins=fleet.plugins(nothing=NOTHING), settings=settings, token=fleet.alice.token()
    )
    fleet.wait_for_report(made)
    return made


def known_device_of(fleet):
    """Return such a device, of which penguinctl has said what it says once."""
    made = device_of(fleet)
    assert run(fleet.alice, made.device_id(), "--", "true").returncode == 0
    return made


def shell_words(*words):
    """Return a command line of penguinctl shell."""
    return [str(BIN / "penguinctl"), "shell", *map(str, words)]


def run(operator, *words, data=b"", **options):
    """Run penguinctl shell to its end, with bytes as its input; what it is given is closed."""
    return subprocess.run(
        shell_words(*words),
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
        env=env_of(operator),
        cwd="/",
        **options,
    )


def at_terminal(fleet, *words, folder, **size):
    """Return a terminal with a plain shell in it, and the line that opens a session there."""
    env = env_of(fleet.alice, HISTFILE="/dev/null")
    # The shell that tmux starts it with would take a prompt away.
    near = ["env", "PS1=here> ", "bash", "--norc", "--noprofile"]
    return Tmux(folder, near, env, **size), " ".join(["penguinctl shell", *map(str, words)])


def ended(alice, device):
    """Tell whether no session is open on a device."""
    return not alice.json("session", "list", "--open", "--device", device)["sessions"]
