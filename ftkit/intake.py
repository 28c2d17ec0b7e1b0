"""Reads the sources that a recipe names into rows on disk: id, input, target, group, weight, and what else is used.

Knows no format, no shape, no cleaning and no split. A row that holds no example is a fault: the run stops with the
first ten, or where the recipe says so they go to the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ftkit.cleaning import events
from ftkit.contracts import Batch, Context, Shaped
from ftkit.data_block import Data
from ftkit.errors import DataError, RecipeError
from ftkit.formats.json_rows import NOT_TEXT
from ftkit.ledger import Ledger
from ftkit.passes import Workshop
from ftkit.registry import Choice, choice_of, suggest
from ftkit.rows import Rows
from ftkit.shapes import recognise
from ftkit.shapes.columns import as_text, fill
from ftkit.sources import SourceConfig

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

SHOWN_FAULTS = 10
PLAIN = ("id", "input", "target", "group", "named_group", "weight")
OPTIONAL = ("time", "identity", "history", "compared", "rejected", "tools", "plain_text")


def sources_of(data: Data) -> dict[str, Choice]:
    """Every source by its name: `source` (or `source.0`, `source.1`, …), `valid` and `test` where they are given, and
    `against.0`, … for what train is held against."""
    pool = data.source
    named = {"source": pool[0]} if len(pool) == 1 else {f"source.{place}": each for place, each in enumerate(pool)}
    given = {"valid": data.split.valid, "test": data.split.test}
    named |= {name: value for name, value in given.items() if isinstance(value, Choice)}
    return named | {f"against.{place}": each for place, each in enumerate(data.decontaminate.against)}


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


def columns_of(data: Data, name: str, source: Choice, ctx: Context, *, num_rows: int) -> tuple[list[str], Table]:
    """The columns of a source, and its first rows as they are mapped. Raises DataError where they do not fit."""
    batch = next(iter(source(ctx)))
    rows, faults = _Reading(data, name, source, ctx).mapped(batch, head=num_rows)
    _stop_at({} if data.on_error == "drop" else faults)
    return [name for name in batch.table.columns if name != NOT_TEXT], rows


def read_all(data: Data, work: Workshop) -> dict[str, Rows]:
    """Rows of each source. Ids that stand in two of them get the source's name in front."""
    number = work.ledger.begin("read") if data.on_error == "drop" else None
    tables = {}
    for name, source in sources_of(data).items():
        tables[name] = work.write(_Reading(data, name, source, work.ctx).batches(work.ledger, number))
        if not len(tables[name]):
            raise DataError(f"data.{name}: no row of the source can be used{work.ledger.worst}")
        work.ctx.progress.say(f"{name}: {len(tables[name]):,} rows read")
    if number is not None:
        work.ledger.say(number)
    return _with_ids_that_differ(tables, work)


def pool_of(tables: Mapping[str, Rows], work: Workshop) -> Rows:
    """The rows that are to be split, of one source, or of several one after another with the column `source`."""
    import polars

    names = _names_of_pool(tables)
    if len(names) == 1:
        return tables[names[0]]
    columns = dict.fromkeys(column for name in names for column in tables[name].columns)
    made = work.write(
        aligned(batch, list(columns)).with_columns(source=polars.lit(name)) for name in names for batch in tables[name]
    )
    for name in names:
        work.delete(tables[name])
    return made


def _names_of_pool(tables: Mapping[str, Rows]) -> list[str]:
    return [name for name in tables if name.partition(".")[0] == "source"]


def aligned(table: Table, columns: Sequence[str]) -> Table:
    """These columns of the table; texts it has none of are null, histories empty."""
    import polars

    empty = polars.lit([], polars.List(polars.Struct({"role": polars.String, "content": polars.String})))
    special = {"history": empty, "plain_text": polars.lit(False), "compared": polars.col("input")}
    missing = {name: special.get(name, polars.lit(None, polars.String)) for name in columns}
    filled = {name: value for name, value in missing.items() if name not in table.columns}
    return table.with_columns(**filled).select(columns)


