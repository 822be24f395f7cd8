"""penguinctl trust history: what each version of the trust document changed, and who signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import listing
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.trust_refresh import refreshed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.trust_history import Version


@click.command(
    epilog="""\b
Examples:
  penguinctl trust history
  penguinctl trust history --columns version,signed_by,hash
"""
)
@list_options
@pass_app
def history(app: App, *, output_format: str) -> None:
    """List the versions of the trust document, the newest first.

    Each was verified here. What came before the version that your invitation pinned is not shown.
    """
    from penguinctl import trust_history, trust_view  # noqa: PLC0415 -- --help stays quick

    versions = trust_history.history(refreshed(app).envelopes())

    def human(found: Sequence[Version]) -> None:
        trust_view.show_history(found, app.now)

    listing.show(
        output_format,
        "versions",
        versions,
        trust_view.version_json,
        blank=versions[0],
        human=human,
    )
