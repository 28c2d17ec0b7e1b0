"""What rows carry and nothing reads: columns, fields of messages, answers that were rejected.

Knows a shape by what it makes of rows: a column that changes nothing is not read.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.conversation import NoExampleError, messages_in, unread_fields
from ftkit.prepare.shapes import own_columns, values
from ftkit.registry import Choice

if TYPE_CHECKING:
    from ftkit.contracts import Table

LOOKED_AT = 50  # rows
REJECTED = "the rejected answers stand in the rows; no task learns from them yet"


def unused(shape: Choice, table: Table, named: Collection[str]) -> list[str]:
    """What is to be said of the first rows of a source. `named` are the columns that the recipe reads by name."""
    some = table.head(LOOKED_AT)
    made = _made(shape, some)
    if made is None:
        return []
    own = [name for name in own_columns(some) if name not in named and some[name].null_count() < some.height]
    columns = [name for name in own if _is_same(made, _made(shape, some.drop(name)))]
    fields = sorted({each for name in own if name not in columns for each in _fields(some, name)})
    notes = [f"not used: {', '.join(columns)}"] if columns else []
    notes += [f"fields of messages that are not used: {', '.join(fields)}"] if fields else []
    return [*notes, *([REJECTED] if "rejected" in made.table.columns else [])]


def _made(shape: Choice, table: Table) -> Shaped | None:
    try:
        made: Shaped = shape(table)
    except DataError:
        return None
    return made


def _is_same(one: Shaped, other: Shaped | None) -> bool:
    return other is not None and one.table.equals(other.table) and one.faults == other.faults


def _fields(table: Table, column: str) -> set[str]:
    """Fields of the messages in a column that are not read."""
    found: set[str] = set()
    try:
        cells = values(table, column)
    except NoExampleError:
        return found
    for value in cells:
        for message in messages_in(value) or []:
            found |= unread_fields(message)
    return found
