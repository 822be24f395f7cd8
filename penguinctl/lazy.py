"""A click group that imports a noun's module only when that noun is used."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem


class Noun(NamedTuple):
    """Where a noun's command is, and what --help says of it."""

    place: str
    help: str


class LazyGroup(click.Group):
    """Nouns by name; listing them imports none."""

    nouns: Mapping[str, Noun] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns in the order they were given."""
        del ctx
        return list(self.nouns)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a noun's command."""
        if cmd_name not in self.nouns:
            return None
        module, _, attribute = self.nouns[cmd_name].place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if ctx.resilient_parsing:
            self.prepare_completion(command, cmd_name)
        return command

    def prepare_completion(self, command: click.Command, path: str) -> None:
        """Prepare a command for completing its parameters, if there is something to prepare."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the nouns and options that begin so; nouns are not imported."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- --help stays quick

        found = [
            CompletionItem(name, help=noun.help)
            for name, noun in self.nouns.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the noun that is meant, or say which is nearest."""
        known = ctx.resilient_parsing or args[:1] == [] or args[0] in self.nouns
        if not known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.nouns, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns without importing them."""
        del ctx
        with formatter.section("Nouns"):
            formatter.write_dl([(name, noun.help) for name, noun in self.nouns.items()])
