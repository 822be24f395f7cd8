"""The forms of an answer for programs: JSON, YAML, CSV and a JSON object a line.

CSV is RFC 4180's, with a header. Spreadsheets take text that begins with certain characters for a
formula, and a device chooses its words: such cells get an apostrophe in front. Source: OWASP, "CSV
Injection". Control characters are escaped as on terminals, so a record is always one line.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from penguinctl import ui, view
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# The full-width forms count as the plain ones in some languages' spreadsheets.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def emit(form: str, value: Any, rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """Print an answer.

    Args:
        form: json, yaml, csv or ndjson.
        value: The whole document, for json and yaml.
        rows: The document's list, or its one object, for csv and ndjson.
        fields: The rows' keys in their order, for csv.
    """
    if form == "json":
        emit_json(value)
    elif form == "yaml":
        # Each round of a watch is a document of its own.
        ui.out(yaml_text(value, marked=view.current().watching), end="")
    elif form == "csv":
        emit_csv(rows, fields)
    else:
        for row in rows:
            ui.out(json.dumps(row, ensure_ascii=True))


def emit_json(value: Any) -> None:
    """Print a JSON document: two spaces of indentation, ASCII only."""
    ui.out(json.dumps(value, indent=2, ensure_ascii=True))


def yaml_text(value: Any, *, marked: bool = False) -> str:
    """Return a YAML document, ASCII only; a marked one begins with ---."""
    import yaml  # noqa: PLC0415 -- --help stays quick

    class Plain(yaml.SafeDumper):
        """Writes what is the same object twice twice, without anchors."""

        def ignore_aliases(self, data: Any) -> bool:
            """Tell that nothing gets an anchor."""
            del data
            return True

    text: str = yaml.dump(value, Dumper=Plain, sort_keys=False, width=1_000, explicit_start=marked)
    return text


def emit_csv(rows: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """Print records under a header, which a watch prints once."""
    if view.current().round == 0:
        _record(fields)
    for row in rows:
        _record([row.get(field) for field in fields])


def _record(values: Sequence[Any]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow([cell(value) for value in values])
    # The line's end is RFC 4180's; the sink would show a CR that came from elsewhere.
    ui.out(buffer.getvalue(), end="\r\n")


def cell(value: Any) -> str:
    """Return a value as a cell: text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        shown = printable(value)
        return f"'{shown}" if value[:1] in _FORMULA or shown[:1] in _FORMULA else shown
    # JSON of a number or a list begins with none of those characters, but for a minus.
    return json.dumps(value, ensure_ascii=True)


def flattened(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return one object as a record: NAME.FIELD for what is in an object directly below it."""
    record: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict) and item:
            record |= {f"{name}.{field}": below for field, below in item.items()}
        else:
            record[name] = item
    return record
