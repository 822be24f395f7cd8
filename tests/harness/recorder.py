"""Which commands and options of the programs tests have run for real."""

import argparse
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import click

Uses = set[tuple[str, str]]
# Every command line of a program of ours that ended well, or that runs as a daemon.
_lines: list[list[str]] = []
PROGRAMS = ("penguind", "penguinctl", "penguin-agent")


def note(words: Sequence[object]) -> None:
    """Remember a command line; what stands before the program, e.g. setpriv, is left out."""
    line = [str(word) for word in words]
    for place, word in enumerate(line):
        if pathlib.PurePath(word).name in PROGRAMS:
            _lines.append([pathlib.PurePath(word).name, *line[place + 1 :]])
            return


def used(tree: Any) -> Uses:
    """Return (command, option) for all that was run of a program; "" stands for no option."""
    found: Uses = set()
    root = Node(tree, _name(tree))
    for line in _lines:
        if line[0] == root.name:
            found |= _uses(root, line[1:])
    return found


def demanded(tree: Any) -> Uses:
    """Return (command, option) for all that a program has, groups' own options included."""
    found: Uses = set()
    waiting = [Node(tree, _name(tree))]
    while waiting:
        node = waiting.pop()
        children = list(node.children())
        found |= {(node.name, spelling) for spelling in node.options()}
        found |= set() if children else {(node.name, "")}
        waiting += children
    return found


class Node:
    """One command of a click or an argparse tree."""

    def __init__(self, command: Any, name: str) -> None:
        """Take the command and its name with all that stands before it."""
        self.command = command
        self.name = name

    def options(self) -> dict[str, bool]:
        """Return each spelling of each option, and whether a value follows it."""
        if isinstance(self.command, argparse.ArgumentParser):
            return {
                spelling: action.nargs != 0
                for action in self.command._actions
                if action.help != argparse.SUPPRESS
                for spelling in action.option_strings
            }
        context = click.Context(self.command, info_name=self.name, **_settings(self.command))
        parameters = self.command.get_params(context)
        return {
            spelling: not (option.is_flag or option.count)
            for option in parameters
            if isinstance(option, click.Option)
            for spelling in option.opts
        } | dict.fromkeys(self.command.get_help_option_names(context), False)

    def child(self, word: str) -> "Node | None":
        """Return the command of that name below this one."""
        return next((node for node in self.children() if node.name.endswith(f" {word}")), None)

    def children(self) -> "Iterator[Node]":
        """Yield the commands below this one."""
        if isinstance(self.command, argparse.ArgumentParser):
            for action in self.command._actions:
                if isinstance(action, argparse._SubParsersAction):
                    yield from (Node(c, f"{self.name} {n}") for n, c in action.choices.items())
        elif isinstance(self.command, click.Group):
            context = click.Context(self.command)
            for name in self.command.list_commands(context):
                yield Node(self.command.get_command(context, name), f"{self.name} {name}")


def _settings(command: click.Command) -> dict[str, Any]:
    # -h is inherited from the program's own settings.
    names = command.context_settings.get("help_option_names", ["-h", "--help"])
    return {"help_option_names": names}


def _name(tree: Any) -> str:
    if isinstance(tree, argparse.ArgumentParser):
        return tree.prog
    return str(tree.callback.__module__).partition(".")[0]


def _uses(node: Node, words: list[str]) -> Uses:
    found: Uses = set()
    options = node.options()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        spelling = word.partition("=")[0]
        if spelling in options:
            found.add((node.name, spelling))
            if options[spelling] and "=" not in word and rest:
                rest.pop(0)
        elif (child := node.child(word)) is not None:
            node, options = child, child.options()
    return found | {(node.name, "")}
