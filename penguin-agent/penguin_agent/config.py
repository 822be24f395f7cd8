"""The agent's settings: typed, with bounds, unknown keys refused.

The server may wish for other intervals; the bounds here are the device's own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.config_shell import ShellSettings, shell_settings
from penguindome.logs import LogSettings
from penguindome.outputs import valid_plugin_name
from penguindome.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.settings import Section

DEFAULT_FILE = Path("/etc/penguin-agent/agent.toml")
# In a checkout the plugins are beside the package; installed, that place is anybody's.
_BESIDE = Path(__file__).resolve().parents[1]
SHIPPED_PLUGINS = (
    *([_BESIDE / "plugins"] if _BESIDE.name == "penguin-agent" else []),
    Path(sys.prefix) / "share/penguin-agent/plugins",
    Path("/usr/share/penguin-agent/plugins"),
    Path("/usr/lib/penguin-agent/plugins"),
)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are.

    Attributes:
        state_dir: identity, trust, spool; private.
        runtime_dir: the control socket; others may look in.
        plugins: the shipped tree.
        local_plugins: the device's own plugins, root's to fill.
        settings: the file these settings came from; None if there is none.
    """

    state_dir: Path = Path("/var/lib/penguin-agent")
    runtime_dir: Path = Path("/run/penguin-agent")
    plugins: Path = SHIPPED_PLUGINS[0]
    local_plugins: Path = Path("/etc/penguin-agent/plugins.d")
    settings: Path | None = None

    @property
    def socket(self) -> Path:
        """Return the control socket's path."""
        return self.runtime_dir / "agent.sock"


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How often things happen; the server may tune all but the device's own plugin intervals."""

    collect_interval: timedelta = timedelta(minutes=5)
    submit_interval: timedelta = MINUTE
    plugin_intervals: Mapping[str, timedelta] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How plugins run."""

    parallel: int = 4
    deadline: timedelta = timedelta(seconds=60)
    output_limit_bytes: int = MIB


@dataclass(frozen=True, slots=True)
class Allow:
    """What the device's root permits; it can only take away.

    Attributes:
        collect_now: collections that the server asks for between the scheduled ones.
        server_schedule: intervals that the server wishes for.
        commands: commands signed by operators; the same for the ones below.
        patches: signed files for this device.
        releases: signed sets of plugins.
        shell: remote shells.
        wipe: wiping.
    """

    collect_now: bool = True
    server_schedule: bool = True
    commands: bool = True
    patches: bool = True
    releases: bool = True
    shell: bool = True
    wipe: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the agent."""

    paths: Paths = field(default_factory=Paths)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
    allow: Allow = field(default_factory=Allow)
    shell: ShellSettings = field(default_factory=ShellSettings)
    logging: LogSettings = field(default_factory=LogSettings)
    failpoints: bool = False


def load(path: Path | None) -> Settings:
    """Read the settings file and its drop-ins, `conf.d/*.toml` beside it.

    Args:
        path: the file; None for the usual one, which may be missing.

    Raises:
        InvalidInput: A key is unknown or a value is out of bounds; says which and where.
        NotFound: A file that was asked for is missing.
    """
    chosen = path or DEFAULT_FILE
    file = chosen if path is not None or chosen.exists() else None
    root = read_settings(file, dropins=chosen.parent / "conf.d")
    settings = Settings(
        paths=_paths(root.section("paths"), file),
        schedule=_schedule(root.section("schedule")),
        run=_run(root.section("run")),
        allow=_allow(root.section("allow")),
        shell=shell_settings(root.section("shell")),
        logging=_logging(root.section("logging")),
        failpoints=root.section("debug").boolean("failpoints", False),
    )
    # Plugins read their own settings from here.
    root.table("plugins")
    root.finish()
    return settings


def _paths(section: Section, file: Path | None) -> Paths:
    default = Paths()
    plugins = section.path("plugins")
    return Paths(
        state_dir=section.path("state_dir", default.state_dir),
        runtime_dir=section.path("runtime_dir", default.runtime_dir),
        plugins=plugins if plugins != Path() else _shipped_plugins(),
        local_plugins=section.path("local_plugins", default.local_plugins),
        settings=file,
    )


def _shipped_plugins() -> Path:
    return next((path for path in SHIPPED_PLUGINS if path.is_dir()), SHIPPED_PLUGINS[-1])


def _schedule(section: Section) -> ScheduleSettings:
    default = ScheduleSettings()
    own = section.section("plugin_interval_minutes")
    names = section.table("plugin_interval_minutes")
    for name in names:
        if not valid_plugin_name(name):
            raise own.error(name, "is no plugin's name")
    return ScheduleSettings(
        collect_interval=section.duration(
            "collect_interval_minutes",
            default.collect_interval,
            "minutes",
            minimum=MINUTE,
            maximum=DAY,
        ),
        submit_interval=section.duration(
            "submit_interval_minutes",
            default.submit_interval,
            "minutes",
            minimum=timedelta(seconds=1),
            maximum=DAY,
        ),
        plugin_intervals={
            name: own.duration(
                name, default.collect_interval, "minutes", minimum=MINUTE, maximum=DAY
            )
            for name in names
        },
    )


def _run(section: Section) -> RunSettings:
    default = RunSettings()
    return RunSettings(
        parallel=section.integer("parallel", default.parallel, minimum=1, maximum=64),
        deadline=section.duration(
            "deadline_seconds",
            default.deadline,
            "seconds",
            minimum=timedelta(seconds=1),
            maximum=timedelta(hours=1),
        ),
        output_limit_bytes=section.integer(
            "output_limit_bytes", default.output_limit_bytes, minimum=1024, maximum=MIB
        ),
    )


def _allow(section: Section) -> Allow:
    return Allow(
        collect_now=section.boolean("collect_now", True),
        server_schedule=section.boolean("server_schedule", True),
        commands=section.boolean("commands", True),
        patches=section.boolean("patches", True),
        releases=section.boolean("releases", True),
        shell=section.boolean("shell", True),
        wipe=section.boolean("wipe", True),
    )


def _logging(section: Section) -> LogSettings:
    default = LogSettings()
    return LogSettings(
        handler=section.text("handler", default.handler),
        level=section.text("level", default.level),
        syslog_facility=section.text("syslog_facility", default.syslog_facility),
        syslog_host=section.text("syslog_host", default.syslog_host),
        syslog_port=section.integer("syslog_port", default.syslog_port, minimum=1, maximum=65535),
        syslog_protocol=section.text(
            "syslog_protocol", default.syslog_protocol, choices=("tcp", "udp")
        ),
        file=section.text("file", default.file),
    )
