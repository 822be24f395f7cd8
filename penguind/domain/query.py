"""Query documents of checks: which ones are allowed, and what they look at.

A query is a MongoDB filter that a person wrote. It may use the operators listed here and no
others, so that none can run code, read other collections or take for ever:

1. at most 10 levels deep and 200 nodes in all, lists of at most 1,000 values;
2. no `$where`, `$expr`, `$function`, `$jsonSchema`, `$text` or any operator that is not listed;
3. paths stay within `penguind.domain.paths.ROOTS`;
4. regular expressions as in `penguind.domain.patterns`;
5. of a sealed value, only `$exists` may be asked.

Beyond MongoDB there is one word: `{"$ago": "8h"}` stands for the time so long before the
evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from penguind.domain.literals import INT64, ago, date_literal, scalar
from penguind.domain.paths import check_path, is_within
from penguind.domain.patterns import check_pattern
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

Query = dict[str, Any]

MAX_DEPTH = 10
MAX_NODES = 200
MAX_LIST_LENGTH = 1000

LOGICAL = frozenset({"$and", "$or", "$nor"})
_TYPES = frozenset(
    {"double", "string", "object", "array", "binData", "bool", "date", "null", "int", "long",
     "number"},
)  # fmt: skip


class _Reader:
    """One validation, with its budget of nodes."""

    def __init__(self, sealed: Collection[str]) -> None:
        self._sealed = sealed
        self._nodes = 0
        self._operators: dict[str, Callable[[Any, int], Any]] = {
            **dict.fromkeys(("$eq", "$ne"), self._value),
            **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), self._bound),
            **dict.fromkeys(("$in", "$nin", "$all"), self._list),
            "$exists": self._exists,
            "$type": self._type,
            "$size": self._size,
            "$mod": self._mod,
            "$not": self._not,
            "$elemMatch": self._elem_match,
        }

    def query(self, document: object, depth: int, *, relative: bool = False) -> Query:
        """Validate a filter: paths with conditions, and logical operators."""
        entries = self._mapping(document, depth)
        result: Query = {}
        for key, value in entries.items():
            if key in LOGICAL:
                result[key] = self._alternatives(key, value, depth + 1, relative=relative)
            elif isinstance(key, str) and key.startswith("$"):
                raise _refused(key)
            else:
                path = check_path(key, relative=relative)
                result[path] = self._condition(value, depth + 1)
                self._check_sealed(path, value)
        return result

    def _alternatives(self, key: str, value: object, depth: int, *, relative: bool) -> list[Query]:
        self._count(depth)
        if not isinstance(value, list) or not value:
            raise InvalidInput(f"{key} takes a list of queries that is not empty")
        return [self.query(one, depth + 1, relative=relative) for one in value]

    def _condition(self, value: object, depth: int) -> Any:
        if _is_operators(value):
            return self._operations(value, depth)
        return self._value(value, depth)

    def _operations(self, document: object, depth: int) -> Query:
        entries = self._mapping(document, depth)
        result: Query = {}
        for key, value in entries.items():
            if key == "$regex":
                result[key] = check_pattern(value, entries.get("$options", ""))
            elif key == "$options" and "$regex" in entries:
                result[key] = value
            elif key in self._operators:
                result[key] = self._operators[key](value, depth + 1)
            else:
                raise _refused(key)
        return result

    def _mapping(self, document: object, depth: int) -> dict[Any, Any]:
        self._count(depth)
        if not isinstance(document, dict) or not document:
            raise InvalidInput("a query must be a mapping that is not empty")
        return document

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the query is more than {MAX_DEPTH} levels deep")
        if self._nodes > MAX_NODES:
            raise InvalidInput(f"the query has more than {MAX_NODES} nodes")

    def _value(self, value: object, depth: int) -> Any:
        self._count(depth)
        if isinstance(value, dict):
            return self._document(value, depth)
        if isinstance(value, list):
            return [self._value(one, depth + 1) for one in value]
        return scalar(value)

    def _document(self, value: dict[Any, Any], depth: int) -> Any:
        if set(value) == {"$date"}:
            return date_literal(value["$date"])
        for key in value:
            if not isinstance(key, str) or not key or key.startswith("$") or "\0" in key:
                raise InvalidInput(f"a value holds the key {str(key)[:40]!a}")
            scalar(key)
        return {key: self._value(one, depth + 1) for key, one in value.items()}

    def _bound(self, value: object, depth: int) -> Any:
        if isinstance(value, dict) and set(value) == {"$ago"}:
            self._count(depth)
            return {"$ago": ago(value["$ago"])}
        return self._value(value, depth)

    def _list(self, value: object, depth: int) -> list[Any]:
        self._count(depth)
        if not isinstance(value, list) or len(value) > MAX_LIST_LENGTH:
            raise InvalidInput(f"$in, $nin and $all take a list of at most {MAX_LIST_LENGTH}")
        # Plain values in a list are cheap and do not count as nodes.
        return [
            self._value(one, depth + 1) if isinstance(one, dict | list) else scalar(one)
            for one in value
        ]

    def _exists(self, value: object, depth: int) -> bool:
        self._count(depth)
        if not isinstance(value, bool):
            raise InvalidInput("$exists takes true or false")
        return value

    def _type(self, value: object, depth: int) -> Any:
        self._count(depth)
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(one, str) and one in _TYPES for one in names):
            raise InvalidInput(f"$type takes one or more of {', '.join(sorted(_TYPES))}")
        if len(names) > len(_TYPES):
            raise InvalidInput("$type has too many names")
        return list(names)

    def _size(self, value: object, depth: int) -> int:
        self._count(depth)
        if not _is_int(value) or not 0 <= value < 2**31:
            raise InvalidInput("$size takes a whole number that is not negative")
        return value

    def _mod(self, value: object, depth: int) -> list[int]:
        self._count(depth)
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_int, value)):
            raise InvalidInput("$mod takes two whole numbers")
        if not value[0] or max(map(abs, value)) >= INT64:
            raise InvalidInput("$mod divides by a number that is not zero")
        return list(value)

    def _not(self, value: object, depth: int) -> Query:
        if not _is_operators(value):
            raise InvalidInput("$not takes operators, for example {$not: {$gt: 3}}")
        return self._operations(value, depth)

    def _elem_match(self, value: object, depth: int) -> Query:
        if _is_operators(value) and not LOGICAL & set(value):
            return self._operations(value, depth)
        return self.query(value, depth, relative=True)

    def _check_sealed(self, path: str, condition: object) -> None:
        if not is_within(path, self._sealed):
            return
        if not isinstance(condition, dict) or set(condition) != {"$exists"}:
            raise InvalidInput(
                "the value is sealed, so that only its existence can be asked",
                subject=path,
                remedy="use {$exists: true}",
            )


def check_query(document: object, *, sealed: Collection[str] = ()) -> Query:
    """Return a query that may be given to the database once `resolve` has filled in times.

    Args:
        document: What was read from the check's file.
        sealed: Paths of values that are sealed; only their existence may be asked.

    Raises:
        InvalidInput: If the document breaks a rule of the module's docstring.
    """
    return _Reader(sealed).query(document, 1)


def resolve(query: Any, now: datetime) -> Any:
    """Return a query in which each `$ago` is the time that it stands for."""
    if isinstance(query, list):
        return [resolve(one, now) for one in query]
    if not isinstance(query, dict):
        return query
    if set(query) == {"$ago"}:
        return now - query["$ago"]
    return {key: resolve(value, now) for key, value in query.items()}


def paths_of(query: Query) -> Iterator[str]:
    """Yield the paths that a query looks at, in the order of the text, with repetitions."""
    for key, value in query.items():
        if key in LOGICAL:
            for one in value:
                yield from paths_of(one)
        else:
            yield key


def _is_operators(value: object) -> TypeGuard[dict[Any, Any]]:
    """Tell operators from a literal document; `$date` alone is a literal."""
    if not isinstance(value, dict) or set(value) == {"$date"}:
        return False
    return any(isinstance(key, str) and key.startswith("$") for key in value)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(key: object) -> InvalidInput:
    return InvalidInput(
        f"the operator {str(key)[:40]!a} is not allowed in checks",
        remedy="docs/checks.md lists the operators that are",
    )
