"""penguinctl with a profile and a keyring of its own: one operator."""

import pathlib
import subprocess
from typing import Any

from tests.harness import process
from tests.harness.agent import record
from tests.harness.process import BIN, environment

NOTHING = 3


class Operator:
    """A person with penguinctl."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Make the folders of the profile and the keyring."""
        self.folder = folder
        for name in (folder, folder / "config", folder / "gnupg"):
            name.mkdir(mode=0o700)

    def try_run(self, *words: object, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command and return everything about its end."""
        return process.run(
            [BIN / "penguinctl", *words],
            input=standard_input,
            env=environment(
                HOME=str(self.folder),
                XDG_CONFIG_HOME=str(self.folder / "config"),
                GNUPGHOME=str(self.folder / "gnupg"),
            ),
        )

    def run(self, *words: object, standard_input: str = "", status: int = 0) -> str:
        """Run a command, which has to end with the given status; return what it printed."""
        done = self.try_run(*words, standard_input=standard_input)
        assert done.returncode == status, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr

    def json(self, *words: object) -> dict[str, Any]:
        """Run a command with JSON output and return the value; that nothing matched is one too."""
        done = self.try_run(*words, "-o", "json")
        assert done.returncode in {0, NOTHING}, f"{done.returncode}: {done.stdout}{done.stderr}"
        return record(done.stdout)

    def init(self, invitation: pathlib.Path) -> str:
        """Become an operator by an invitation; a signing key is made."""
        return self.run(
            *("init", "--invitation-file", invitation), *("--gpg-home", self.folder / "gnupg")
        )

    def token(self, *words: object) -> str:
        """Make an enrollment token and return its line."""
        return self.run("token", "create", *words).strip().splitlines()[-1]

    def close(self) -> None:
        """End what gpg left running for this keyring."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self.folder / "gnupg"), "--kill", "all"],
            check=False,
            capture_output=True,
            timeout=20,
        )
