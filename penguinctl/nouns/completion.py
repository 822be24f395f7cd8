"""penguinctl completion: what the shell needs to complete command lines."""

from __future__ import annotations

import click

from penguinctl import ui

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  penguinctl completion bash > ~/.local/share/bash-completion/completions/penguinctl
  penguinctl completion zsh > ~/.zfunc/_penguinctl
  penguinctl completion fish > ~/.config/fish/completions/penguinctl.fish
"""
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete nouns, options and the fleet's names.

    Names are those that your last commands brought; completing never asks the server.
    """
    from penguinctl.completion import script  # noqa: PLC0415 -- --help stays quick

    ui.out(script(context.find_root().command, shell), end="")
