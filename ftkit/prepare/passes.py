"""Leads rows through cleaning steps: those that see one row at a time share a pass, those that compare have their own.

Knows the two contracts of a step, and no particular step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ftkit.contracts import Cleaned, Context, Marked
from ftkit.prepare.cleaning import RowStep
from ftkit.prepare.ledger import SHOWN, Ledger
from ftkit.prepare.mending import with_what_came
from ftkit.prepare.row_keys import KEY, has_id, with_keys
from ftkit.prepare.rows import Rows, compacted
from ftkit.prepare.threads import Threads
from ftkit.registry import Choice

if TYPE_CHECKING:
    from ftkit.contracts import Table


Result = TypeVar("Result")


@dataclass
class Workshop:
    """Where rows stand while they are worked on, in memory or in files.

    Not `is_complete` once a step was not: see `Marked`.
    """

    folder: Path
    ledger: Ledger
    ctx: Context
    is_complete: bool = True
    _numbers: Iterator[int] = field(default_factory=count)

    def write(self, batches: Iterable[Table]) -> Rows:
        """Rows in memory, or in a new file."""
        return Rows.kept(self.path(), batches)

    def replace(self, rows: Rows, batches: Iterable[Table]) -> Rows:
        """The same, and `rows`, which the batches come from, are deleted."""
        made = self.write(batches)
        rows.delete()
        return made

    def path(self) -> Path:
        """For a new file of rows."""
        return self.folder / f"rows-{next(self._numbers)}.arrow"


@dataclass(frozen=True)
class _Leg:
    """Steps of one contract in a row, each with its number in the ledger, and the seconds that each took so far.

    `keep`: drops become flags. Of threads the seconds of all count.
    """

    steps: Sequence[tuple[Choice, int]]
    seconds: dict[int, float]
    keep: bool
    advance: Callable[[int], None]


def _timed(step: Callable[[], Result]) -> tuple[Result, float]:
    """What a step gives, and the seconds that it took."""
    begun = time.perf_counter()
    return step(), time.perf_counter() - begun


def clean(tables: dict[str, Rows], steps: Sequence[Choice], given: Sequence[str], work: Workshop) -> dict[str, Rows]:
    """Every table of rows led through all steps in order. Tables named in `given` keep all rows: drops become flags."""
    for is_row_step, group in groupby(steps, key=lambda step: isinstance(step.options, RowStep)):
        numbered = [(step, work.ledger.begin(step.name)) for step in group]
        seconds = dict.fromkeys((number for _, number in numbered), 0.0)
        total = sum(len(rows) for rows in tables.values()) * len(numbered)
        with work.ctx.progress.bar(", ".join(step.name for step, _ in numbered), total) as bar:
            for name, rows in tables.items():
                leg = _Leg(numbered, seconds, name in given, bar.advance)
                tables = {**tables, name: (_one_pass if is_row_step else _a_pass_each)(rows, leg, work)}
        for _, number in numbered:
            work.ledger.say(number, seconds=seconds[number])
    return tables


@dataclass(frozen=True)
class _Done:
    """What a step did to a batch of so many rows."""

    num_rows: int
    events: Table
    dropped: Table
    seconds: float


def _one_pass(rows: Rows, leg: _Leg, work: Workshop) -> Rows:
    """Batch after batch goes through all steps, and gets its keys."""

    def led_through(batch: Table) -> tuple[list[_Done], Table]:
        done = []
        for step, _ in leg.steps:
            result, seconds = _timed(partial(cleaned, step, batch, work.ctx, keep=leg.keep))
            dropped = compacted(_dropped_of(batch, result.events))
            done.append(_Done(batch.height, result.events, dropped, seconds))
            again = partial(_kept_by, step, ctx=work.ctx)
            batch = with_what_came(step.options, batch, result, again)
        return done, with_keys(batch)

    def batches() -> Iterator[Table]:
        with Threads(work.ctx.machine.num_threads) as workers:
            for done, batch in workers.in_turn(led_through, rows):
                work.ctx.check_stop()
                for (_, number), each in zip(leg.steps, done, strict=True):
                    work.ledger.add(number, each.num_rows, each.events)
                    work.ledger.keep(number, each.dropped)
                    leg.seconds[number] += each.seconds
                    leg.advance(each.num_rows)
                yield batch

    return work.replace(rows, batches())


def _a_pass_each(rows: Rows, leg: _Leg, work: Workshop) -> Rows:
    """Each step sees all rows, which have their keys; what it marked is left out or put in its place."""
    rows = rows if KEY in rows.columns else _keyed(rows, work)
    for step, number in leg.steps:
        work.ctx.check_stop()
        result: tuple[Marked, float] = _timed(partial(step, rows, work.ctx))
        marked, seconds = result
        leg.seconds[number] += seconds
        leg.advance(len(rows))
        work.is_complete &= marked.is_complete
        rows = apply_marks(rows, _flags_instead(rows, marked) if leg.keep else marked, number, work)
    return rows


def _keyed(rows: Rows, work: Workshop) -> Rows:
    """The rows with their keys, made once for all steps that compare."""

    def batches() -> Iterator[Table]:
        threads = Threads(work.ctx.machine.num_threads)
        with work.ctx.progress.bar("keys", len(rows)) as bar, threads as workers:
            for batch in workers.in_turn(with_keys, rows):
                work.ctx.check_stop()
                bar.advance(batch.height)
                yield batch

    return work.replace(rows, batches())


def apply_marks(rows: Rows, marked: Marked, number: int, work: Workshop) -> Rows:
    """The rows with their new columns and without those that a drop event names; `number` is that of the ledger."""
    import polars

    dropped = marked.events.filter(polars.col("action") == "drop")["id"]
    stays = ~has_id(rows, dropped)
    assert int(stays.sum()) == len(rows) - len(dropped), "a step dropped a row twice, or one that is not there"
    work.ledger.add(number, len(rows), marked.events)
    if len(dropped):
        for batch in rows.only(~stays).batches(*SHOWN):
            work.ledger.keep(number, batch)
    if marked.columns:
        assert not marked.columns.keys() & {"input", "target", "history"}, (
            "the keys of the rows would be those of other texts"
        )
        rows = rows.with_columns(work.path(), marked.columns)
    return rows.only(stays) if len(dropped) else rows


def _dropped_of(came: Table, events: Table) -> Table:
    import polars

    dropped = events.filter(polars.col("action") == "drop")["id"]
    came = came.select(SHOWN)
    return came.filter(polars.col("id").is_in(dropped.implode())) if len(dropped) else came.clear()


def _with_dropped_rows(came: Table, cleaned: Cleaned) -> Cleaned:
    """Put dropped rows back in their places, and turn their drops into flags."""
    import polars

    flagged = _softened(cleaned.events)
    gone = came.filter(~polars.col("id").is_in(cleaned.table["id"].implode()))
    if gone.is_empty():
        return Cleaned(cleaned.table, flagged)
    both = polars.concat([cleaned.table, gone])
    return Cleaned(came.select("id").join(both, on="id", how="left", maintain_order="left"), flagged)


def _flags_instead(rows: Rows, marked: Marked) -> Marked:
    """Drops as flags; a row that would have been dropped joins the group of the row it repeats."""
    import polars

    kept_for = marked.events.filter((polars.col("action") == "drop") & polars.col("kept_id").is_not_null())
    columns = dict(marked.columns)
    groups = columns.get("group", rows.column("group"))
    own = polars.DataFrame({"id": rows.column("id"), "group": groups})
    other = kept_for.select("id", "kept_id").join(own.rename({"id": "kept_id", "group": "other"}), on="kept_id")
    joined = own.join(other, on="id", how="left", maintain_order="left")
    columns["group"] = joined.select(polars.coalesce("other", "group"))["other"].alias("group")
    return replace(marked, events=_softened(marked.events), columns=columns)


def _softened(events: Table) -> Table:
    import polars

    return events.with_columns(action=polars.col("action").replace("drop", "flag"))


def cleaned(step: Choice, came: Table, ctx: Context, *, keep: bool) -> Cleaned:
    """A batch as a step that sees one row at a time leaves it. `keep`: every row stays, drops become flags."""
    made: Cleaned = step(came, ctx)
    made = _with_dropped_rows(came, made) if keep else made
    _account_for(step.name, came, made)
    return made


def _kept_by(step: Choice, rows: Table, *, ctx: Context) -> Table:
    """What a step makes of rows, none dropped."""
    return cleaned(step, rows, ctx, keep=True).table


def _account_for(step: str, came: Table, cleaned: Cleaned) -> None:
    actions = cleaned.events["action"]
    num_dropped, num_added = int((actions == "drop").sum()), int((actions == "add").sum())
    assert cleaned.table.height == came.height - num_dropped + num_added, f"{step}: a row is lost, doubled or made up"
