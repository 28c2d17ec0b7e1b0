"""What rows carry and nothing reads: columns, what stands beside what is read in them, answers that were rejected.

Knows a shape by what it makes of rows: a column that changes nothing is not read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.shapes import own_columns
from ftkit.registry import Choice

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

LOOKED_AT = 50  # rows that a column is judged by, the first in which something stands in it
SHOWN = 40  # names; more are counted
REJECTED = "the rejected answers stand in the rows; no task learns from them yet"


@dataclass
class Unused:
    """What was found so far, over the batches of a source. `named` are the columns that the recipe reads by name."""

    named: Collection[str]
    _judged: set[str] = field(default_factory=set)
    _columns: list[str] = field(default_factory=list)
    _within: set[str] = field(default_factory=set)
    _has_rejected: bool = False

    def look(self, shape: Choice, table: Table, made: Shaped) -> None:
        """Look at a batch, and at what the shape made of it; each column is judged once, where it is first filled."""
        self._within |= set(made.unread)
        self._has_rejected |= "rejected" in made.table.columns
        for name in own_columns(table):
            if name in self.named or name in self._judged:
                continue
            some = table.filter(_is_filled(table[name])).head(LOOKED_AT)
            if some.height:
                self._judged.add(name)
                with_it = _made(shape, some)
                self._columns += (
                    [name] if with_it is not None and _is_same(with_it, _made(shape, some.drop(name))) else []
                )

    def notes(self) -> list[str]:
        """What is to be said of it, the names on one line."""
        names = [*self._columns, *sorted(self._within)]
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        line = [f"not used: {', '.join(names[:SHOWN])}{more}"] if names else []
        return [*line, *([REJECTED] if self._has_rejected else [])]


def _is_filled(column: polars.Series) -> polars.Series:
    """Where something stands in a column: no null, no empty text, no empty list."""
    import polars

    is_filled = column.is_not_null()
    if column.dtype == polars.String:
        is_filled &= ~column.is_in(["", "[]", "{}"]).fill_null(True)
    elif isinstance(column.dtype, polars.List):
        is_filled &= (column.list.len() > 0).fill_null(False)
    return is_filled


def _made(shape: Choice, table: Table) -> Shaped | None:
    try:
        made: Shaped = shape(table)
    except DataError:
        return None
    return made


def _is_same(one: Shaped, other: Shaped | None) -> bool:
    return other is not None and one.table.equals(other.table) and one.faults == other.faults
