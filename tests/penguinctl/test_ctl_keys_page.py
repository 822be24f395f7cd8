"""docs/keys.md names commands and options that exist."""

import pathlib
import re
import shlex

import click
import pytest

from penguinctl.cli import cli

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`(penguinctl [^`]+)`", PAGE)
LINES = sorted(
    {line for block in BLOCKS for line in block.splitlines() if line.startswith("penguinctl ")}
    | set(INLINE)
)


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_guide_exists(line):
    """The command's own parser takes the words; files need not be there."""
    words = shlex.split(line)[1:]
    if words[0] == "--profile":
        words = words[2:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, line
        context, command, words = click.Context(found, parent=context), found, words[1:]
    parser = command.make_parser(context)
    parser.parse_args(args=list(words))


def test_the_guide_tells_of_every_verb_of_a_proposal():
    assert len(LINES) > 15
    for verb in ("propose", "sign", "publish", "withdraw", "history", "show"):
        assert any(line.startswith(f"penguinctl trust {verb}") for line in LINES), verb
