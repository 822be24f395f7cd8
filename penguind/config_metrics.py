"""The settings of the metrics' endpoint; none without a port."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguindome.settings import Section

_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where metrics are served; port 0 for nowhere, no certificate for plain HTTP."""

    address: str
    port: int
    certificate: Path | None
    key: Path | None


def metrics_settings(section: Section) -> MetricsSettings:
    """Read `[metrics]`.

    Raises:
        InvalidInput: a value cannot be used.
    """
    certificate, key = section.path("certificate"), section.path("key")
    if (certificate == Path()) != (key == Path()):
        raise section.error("certificate", "goes together with key")
    return MetricsSettings(
        address=section.text("address", default="127.0.0.1"),
        port=section.integer("port", default=0, minimum=0, maximum=_MAX_PORT),
        certificate=certificate if certificate != Path() else None,
        key=key if key != Path() else None,
    )
