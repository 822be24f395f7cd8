"""The body of a release: the files of the tree, and settings for the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguindome.orders.fields import Fields
from penguindome.orders.manifest import FileEntry, check_manifest, entry_from_json
from penguindome.outputs import valid_plugin_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.strict_json import Json

LABEL_LIMIT_BYTES = 64
_DAY_SECONDS = 24 * 3600
_PLUGINS = 500


@dataclass(frozen=True, slots=True)
class ReleaseSettings:
    """What a release tells agents; they clamp it to their own bounds.

    Attributes:
        collect_interval_seconds: How often plugins run; None leaves it.
        submit_interval_seconds: How often changes are handed in; None leaves it.
        plugin_interval_seconds: Of single plugins.
        disabled_plugins: Plugins of the tree that do not run.
    """

    collect_interval_seconds: int | None = None
    submit_interval_seconds: int | None = None
    plugin_interval_seconds: Mapping[str, int] = field(default_factory=dict)
    disabled_plugins: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the settings; what is left alone is left out."""
        value: dict[str, Json] = {
            "plugin_interval_seconds": dict(self.plugin_interval_seconds),
            "disabled_plugins": list(self.disabled_plugins),
        }
        if self.collect_interval_seconds is not None:
            value["collect_interval_seconds"] = self.collect_interval_seconds
        if self.submit_interval_seconds is not None:
            value["submit_interval_seconds"] = self.submit_interval_seconds
        return value


@dataclass(frozen=True, slots=True)
class ReleaseBody:
    """A release; its number is the payload's `seq`.

    Attributes:
        label: A word for people, e.g. a date or a version.
        files: The whole tree.
        settings: For the agent.
    """

    label: str
    files: tuple[FileEntry, ...]
    settings: ReleaseSettings = field(default_factory=ReleaseSettings)

    @property
    def hostnames(self) -> Mapping[str, str]:
        """Return none: a release is for whatever device comes."""
        return {}

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it; files sorted by path."""
        files = sorted(self.files, key=lambda one: one.path)
        return {
            "label": self.label,
            "files": [one.to_json() for one in files],
            "settings": self.settings.to_json(),
        }


def release_body(value: Json) -> ReleaseBody:
    """Read a release's body.

    Raises:
        InvalidInput: `bad-payload` or `bad-files`.
    """
    fields = Fields(value, "the release")
    body = ReleaseBody(
        label=fields.text("label", LABEL_LIMIT_BYTES),
        files=tuple(map(entry_from_json, fields.take("files", list))),
        settings=_settings(fields.take("settings", dict, {})),
    )
    fields.end()
    check_manifest(body.files)
    return body


def _settings(value: Json) -> ReleaseSettings:
    fields = Fields(value, "the release's settings")
    intervals = fields.take("plugin_interval_seconds", dict, {})
    for name, seconds in intervals.items():
        whole = isinstance(seconds, int) and not isinstance(seconds, bool)
        if not valid_plugin_name(name) or not whole or not 1 <= seconds <= _DAY_SECONDS:
            fields.refuse("plugin_interval_seconds has no plugin's name, or no time within a day")
    settings = ReleaseSettings(
        collect_interval_seconds=_seconds(fields, value, "collect_interval_seconds"),
        submit_interval_seconds=_seconds(fields, value, "submit_interval_seconds"),
        plugin_interval_seconds=dict(intervals),
        disabled_plugins=fields.texts("disabled_plugins", _PLUGINS, 64),
    )
    fields.end()
    if not all(map(valid_plugin_name, settings.disabled_plugins)):
        fields.refuse("disabled_plugins names something that is no plugin")
    return settings


def _seconds(fields: Fields, value: Mapping[str, Json], name: str) -> int | None:
    return fields.number(name, 1, _DAY_SECONDS) if name in value else None
