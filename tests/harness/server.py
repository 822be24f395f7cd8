"""penguind as a process of its own, with its own state, ports and embedded MongoDB."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from tests.harness import ports, process
from tests.harness.process import BIN, ENDS_WITH_US, Process, environment

NOBODY = 65534
# penguind refuses to run as root; the capability lets it read a checkout in a closed folder.
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_override", "--ambient-caps=+dac_override", ENDS_WITH_US, "--"),
)


class Server:
    """A penguind: set up once, started and stopped as often as a story needs."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Choose ports; nothing runs yet."""
        self.folder = folder
        self.config = folder / "penguind.toml"
        self.invitation = folder / "invitation"
        self.main_port = ports.free_port()
        self.bootstrap_port = ports.free_port()
        self.process: Process | None = None
        self.environment_more: dict[str, str] = {}

    def words(self, *words: object) -> list[str]:
        """Return the command line of a penguind command, with its privileges dropped."""
        prefix = AS_NOBODY if os.geteuid() == 0 else ("setpriv", ENDS_WITH_US, "--")
        return [*prefix, str(BIN / "penguind"), "--config", str(self.config), *map(str, words)]

    def run(self, *words: object) -> str:
        """Run a penguind command to its end and return what it printed."""
        done = self.try_run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a penguind command and return everything about its end."""
        return process.run(self.words(*words), env=self._environment(), stdin=subprocess.DEVNULL)

    def setup(
        self, operator: str = "alice", settings: str = "", options: Sequence[object] = ()
    ) -> None:
        """Make the fleet, its authorities and the first operator's invitation.

        Args:
            operator: The first operator's name.
            settings: TOML to append to the settings file that set-up wrote.
            options: Further options of set-up, which win over the usual ones.

        """
        self.folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.run(
            *("setup", "--yes", "--state-dir", self.folder / "state"),
            *("--address", "127.0.0.1", "--advertised-host", "127.0.0.1"),
            *("--main-port", self.main_port, "--bootstrap-port", self.bootstrap_port),
            *("--operator", operator, "--invitation-file", self.invitation),
            *options,
        )
        if settings:
            with self.config.open("a", encoding="utf-8") as file:
                file.write(f"\n{settings}\n")

    def start(self) -> None:
        """Start the server and wait until both listeners accept."""
        self.process = Process(self.words("run"), self.folder / "penguind.log", self._environment())
        self.process.wait_until(
            lambda: ports.listens(self.main_port) and ports.listens(self.bootstrap_port),
            60,
            "penguind does not listen",
        )

    def stop(self) -> None:
        """Stop the server and its database."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def log(self) -> str:
        """Return all that the server has logged."""
        return (self.folder / "penguind.log").read_text(encoding="utf-8", errors="replace")

    def _environment(self) -> dict[str, str]:
        more = {"HOME": str(self.folder), "TMPDIR": str(self.folder), **self.environment_more}
        return environment(**more)


@contextlib.contextmanager
def server_not_set_up() -> Iterator[Server]:
    """Yield a server with an empty folder of its own; stop it and remove everything at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    server = Server(folder / "s")
    server.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(server.folder, NOBODY, NOBODY)
    yield server
    server.stop()
    shutil.rmtree(folder)
