"""Parquet files. Ids default to '<file>:<row>', counted from 1.

Knows no other format and no stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.registry import component
from ftkit.sources import FileSource, check_ids, require_columns

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Parquet(FileSource):
    """One parquet file."""


@component
def read(config: Parquet, ctx: Context, *, head: int | None = None) -> Table:
    """All rows, or the first `head`. Raises DataError where the file is unreadable or a column missing."""
    import polars

    path = config.file(ctx)
    try:
        table = polars.read_parquet(path, n_rows=head)
    except polars.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from None
    require_columns(str(path), table.columns, config.wanted)
    if table.is_empty():
        raise DataError(f"{path}: there is no row in the file")
    texts = [name for name, kind in table.schema.items() if kind in (polars.Categorical, polars.Enum)]
    table = table.with_columns(polars.col(texts).cast(polars.String)) if texts else table
    places = [f"{path.name}:{number}" for number in range(1, table.height + 1)]
    if config.id is None:
        return table.with_columns(polars.Series("id", places))
    table = table.with_columns(polars.col(config.id).cast(polars.String).alias("id"))
    if table["id"].null_count():
        raise DataError(f"{places[table['id'].is_null().arg_max() or 0]}: id {config.id!r} is null")
    check_ids(table["id"].to_list(), places)
    return table
