"""Strict YAML: one document of plain values, no anchors, no tags, no key twice.

YAML's rarer features are ways to write something that reads differently from what it says, or that
grows when it is read. Checks need none of them.
"""

from __future__ import annotations

from typing import Any

import yaml

from penguindome.errors import InvalidInput

MAX_DOCUMENT_LENGTH = 64 * 1024
MAX_DEPTH = 24
# What PyYAML's constructors raise on scalars that merely look like numbers or times.
_CONSTRUCTION_ERRORS = (ValueError, OverflowError, LookupError, AttributeError, TypeError)


class _Loader(yaml.SafeLoader):
    """A loader that refuses anchors, tags, repeated keys and deep nesting."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML has no types here
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InvalidInput(_at(event, "anchors and aliases are not allowed"))
        if getattr(event, "tag", None):
            raise InvalidInput(_at(event, "tags are not allowed"))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidInput(_at(event, f"more than {MAX_DEPTH} levels deep"))
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- PyYAML's signature
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise InvalidInput(_at(key, "a key must be text"), remedy="put it in quotes")
            if key.value in seen:
                raise InvalidInput(_at(key, f"the key {key.value[:40]!a} stands twice"))
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> object:
    """Return the one document of a YAML text: mappings, lists and plain values.

    Raises:
        InvalidInput: If it is not YAML, is larger than 64 KiB, or uses what is not allowed here.
    """
    if len(text) > MAX_DOCUMENT_LENGTH:
        raise InvalidInput(f"the text has more than {MAX_DOCUMENT_LENGTH} characters")
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise InvalidInput(f"not YAML: {_reason(error)}") from error
    except RecursionError as error:
        raise InvalidInput("not YAML: nested too deeply") from error
    except _CONSTRUCTION_ERRORS as error:
        raise InvalidInput(
            "a value looks like a number or a time, but is none",
            remedy="put it in quotes",
        ) from error


def _at(thing: yaml.Event | yaml.Node, what: str) -> str:
    mark = thing.start_mark
    return what if mark is None else f"line {mark.line + 1}: {what}"


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    text = ascii(str(problem))[1:-1][:200]
    return text if mark is None else f"line {mark.line + 1}: {text}"
