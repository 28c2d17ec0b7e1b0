"""Ids of rows from several sources: each stands once.

Knows tables by the names of their sources; no shape and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftkit.errors import DataError
from ftkit.prepare.passes import Workshop
from ftkit.prepare.row_keys import column_fingerprints
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.similarity import numbered

if TYPE_CHECKING:
    from ftkit.contracts import Table


def names_of_pool(tables: Mapping[str, Rows]) -> list[str]:
    """The sources whose rows are dealt into splits."""
    return [name for name in tables if name.partition(".")[0] == "source"]


def with_ids_that_differ(tables: dict[str, Rows], work: Workshop) -> dict[str, Rows]:
    """The tables with ids of their own: where several sources share some, theirs get the source's name in front.

    Raises DataError for an id that stands twice in one.
    """
    import numpy as np

    prints = {name: column_fingerprints(rows, "id") for name, rows in tables.items()}
    for name, rows in tables.items():
        again = numbered(prints[name]).again
        if again.size:
            twice = rows.take(again[:1], "id")["id"][0]
            raise DataError(f"data.{name}: id {twice!r} stands twice; ids must differ")
    pool = names_of_pool(tables)
    others = [name for name in tables if name not in pool]
    own = np.concatenate([prints[name] for name in pool])
    distinct = numbered(own)
    clashing = pool if distinct.again.size else []
    both = np.concatenate([own[distinct.place], *(prints[name] for name in others)]) if others else own[:0]
    clashing = [*clashing, *(others if numbered(both).again.size else [])]  # rows to be dealt keep theirs if they can
    if clashing:
        names = ", ".join(clashing)
        work.ctx.progress.say(f"ids stand in several sources: those of {names} get the name of their source in front")
    for name in clashing:
        rows = tables[name]
        tables = {**tables, name: work.replace(rows, (_prefixed(batch, name) for batch in rows))}
    return tables


def _prefixed(table: Table, source: str) -> Table:
    import polars

    name = polars.format("{}/{}", polars.lit(source), polars.col("id"))
    group = polars.format("{}/{}", polars.lit(source), polars.col("group"))
    return table.with_columns(id=name, group=polars.when("named_group").then("group").otherwise(group))
