"""What the shell offers while a command line is typed.

click knows nouns, verbs, options and choices; names of the fleet come from what ordinary commands
remembered. Nothing here dials the server, and nothing but plain words goes back to the shell.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from click import shell_completion
from click.shell_completion import CompletionItem

from penguinctl import names
from penguinctl.profile import default_folder
from penguinctl.profiles import Profiles
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    _Type = click.ParamType[str]
else:
    # Older releases of click cannot be subscripted.
    _Type = click.ParamType

PROGRAM = "penguinctl"
VARIABLE = "_PENGUINCTL_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_MOST = 500

# By the name of an argument or an option, what it takes. An option's kind is told by its command,
# too, where the same word means different things.
_KINDS = {
    "selectors": ("hostnames", "device_ids", "label:", "failing:"),
    "terms": ("hostnames", "issue_ids", "label:", "failing:"),
    "device": ("hostnames", "device_ids"),
    "hostname": ("hostnames", "device_ids"),
    "issue_id": ("issue_ids",),
    "issue_ids": ("issue_ids",),
    "token_id": ("tokens",),
    "order_id": ("orders",),
    "session_id": ("sessions",),
    "operator": ("operators",),
    "names": ("issues", "checks"),
    "check show name": ("checks",),
    "operator roles name": ("operators",),
    "operator revoke name": ("operators",),
    "device label add": ("labels",),
    "device label remove": ("labels",),
    "label": ("labels",),
    "labels": ("labels",),
    "profile_name": ("profiles",),
}

_BASH = """\
%(complete_func)s() {
    local line type value colons IFS=$'\\n'
    # Readline splits words at colons, and takes what comes back for the last piece.
    local word="${COMP_LINE:0:COMP_POINT}"
    word="${word##*[[:space:]]}"
    colons=""
    if [[ "$COMP_WORDBREAKS" == *:* && "$word" == *:* ]]; then
        colons="${word%%"${word##*:}"}"
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        type="${line%%%%,*}"
        value="${line#*,}"
        case "$type" in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            nospace) compopt -o nospace; COMPREPLY+=("${value#"$colons"}") ;;
            plain) COMPREPLY+=("${value#"$colons"}") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Named(_Type):
    """A parameter that names something of the fleet."""

    name = "text"

    def __init__(self, kinds: Iterable[str]) -> None:
        """Take the kinds of names, in the order in which they are offered."""
        self._kinds = tuple(kinds)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin as the word does."""
        del param
        offered = list(dict.fromkeys(self._offered(_folder(ctx), incomplete)))
        return [_item(word) for word in offered if word.startswith(incomplete)][:_MOST]

    def _offered(self, folder: Path, incomplete: str) -> Iterable[str]:
        known = names.recall(folder)
        for kind in self._kinds:
            if kind == "label:":
                yield from _prefixed("label:", known.get("labels", []), incomplete)
            elif kind == "failing:":
                checks = [*known.get("checks", []), *known.get("issues", [])]
                yield from _prefixed("failing:", checks, incomplete)
            else:
                yield from known.get(kind, [])


class ProfileName(_Type):
    """A parameter that names a profile."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the profiles that begin as the word does."""
        del param
        return [CompletionItem(n) for n in _profiles(ctx).names() if n.startswith(incomplete)]


def _prefixed(prefix: str, words: Iterable[str], incomplete: str) -> Iterable[str]:
    """Yield only the prefix until it is typed: names first, and then what narrows them."""
    return [prefix + word for word in words] if incomplete.startswith(prefix) else [prefix]


def _item(word: str) -> CompletionItem:
    return CompletionItem(word, type="nospace" if word.endswith(":") else "plain")


def _profiles(context: click.Context) -> Profiles:
    return Profiles(context.find_root().params.get("config_dir") or default_folder())


def _folder(context: click.Context) -> Path:
    profiles = _profiles(context)
    name = context.find_root().params.get("profile_name") or os.environ.get("PENGUINCTL_PROFILE")
    try:
        return profiles.folder(name or profiles.current()).path
    except PenguinDomeError:
        return profiles.folder("default").path


def prepare(command: click.Command, path: str) -> None:
    """Let the parameters of a command, and of those below it, offer the fleet's names."""
    for parameter in command.params:
        _prepare(parameter, path)
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            prepare(below, f"{path} {name}")


def _prepare(parameter: click.Parameter, path: str) -> None:
    name = str(parameter.name)
    kinds = _KINDS.get(f"{path} {name}") or _KINDS.get(name)
    if kinds == ("profiles",):
        parameter.type = ProfileName()
    elif kinds and isinstance(parameter.type, click.types.StringParamType):
        parameter.type = Named(kinds)


class _Bash(shell_completion.BashComplete):
    """bash, where a word with a colon stays one word."""

    source_template = _BASH

    def source(self) -> str:
        """Return the script; which bash runs it shows by itself."""
        return shell_completion.ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the last one, and that one."""
        line = os.environ.get("COMP_LINE", "")
        words = shell_completion.split_arg_string(line)[1:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]


class _Zsh(shell_completion.ZshComplete):
    """zsh, which puts a space after each word."""

    def format_completion(self, item: CompletionItem) -> str:
        """Return what click's script reads."""
        return super().format_completion(CompletionItem(item.value, _type(item), item.help))


class _Fish(shell_completion.FishComplete):
    """fish, for which click's script ends a description at a comma."""

    def format_completion(self, item: CompletionItem) -> str:
        """Return what click's script reads."""
        text = (item.help or "").replace(",", ";") or None
        return super().format_completion(CompletionItem(item.value, _type(item), text))


def _type(item: CompletionItem) -> str:
    return "plain" if item.type == "nospace" else item.type


def register(root: click.Command) -> None:
    """Make the shells known to click, and names to the program's own options."""
    for parameter in root.params:
        _prepare(parameter, "")
    for shell in (_Bash, _Zsh, _Fish):
        shell_completion.add_completion_class(shell)


def script(root: click.Command, shell: str) -> str:
    """Return the script that a shell's start file reads."""
    register(root)
    kind = shell_completion.get_completion_class(shell)
    assert kind is not None  # noqa: S101 -- the choice of the option
    return kind(root, {}, PROGRAM, VARIABLE).source()
