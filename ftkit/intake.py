"""Reads the sources that a recipe names into tables of id, input, target and group.

Knows no format, no cleaning and no split. Raises DataError naming source, row and column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.contracts import Context
from ftkit.errors import DataError, RecipeError
from ftkit.recipe import Data
from ftkit.registry import Choice, suggest
from ftkit.sources import SourceConfig

if TYPE_CHECKING:
    from ftkit.contracts import Table


def sources_of(data: Data) -> dict[str, Choice]:
    """`source` is what is split; `valid` and `test` where they are given."""
    given = {"valid": data.split.valid, "test": data.split.test}
    return {"source": data.source} | {key: value for key, value in given.items() if isinstance(value, Choice)}


def options_of(source: Choice) -> SourceConfig:
    """The Config of a source."""
    options = source.options
    assert isinstance(options, SourceConfig), f"the Config of source {source.name!r} is no SourceConfig"
    return options


def shares(data: Data) -> tuple[float, float]:
    """Shares of valid and test, 0 where the split has a source of its own."""
    given = (data.split.valid, data.split.test)
    valid, test = (0.0 if isinstance(value, Choice) else value for value in given)
    if valid + test >= 1:
        raise RecipeError(f"data.split: valid {valid:g} and test {test:g} leave no rows for train")
    return valid, test


def read_all(data: Data, ctx: Context) -> dict[str, Table]:
    """Tables of id, input, target and group; ids that stand in two sources get the source's name in front."""
    tables = {}
    for name, source in sources_of(data).items():
        ctx.check_stop()
        tables[name] = mapped(source(ctx), data, name, options_of(source))
        ctx.progress.say(f"{name}: {tables[name].height:,} rows read")
    ids = [name for table in tables.values() for name in table["id"].to_list()]
    if len(set(ids)) < len(ids):
        ctx.progress.say("ids stand in several sources: they get the name of their source in front")
        return {name: _prefixed(table, name) for name, table in tables.items()}
    return tables


def _prefixed(table: Table, source: str) -> Table:
    import polars

    name = polars.format("{}/{}", polars.lit(source), polars.col("id"))
    is_alone = polars.col("group") == polars.col("id")
    return table.with_columns(id=name, group=polars.when(is_alone).then(name).otherwise(polars.col("group")))


def mapped(table: Table, data: Data, name: str, source: SourceConfig) -> Table:
    """Columns id, input, target and group of the table of a source; `name` is its key in the recipe."""
    import polars

    if table["id"].n_unique() != table.height:
        twice = table.filter(polars.col("id").is_duplicated())["id"][0]
        raise DataError(f"data.{name}: id {twice!r} stands twice; ids must differ")
    for column in (source.input, source.target):
        if table.schema[column] != polars.String:
            found = f"column {column!r} holds {table.schema[column]}"
            raise DataError(f"data.{name}: {found}; expected strings: write numbers as text")
        if table[column].null_count():
            row = table.filter(polars.col(column).is_null())["id"][0]
            raise DataError(f"data.{name}: {row}: {column!r} is missing (null); expected a string")
    group = polars.col("id")
    if data.split.group is not None:
        if data.split.group not in table.columns:
            hint = suggest(data.split.group, table.columns)
            raise DataError(f"data.split.group: {name} has no column {data.split.group!r}{hint}")
        if table.schema[data.split.group].is_nested():
            raise DataError(f"data.split.group: column {data.split.group!r} of {name} is no plain value")
        group = polars.coalesce(polars.col(data.split.group).cast(polars.String), polars.col("id"))
    return table.select("id", input=source.input, target=source.target, group=group)
