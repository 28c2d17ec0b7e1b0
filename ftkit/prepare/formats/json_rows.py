"""Strict JSON, and rows of it as columns.

Knows no file and no source. What cannot be a column of plain values becomes its JSON text, and is said to be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

Value: TypeAlias = (
    "str | int | float | bool | list[Value] | dict[str, Value] | date | time | timedelta | Decimal | bytes | None"
)
"""What a cell holds: what JSON has, and behind it what only other formats have."""

NOT_TEXT = "_json"
"""A column, present only where it is needed: for each row the names of its String columns that hold the JSON text of
something else, a list or a number among texts; null where there are none."""

DEEPEST = 200  # lists and objects inside one another; Python's own parser gives up at about a thousand

_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+("?)|[\[{\]}]', re.S)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = " \t\r\n"


class MalformedError(ValueError):
    """A text that is no JSON value, or one that other readers would take for another; the message is the reason."""


class Strict:
    """A JSON parser that refuses what others let pass: equal keys, NaN, infinity, half surrogate pairs, depth."""

    def __init__(self) -> None:
        self._problem = ""
        decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )
        self._scan: Callable[[str, int], tuple[Value, int]] = decoder.scan_once  # type: ignore[attr-defined]

    def parse(self, text: str) -> Value:
        """The one value of a text. Raises MalformedError."""
        text = text.strip(_BLANK)
        value, end = self.value_at(text, 0)
        if end < len(text):
            raise MalformedError(f"not valid JSON: more follows where the value ends, at character {end + 1}")
        return value

    def value_at(self, text: str, begin: int) -> tuple[Value, int]:
        """The value that begins at a position, and where it ends. Raises MalformedError."""
        self._problem = ""
        try:
            value, end = self._scan(text, begin)
        except RecursionError:
            raise MalformedError(f"not read: nested deeper than {DEEPEST} lists and objects") from None
        except StopIteration as error:  # its value is the place
            missing = json.JSONDecodeError("expected a value", text, error.value)
            raise MalformedError(f"not valid JSON: {_what(missing)}") from None
        except json.JSONDecodeError as error:
            raise MalformedError(f"not valid JSON: {_what(error)}") from None
        except ValueError:  # Python's bound for the digits of an integer
            raise MalformedError("not valid JSON: a number has thousands of digits") from None
        if self._problem:
            raise MalformedError(f"not valid JSON: {self._problem}")
        if isinstance(value, (dict, list)):
            _refuse_depth(text, begin, end)
        if _HALF_PAIR.search(text, begin, end):
            refuse_half_pairs(value)
        return value, end

    def _object(self, pairs: list[tuple[str, Value]]) -> dict[str, Value]:
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            self._problem = self._problem or f"the key {shown(twice)} stands twice in one object"
        return made

    def _constant(self, name: str) -> None:
        self._problem = self._problem or f"{name} is no JSON number"

    def _float(self, text: str) -> float:
        value = float(text)
        if math.isinf(value):
            self._problem = self._problem or f"the number {text[:20]} is too large"
        return value


def refuse_half_pairs(value: Value) -> None:
    """Raise MalformedError where a value holds half of a surrogate pair: no UTF-8 can hold it."""
    try:
        dumped(value).encode()
    except UnicodeEncodeError:
        raise MalformedError("holds half of a surrogate pair (\\ud800 … \\udfff); no text can hold it") from None


def tokens(text: str, begin: int, end: int) -> Iterator[re.Match[str]]:
    """Brackets and strings of a JSON text; group 1 of a string that has no end is empty."""
    return _TOKENS.finditer(text, begin, end)


def dumped(value: Value) -> str:
    """A value as JSON text, characters as they are."""
    return json.dumps(value, ensure_ascii=False)


def shown(value: Value) -> str:
    """A value as JSON text for a message, at most 60 characters of it."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= 60 else text[:57] + "…"


def kind_of(value: Value) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def table_of(rows: Sequence[Mapping[str, Value]], names: Iterable[str]) -> Table:
    """Rows as columns of these names; a row that lacks one has null there.

    Texts are String, numbers Int64 or Float64, truth values Boolean, as long as all of a column are. Anything else
    makes a String column: texts as they are, other values as JSON text, which the column `_json` says of each row.
    """
    import polars

    made: list[polars.Series] = []
    other: dict[str, list[bool]] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        plain = _plain(name, values)
        if plain is None:
            other[name] = [value is not None and not isinstance(value, str) for value in values]
            texts = [value if value is None or isinstance(value, str) else dumped(value) for value in values]
            plain = polars.Series(name, texts, polars.String)
        made.append(plain)
    if other:
        marks = [
            [name for name, is_other in zip(other, row, strict=True) if is_other] or None
            for row in zip(*other.values(), strict=True)
        ]
        made.append(polars.Series(NOT_TEXT, marks, polars.List(polars.String)))
    return polars.DataFrame(made)


def _plain(name: str, values: list[Value]) -> polars.Series | None:
    """A column of one kind of plain values, or None where there are several kinds, or lists or objects."""
    import polars

    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return polars.Series(name, values, polars.String)
    if kinds == {bool}:
        return polars.Series(name, values, polars.Boolean)
    if kinds == {float} or (kinds == {int, float} and _largest(values) <= 2**53):
        return polars.Series(name, values, polars.Float64, strict=False)
    if kinds == {int} and _largest(values) < 2**63:
        return polars.Series(name, values, polars.Int64)
    return None


def _largest(values: list[Value]) -> int:
    return max(abs(value) for value in values if isinstance(value, int))


def _refuse_depth(text: str, begin: int, end: int) -> None:
    if text.count("[", begin, end) + text.count("{", begin, end) <= DEEPEST:
        return
    depth = 0
    for token in tokens(text, begin, end):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            raise MalformedError(f"not read: nested deeper than {DEEPEST} lists and objects")


def _what(error: json.JSONDecodeError) -> str:
    cut = error.pos >= len(error.doc.rstrip(_BLANK)) or error.msg.startswith("Unterminated string")
    ends = "; it ends in the middle: was it cut off?" if cut else ""
    what = f"{error.msg[0].lower()}{error.msg[1:]}".removesuffix(" at").removesuffix(" starting")
    return f"{what} at character {error.pos + 1}{ends}"
