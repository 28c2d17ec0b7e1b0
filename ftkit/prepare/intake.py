"""Reads the sources that a recipe names into rows: id, input, target, group, weight, and what else is used.

Knows no format, no shape, no cleaning and no split. A row that holds no example is a fault: the run stops with the
first ten, or where the recipe says so they go to the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.contracts import Batch, Context, Shaped
from ftkit.errors import DataError, RecipeError
from ftkit.prepare.cleaning import events
from ftkit.prepare.formats.json_rows import NOT_TEXT
from ftkit.prepare.ids import names_of_pool, with_ids_that_differ
from ftkit.prepare.ledger import Ledger
from ftkit.prepare.likely import likely
from ftkit.prepare.passes import Workshop
from ftkit.prepare.rows import Rows
from ftkit.prepare.shapes import as_text, own_columns, recognise
from ftkit.prepare.shapes.columns import Columns, fill
from ftkit.prepare.sources import FileSource, SourceConfig
from ftkit.prepare.unused import Unused
from ftkit.recipe.data_block import Data
from ftkit.recipe.templates import names_in
from ftkit.registry import Choice, choice_of, nearest
from ftkit.store import stamp

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

SHOWN_FAULTS = 10
PLAIN = ("id", "input", "target", "group", "named_group", "weight")
OPTIONAL = ("time", "identity", "history", "rejected", "tools", "plain_text")

Stamps: TypeAlias = Mapping[str, Mapping[str, str]]
"""Of each source by its name, for each of its files: what shows that it was changed."""


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


def shape_in_recipe(source: Choice) -> Choice | None:
    """The shape that a recipe names for a source; None where it is recognised from the source's first rows."""
    options = options_of(source)
    if options.shape is None and options.columns_wanted:
        return choice_of("shapes").model_validate({"columns": options.columns_wanted})
    return options.shape


def shares(data: Data) -> tuple[float, float]:
    """Shares of valid and test, 0 where the split has a source of its own."""
    given = (data.split.valid, data.split.test)
    valid, test = (0.0 if isinstance(value, Choice) else value for value in given)
    if valid + test >= 1:
        raise RecipeError(f"data.split: valid {valid:g} and test {test:g} leave no rows for train")
    return valid, test


def refuse_one_source_twice(data: Data, content_id: Callable[[str], str]) -> None:
    """Raise DataError where two of source, valid and test are the same rows: a file or a copy, read the same way.

    `content_id` is asked by name, and only of sources that may be the same. Rows that are shared by some are dropped.
    """
    sources = sources_of(data)
    for (name, one), (other_name, other) in combinations(sources.items(), 2):
        roles = {each.partition(".")[0] for each in (name, other_name)}
        if len(roles) < 2 or "against" in roles or _reading_of(one) != _reading_of(other):
            continue
        if content_id(name) == content_id(other_name):
            keys = [
                f"data.split.{each}" if each in ("valid", "test") else f"data.{each}" for each in (name, other_name)
            ]
            shown = " and ".join(getattr(options_of(each), "path", each.name) for each in (one, other))
            raise DataError(
                f"{' and '.join(keys)} are the same rows ({shown}): what is learned or chosen on one would be scored "
                "on itself; give each rows of its own, or a share of data.source"
            )


def _reading_of(source: Choice) -> tuple[str, dict[str, Any]]:
    """What decides which rows of some content are read."""
    told_elsewhere = {*SourceConfig.model_fields, "path", "revision"}
    return source.name, options_of(source).model_dump(exclude=told_elsewhere)


def columns_of(data: Data, name: str, source: Choice, ctx: Context, *, num_rows: int) -> tuple[list[str], Table]:
    """The columns of a source, and its first rows as they are mapped. Raises DataError where they do not fit."""
    reading = _Reading(data, name, source, ctx)
    batch = next(reading.batches())
    rows, faults = reading.mapped(batch, head=num_rows)
    reading.say(reading.unused.notes())
    _stop_at({} if data.on_error == "drop" else faults)
    return [name for name in batch.table.columns if name != NOT_TEXT], rows


def stamps_of(data: Data, ctx: Context) -> Stamps:
    """The stamps of the files of every source. Raises DataError where one is missing."""
    return {name: _stamps(source, ctx) for name, source in sources_of(data).items()}


def _stamps(source: Choice, ctx: Context) -> dict[str, str]:
    """Empty for a source that is not made of files: a commit does not change."""
    options = options_of(source)
    files = options.files(ctx) if isinstance(options, FileSource) else []
    return {str(file.path): stamp(file.path) for file in files}


def read_all(data: Data, work: Workshop, stamps: Stamps) -> dict[str, Rows]:
    """Rows of each source. Ids that stand in two of them get the source's name in front.

    Raises DataError for a file that is not as it was when `stamps` were taken.
    """
    number = work.ledger.begin("read") if data.on_error == "drop" else None
    tables = {}
    for name, source in sources_of(data).items():
        tables[name] = work.write(_Reading(data, name, source, work.ctx).examples(work.ledger, number))
        _refuse_changed(name, stamps[name], _stamps(source, work.ctx))
        if not len(tables[name]):
            raise DataError(f"data.{name}: no row of the source can be used{work.ledger.worst}")
        work.ctx.progress.say(f"{name}: {len(tables[name]):,} rows read")
    if number is not None:
        work.ledger.say(number)
    return with_ids_that_differ(tables, work)