@dataclass
class _Reading:
    """One source while it is read. Its shape is recognised once, from the first rows."""

    data: Data
    name: str
    source: Choice
    ctx: Context
    shape: Choice | None = None

    def batches(self, ledger: Ledger, number: int | None) -> Iterator[Table]:
        """Mapped rows, batch after batch. Faults go to the ledger, or are raised once there are ten, or at the end."""
        first: dict[str, str] = {}
        with self.ctx.progress.task(f"read {self.name}", 0) as bar:
            for batch in self.source(self.ctx):
                self.ctx.check_stop()
                rows, faults = self.mapped(batch)
                bar.advance(rows.height)
                if number is not None:
                    ledger.add(number, rows.height + len(faults), _as_events(faults))
                elif faults:
                    first |= faults
                    if len(first) >= SHOWN_FAULTS:
                        break
                yield rows
        _stop_at(first)

    def mapped(self, batch: Batch, *, head: int | None = None) -> tuple[Table, dict[str, str]]:
        """The examples of a batch, or of its first `head` rows, and a reason for each place that holds none."""
        import polars

        table = batch.table.head(batch.table.height if head is None else head)
        try:
            self.shape = self.shape or self._shape_of(table)
            shaped: Shaped = self.shape(table)
        except DataError as error:
            raise DataError(f"data.{self.name}: {error}") from None
        rows = self._with_own_columns(table, shaped.table)
        light = rows.filter(~((polars.col("weight") > 0) & polars.col("weight").is_finite()).fill_null(False))
        bad, weight = light["id"], options_of(self.source).weight
        found = zip(bad, light["weight"], strict=True)
        faults = {**shaped.faults, **{name: f"weight {weight!r} is {_shown(value)}" for name, value in found}}
        if faults:
            place_of = dict(zip(batch.table["id"], batch.places, strict=True))
            faults = {place_of.get(name, name): reason for name, reason in faults.items()}
        return rows.filter(~polars.col("id").is_in(bad.implode())), {**batch.faults, **faults}

    def _shape_of(self, table: Table) -> Choice:
        options = options_of(self.source)
        if options.shape is not None:
            return options.shape
        found: dict[str, dict[str, str]] | str = {"columns": options.columns_wanted} if options.columns_wanted else ""
        if not found:
            found = recognise(table)
            self.ctx.progress.say(f"{self.name}: the rows look like {found!r} (shape of the source in the recipe)")
        return choice_of("shapes").model_validate(found)

    def _with_own_columns(self, table: Table, shaped: Table) -> Table:
        """Group, weight, time and identity beside what the shape made: they are columns of the source."""
        import polars

        key = "conversation" if "conversation" in shaped.columns else "id"
        own = table.select(polars.col("id").alias(key), **self._own_columns(table))
        rows = shaped.join(own, on=key, how="left", maintain_order="left")
        rows = rows.with_columns(
            group=polars.coalesce("group", key),
            named_group=polars.col("group").is_not_null(),
            **self._made_columns(shaped),
        )
        return rows.select(*PLAIN, *(name for name in OPTIONAL if name in rows.columns))

    def _made_columns(self, shaped: Table) -> dict[str, polars.Expr]:
        """What tells rows of this shape apart where the input does not: the history with it, or a plain text itself."""
        import polars

        assert self.shape is not None
        if self.shape.name == "text":  # it is cleaned and compared as an input, and written as what it is: a target
            return {"input": polars.col("target"), "plain_text": polars.lit(True)}
        if "history" not in shaped.columns:
            return {}
        earlier = polars.col("history").list.eval(polars.element().struct.field("content")).list.join("\n")
        return {"compared": polars.concat_str(earlier, polars.col("input"), separator="\n")}

    def _own_columns(self, table: Table) -> dict[str, polars.Expr | polars.Series]:
        import polars

        split, weight = self.data.split, options_of(self.source).weight
        own: dict[str, polars.Expr | polars.Series] = {
            "group": polars.lit(None, polars.String),
            "weight": polars.lit(1.0),
        }
        is_benchmark = self.name.startswith("against.")
        if split.group is not None and not is_benchmark:
            group = self._plain(table, "group", split.group)
            own["group"] = group.set(group == "", None)
        if weight is not None:
            own["weight"] = self._plain(table, "weight", weight).cast(polars.Float64, strict=False)
        if split.time is not None and not is_benchmark:
            own["time"] = self._plain(table, "time", split.time)
        if self.data.decontaminate.identity is not None:
            own["identity"] = fill(table, self.data.decontaminate.identity, missing="")
        return own

    def _plain(self, table: Table, use: str, column: str) -> polars.Series:

        if column not in table.columns:
            place = f"data.split.{use}" if use != "weight" else f"data.{self.name}: weight"
            raise DataError(f"{place}: {self.name} has no column {column!r}{suggest(column, table.columns)}")
        if table.schema[column].is_nested():
            raise DataError(f"data.{self.name}: column {column!r}, used as {use}, is no plain value")
        return as_text(table, column)


def _shown(weight: float | None) -> str:
    return f"{'no number' if weight is None else format(weight, 'g')}; expected a number above 0"


def _stop_at(faults: Mapping[str, str]) -> None:
    if faults:
        lines = [f"{place}: {reason}" for place, reason in islice(faults.items(), SHOWN_FAULTS)]
        shown = f"; the first {SHOWN_FAULTS} are shown" if len(faults) >= SHOWN_FAULTS else ""
        more = "; on_error: drop in data leaves such rows out and lists them in the ledger"
        raise DataError("\n".join(lines) + shown + more)


def _as_events(faults: Mapping[str, str]) -> Table:
    import polars

    names, reasons = (polars.Series(list(part), dtype=polars.String) for part in (faults.keys(), faults.values()))
    return events("drop", names, reasons)


def _with_ids_that_differ(tables: dict[str, Rows], work: Workshop) -> dict[str, Rows]:
    import polars

    ids = {name: rows.column("id") for name, rows in tables.items()}
    for name, own in ids.items():
        if own.n_unique() < len(own):
            twice = own.filter(own.is_duplicated())[0]
            raise DataError(f"data.{name}: id {twice!r} stands twice; ids must differ")
    pool = _names_of_pool(tables)
    others = [name for name in tables if name not in pool]
    own = polars.concat([ids[name] for name in pool]).unique()
    clashing = pool if len(own) < sum(len(ids[name]) for name in pool) else []
    both = polars.concat([own, *(ids[name] for name in others)])
    clashing = [*clashing, *(others if both.n_unique() < len(both) else [])]  # rows to be dealt keep theirs if they can
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
