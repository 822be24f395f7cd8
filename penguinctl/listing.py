"""Lists: one answer with rows, of which people choose columns and order in every format."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penguinctl import formats, output, pager, ui, view
from penguinctl.output import Column, output_option
from penguinctl.watching import watch_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penguinctl.view import View

T = TypeVar("T")
Row = dict[str, Any]

# What has an order of its own.
_RANKS = {
    "severity": ("low", "medium", "high", "critical"),
}
_MISSING = object()


def _columns(context: click.Context, parameter: click.Parameter, text: str) -> None:
    del context
    view.current().columns = _names(parameter, text)


def _sort(context: click.Context, parameter: click.Parameter, text: str) -> None:
    del context
    view.current().sort = _names(parameter, text)


def _names(parameter: click.Parameter, text: str) -> tuple[str, ...]:
    if not text:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(name.lstrip("-") for name in names):
        raise click.BadParameter("a name between the commas is empty", param=parameter)
    return names


columns_option = click.option(
    "--columns",
    default="",
    metavar="FIELD,...",
    expose_value=False,
    callback=_columns,
    help="Show these fields, named as in JSON; labels.0 and evidence.x go deeper.",
)
sort_option = click.option(
    "--sort",
    default="",
    metavar="[-]FIELD,...",
    expose_value=False,
    callback=_sort,
    help="Sort by these fields; those that begin with - backwards.",
)


def list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that shows a list all options of lists."""
    return output_option(columns_option(sort_option(watch_option(function))))


def show(
    output_format: str,
    name: str,
    items: Sequence[T],
    to_json: Callable[[T], Row],
    *,
    blank: T,
    human: Callable[[Sequence[T]], None],
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Print a list in the format, the columns and the order that were asked for.

    Args:
        output_format: As the option -o gave it.
        name: Under which key the list stands in the document.
        items: What is listed, in the usual order.
        to_json: What makes a row of one; each row has the same keys.
        blank: One without content, which tells the keys of an empty list.
        human: What shows the usual table.
        beside: What stands in the document beside the list.
    """
    asked = view.current()
    fields = list(to_json(blank))
    if asked.columns or asked.sort:
        _check(asked, to_json(blank))
    if asked.sort:
        items = ordered(items, to_json, asked.sort)
    if output_format == "table" and not asked.columns:
        pager.show(lambda: human(items))
        return
    rows = [to_json(item) for item in items]
    if asked.columns:
        fields = list(dict.fromkeys(asked.columns))
        rows = [{field: _printed(_at(row, field)) for field in fields} for row in rows]
    if output_format == "table":
        pager.show(lambda: _table(rows, fields))
    else:
        formats.emit(output_format, {name: rows, **(beside or {})}, rows, fields)


def _check(asked: View, blank: Row) -> None:
    for name in (*asked.columns, *(field.removeprefix("-") for field in asked.sort)):
        head, _, deeper = name.partition(".")
        if head not in blank or (deeper and isinstance(blank[head], str | bool | int | float)):
            near = difflib.get_close_matches(head, blank, n=1)
            hint = f" Did you mean '{near[0]}'?" if near and near[0] != name else ""
            fields = ", ".join(blank)
            raise click.UsageError(f"there is no field '{name}'.{hint} There are: {fields}")


def _at(row: Row, name: str) -> Any:
    """Return what a dotted name leads to; keys that hold dots themselves come first."""
    value: Any = row
    rest = name
    while rest:
        if isinstance(value, dict) and rest in value:
            return value[rest]
        step, _, rest = rest.partition(".")
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _printed(value: Any) -> Any:
    return None if value is _MISSING else value


def ordered(items: Sequence[T], to_json: Callable[[T], Row], names: Sequence[str]) -> Sequence[T]:
    """Return items by their fields; those that have not got one come last either way."""
    found = [(item, to_json(item)) for item in items]
    for name in reversed(names):
        field = name.removeprefix("-")
        having = [pair for pair in found if _at(pair[1], field) not in (None, "", _MISSING)]
        lacking = [pair for pair in found if _at(pair[1], field) in (None, "", _MISSING)]
        having.sort(key=lambda pair: _key(field, _at(pair[1], field)), reverse=name[0] == "-")
        found = having + lacking
    return [item for item, _ in found]


def _key(field: str, value: Any) -> tuple[int, Any, str]:
    ranks = _RANKS.get(field, ())
    if value in ranks:
        return (0, ranks.index(value), "")
    if isinstance(value, int | float):
        return (0, value, "")
    if isinstance(value, str):
        return (1, value.casefold(), value)
    return (2, json.dumps(value, sort_keys=True), "")


def _table(rows: Sequence[Row], fields: Sequence[str]) -> None:
    if not rows:
        return
    columns = [Column(field.upper(), shrinks=True) for field in fields]
    output.table(columns, [[_shown(row[field]) for field in fields] for row in rows])


def _shown(value: Any) -> str | ui.Styled:
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