def _refuse_changed(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    for file in [*before, *now]:
        if before.get(file) != now.get(file):
            raise DataError(f"data.{name}: {file} was changed while it was read; run again once it is at rest")


def pool_of(tables: Mapping[str, Rows], work: Workshop) -> Rows:
    """The rows that are to be split, of one source, or of several one after another with the column `source`."""
    import polars

    names = names_of_pool(tables)
    if len(names) == 1:
        return tables[names[0]]
    columns = dict.fromkeys(column for name in names for column in tables[name].columns)
    made = work.write(
        aligned(batch, list(columns)).with_columns(source=polars.lit(name)) for name in names for batch in tables[name]
    )
    for name in names:
        tables[name].delete()
    return made


def aligned(table: Table, columns: Sequence[str]) -> Table:
    """These columns of the table; texts it has none of are null, histories empty."""
    import polars

    empty = polars.lit([], polars.List(polars.Struct({"role": polars.String, "content": polars.String})))
    special = {"history": empty, "plain_text": polars.lit(False)}
    missing = {name: special.get(name, polars.lit(None, polars.String)) for name in columns}
    filled = {name: value for name, value in missing.items() if name not in table.columns}
    return table.with_columns(**filled).select(columns)


@dataclass(frozen=True, slots=True)
class _Named:
    """A column that the recipe names, and the place where it does; some may stand within others: user.text in user."""

    place: str
    column: str
    may_stand_within: bool = False

    @property
    def is_input_or_target(self) -> bool:
        return self.place.endswith((": input", ": target"))

    def stands_in(self, table: Table) -> bool:
        outer = self.column.partition(".")[0] if self.may_stand_within else self.column
        return self.column in table.columns or outer in table.columns


@dataclass
class _Reading:
    """One source while it is read. Its shape is recognised once, from the first rows."""

    data: Data
    name: str
    source: Choice
    ctx: Context
    shape: Choice | None = None
    said: set[str] = field(default_factory=set)
    unused: Unused = field(init=False)

    def __post_init__(self) -> None:
        named = [options_of(self.source).id or "id", *(each.column for each in self._named())]
        self.unused = Unused({part for name in named for part in (name, name.partition(".")[0])})

    def batches(self) -> Iterator[Batch]:
        """The source's batches, each with every column that the recipe names: null where the batch has no such column.

        Raises DataError for one that is neither in the first batch, which is small, nor in the second, which is full:
        such a one is a typo. It costs a run no more than these, and `ftkit check --fast` finds it.
        """
        named = self._named()
        batches_left: Iterator[Batch] = self.source(self.ctx)
        first = [next(batches_left)]
        if not all(each.stands_in(first[0].table) for each in named):
            first += islice(batches_left, 1)
        missing = [each for each in named if not any(each.stands_in(batch.table) for batch in first)]
        if missing:
            raise self._no_columns(missing, first, is_all=next(batches_left, None) is None)
        for batch in chain(first, batches_left):
            yield replace(batch, table=_with_nulls(batch.table, named))

    def _named(self) -> list[_Named]:
        """The columns that the recipe names; which ones a shape takes, it knows itself, but for `columns`."""
        options, split = options_of(self.source), self.data.split
        group, time = (None, None) if self.name.startswith("against.") else (split.group, split.time)
        columns = {"data.split.group": group, "data.split.time": time, f"data.{self.name}: weight": options.weight}
        shape = shape_in_recipe(self.source)
        texts = {"data.decontaminate.identity": self.data.decontaminate.identity}
        if shape is not None and isinstance(shape.options, Columns):
            texts |= {f"data.{self.name}: {use}": getattr(shape.options, use) for use in ("input", "target")}
        return [
            *(_Named(place, column) for place, column in columns.items() if column is not None),
            *(_Named(place, column, True) for place, text in texts.items() if text for column in names_in(text)),
        ]

    def _no_columns(self, missing: Sequence[_Named], seen: Sequence[Batch], *, is_all: bool) -> DataError:
        """A line for each, and the columns that are likely meant where an input or target is no mere slip."""
        known = own_columns(seen[-1].table)
        is_lost = any(each.is_input_or_target and nearest(each.column, known) is None for each in missing)
        meant = likely(known) if is_lost else ""
        hints = [_listed(known) if meant and each.is_input_or_target else _hint(each.column, known) for each in missing]
        lines = [self._no_column(each, hint, seen, is_all=is_all) for each, hint in zip(missing, hints, strict=True)]
        if meant:
            lines.append(f"data.{self.name}: likely {meant}")
        return DataError("\n".join(lines))

    def _no_column(self, named: _Named, hint: str, seen: Sequence[Batch], *, is_all: bool) -> str:
        num_rows = sum(batch.table.height for batch in seen)
        where = "" if is_all else f" in its first {num_rows:,} rows"
        later = "" if is_all else "; where a later row has it, give it to the first row too, as null"
        later += options_of(self.source).no_header
        return f"{named.place}: {self.name} has no column {named.column!r}{where}{hint}{later}"

    def examples(self, ledger: Ledger, number: int | None) -> Iterator[Table]:
        """Mapped rows, batch after batch. Faults go to the ledger, or are raised once there are ten, or at the end."""
        first: dict[str, str] = {}
        with self.ctx.progress.bar(f"read {self.name}", 0) as bar:
            for batch in self.batches():
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
        self.say(self.unused.notes())

    def mapped(self, batch: Batch, *, head: int | None = None) -> tuple[Table, dict[str, str]]:
        """The examples of a batch, or of its first `head` rows, and a reason for each place that holds none."""
        import polars

        table = batch.table.head(batch.table.height if head is None else head)
        try:
            self.shape = self.shape or self._shape_of(table)
            shaped: Shaped = self.shape(table)
        except DataError as error:
            raise DataError(f"data.{self.name}: {error}{options_of(self.source).no_header}") from None
        self.say(shaped.notes)
        self.unused.look(self.shape, table, shaped)
        own = table.select("id", **self._own_columns(table))
        is_good = ((polars.col("weight") > 0) & polars.col("weight").is_finite()).fill_null(False)
        weight, light = options_of(self.source).weight, own.filter(~is_good)
        weights = zip(light["id"], light["weight"], strict=True)
        faults = {**{name: f"weight {weight!r} is {_shown(value)}" for name, value in weights}, **shaped.faults}
        if faults:
            places = zip(batch.table["id"], batch.places, strict=True)
            faults = {place: faults[name] for name, place in places if name in faults}
        return self._with_own_columns(shaped.table, own.filter(is_good)), {**batch.faults, **faults}

    def say(self, notes: Sequence[str]) -> None:
        """Say what was not said yet."""
        for note in [each for each in notes if each not in self.said]:
            self.said.add(note)
            self.ctx.progress.say(f"{self.name}: {note}")

    def _shape_of(self, table: Table) -> Choice:
        shape = shape_in_recipe(self.source)
        if shape is not None:
            return shape
        name = recognise(table)
        self.ctx.progress.say(f"{self.name}: the rows look like {name!r} (shape of the source in the recipe)")
        return choice_of("shapes").model_validate(name)

    def _with_own_columns(self, shaped: Table, own: Table) -> Table:
        """What the shape made of the source's rows that are in `own`, with their group, weight, time and identity."""
        import polars

        key = "conversation" if "conversation" in shaped.columns else "id"
        rows = shaped.join(own.rename({"id": key}), on=key, how="inner", maintain_order="left")
        rows = rows.with_columns(
            group=polars.coalesce("group", key),
            named_group=polars.col("group").is_not_null(),
        )
        if self.shape is not None and self.shape.name == "text":
            # it is cleaned and compared as an input, and written as what it is: a target
            rows = rows.with_columns(input=polars.col("target"), plain_text=polars.lit(True))
        return rows.select(*PLAIN, *(name for name in OPTIONAL if name in rows.columns))

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
        if table.schema[column].is_nested():
            raise DataError(f"data.{self.name}: column {column!r}, used as {use}, is no plain value")
        return as_text(table, column)


def _with_nulls(table: Table, named: Sequence[_Named]) -> Table:
    """The table with those of the columns that it lacks."""
    import polars

    missing = {each.column: polars.lit(None, polars.String) for each in named if not each.stands_in(table)}
    return table.with_columns(**missing)


def _shown(weight: float | None) -> str:
    return f"{'no number' if weight is None else format(weight, 'g')}; expected a number above 0"


def _stop_at(faults: Mapping[str, str]) -> None:
    """Raise DataError for the first faults, places with the same reason on one line."""
    if not faults:
        return
    places: dict[str, list[str]] = {}
    for place, reason in faults.items():
        places.setdefault(reason, []).append(place)
    lines = [
        f"{some[0]}: {reason}" + (f"; so are {len(some) - 1} more rows, up to {some[-1]}" if len(some) > 1 else "")
        for reason, some in islice(places.items(), SHOWN_FAULTS)
    ]
    shown = f"; the first {SHOWN_FAULTS} are shown" if len(places) >= SHOWN_FAULTS else ""
    more = "; on_error: drop in data leaves such rows out and lists them in the ledger"
    raise DataError("\n".join(lines) + shown + more)


def _listed(known: Sequence[str]) -> str:
    return f"; known: {', '.join(known)}"


def _hint(column: str, known: Sequence[str]) -> str:
    """The column that a name is a slip of, and all there are."""
    near = nearest(column, known)
    return _listed(known) if near is None else f"; did you mean {near!r}? the columns are {', '.join(known)}"


def _as_events(faults: Mapping[str, str]) -> Table:
    import polars

    names, reasons = (polars.Series(list(part), dtype=polars.String) for part in (faults.keys(), faults.values()))
    return events("drop", names, reasons)
