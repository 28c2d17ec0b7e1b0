"""Steps that mend texts: what they may touch, and how test rows come back as they came.

Knows no step. Unless a step says `targets`, it mends what is asked (inputs, and messages that are no answers) and no
answer; its rows carry what they were as `came_input` and `came_history`, so that the split can give test rows theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import Field

from ftkit.contracts import Cleaned
from ftkit.prepare.cleaning import RowStep, events
from ftkit.prepare.ledger import Ledger
from ftkit.prepare.row_keys import KEY, with_keys
from ftkit.registry import Config

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

ASKED = ("input", "history")
CAME = {column: f"came_{column}" for column in ASKED}
RESTORED = "test_as_it_came"


class MendingStep(RowStep):
    """Base of the Config of a step that mends texts."""

    changes_texts: ClassVar[bool] = True

    targets: bool = Field(False, description="also targets and other answers, and all of the test rows")


@dataclass(frozen=True)
class Mended:
    """Texts as they should be, and in which ways each was changed: null where it was not."""

    texts: polars.Series
    how: polars.Series


Mend: TypeAlias = Callable[["polars.Series"], Mended]


def mended(texts: polars.Series, ways: dict[str, polars.Series]) -> Mended:
    """`ways` says of each way of mending which texts it changed."""
    import polars

    reasons = [polars.when(did.fill_null(False)).then(polars.lit(reason)) for reason, did in ways.items()]
    how = polars.select(polars.concat_str(reasons, separator=", ", ignore_nulls=True).alias("how"))["how"]
    return Mended(texts, how.set(how == "", None))


def mend_rows(config: MendingStep, table: Table, mend: Mend) -> Cleaned:
    """Change rows in place; a row has an event for each of its columns that changed, which says how."""
    import polars

    result, changes = table, []
    for column in [name for name in ("input", "target", "rejected", "history") if name in table.columns]:
        if column == "history":
            each = _mended_histories(table[column], mend, answers=config.targets)
        elif column == "input" and "plain_text" in table.columns and not config.targets:
            each = _mended_some(table[column], ~table["plain_text"], mend)  # a plain text is its row's target
        elif column == "input" or config.targets:
            each = mend(table[column])
        else:
            continue
        changed = each.how.is_not_null()
        changes.append(events("change", table["id"].filter(changed), f"{column}: " + each.how.filter(changed)))
        result = result.with_columns(each.texts.alias(column))
    by_row = table.select("id").join(polars.concat(changes), on="id", maintain_order="left_right")
    return Cleaned(result, by_row)


def answers_of(table: Table) -> dict[str, polars.Series]:
    """The texts that a step leaves alone unless it says `targets`, by column; null where a row has none."""
    import polars

    answers: dict[str, polars.Series] = {
        column: table[column] for column in ("target", "rejected") if column in table.columns
    }
    if "history" in table.columns:
        said = polars.element().filter(polars.element().struct.field("role") == "assistant").struct.field("content")
        answers["history"] = table.select(polars.col("history").list.eval(said).list.join("\n"))["history"]
    if "plain_text" in table.columns:
        answers["text"] = table.select(text=polars.when("plain_text").then("input"))["text"]
    return answers


def _mended_some(texts: polars.Series, chosen: polars.Series, mend: Mend) -> Mended:
    import polars

    places = chosen.arg_true()
    some = mend(texts.gather(places))
    how = polars.repeat(None, len(texts), dtype=polars.String, eager=True)
    return Mended(texts.clone().scatter(places, some.texts), how.scatter(places, some.how))


def _mended_histories(histories: polars.Series, mend: Mend, *, answers: bool) -> Mended:
    import numpy as np
    import polars

    messages = histories.explode(empty_as_null=False, keep_nulls=False).struct.unnest()
    row = np.repeat(np.arange(len(histories)), histories.list.len().fill_null(0).to_numpy())
    chosen = (messages["role"] != "assistant") | answers
    each = _mended_some(messages["content"], chosen, mend)
    messages = messages.with_columns(each.texts.alias("content"), row=polars.Series(row), how=each.how.str.split(", "))
    of_rows = messages.group_by("row", maintain_order=True).agg(
        history=polars.struct("role", "content"),
        how=polars.col("how")
        .list.explode(keep_nulls=False, empty_as_null=False)
        .unique(maintain_order=True)
        .str.join(", "),
    )
    table = polars.select(row=polars.int_range(len(histories))).join(of_rows, "row", "left", maintain_order="left")
    values = table.select(polars.coalesce("history", polars.lit(histories)))["history"]
    return Mended(values, table["how"].set((table["how"] == "").fill_null(False), None))


def with_what_came(options: Config, came: Table, cleaned: Cleaned, redo: Callable[[Table], Table]) -> Table:
    """The cleaned rows with what they were before they were mended, where a step mended them for train and valid only.

    A later step that changes texts everywhere, one that masks say, changes that too: `redo` is that step on rows.
    """
    import polars

    if isinstance(options, MendingStep) and not options.targets:
        return _remembered(came, cleaned)
    table = cleaned.table
    kept = [name for name in CAME.values() if name in table.columns]
    if not kept or not (isinstance(options, RowStep) and options.changes_texts):
        return table
    mended_before = came.filter(polars.any_horizontal(polars.col(name).is_not_null() for name in kept))
    redone = redo(_as_they_came(mended_before)).select("id", **{name: _column_of(name) for name in kept})
    rest = table.drop(kept).join(redone, on="id", how="left", maintain_order="left")
    return rest.select(table.columns)


def as_dealt(split: str, batches: Iterable[Table], ledger: Ledger) -> Iterator[Table]:
    """The rows of a split, those of test as they came; what was changed back stands in the ledger."""
    import polars

    num_rows, changes = 0, []
    for batch in batches:
        kept = [column for column in ASKED if CAME[column] in batch.columns]
        dealt = batch
        if split == "test" and kept:
            dealt = _as_they_came(batch)
            dealt = with_keys(dealt) if KEY in dealt.columns else dealt
            ids = [batch["id"].filter(batch[CAME[column]].is_not_null()) for column in kept]
            changes += [events("change", each, f"{name}: as it came") for each, name in zip(ids, kept, strict=True)]
            num_rows += batch.height
        yield dealt.drop(CAME[column] for column in kept)
    said = polars.concat(changes) if changes else None
    if said is not None and said.height:
        number = ledger.begin(RESTORED)
        ledger.add(number, num_rows, said)
        ledger.say(number)


def _remembered(came: Table, cleaned: Cleaned) -> Table:
    import polars

    table = cleaned.table
    for column in [name for name in ASKED if name in table.columns]:
        ids = cleaned.events.filter(polars.col("reason").str.starts_with(f"{column}: "), action="change")["id"]
        before = came.select(came=polars.when(polars.col("id").is_in(ids.implode())).then(column))["came"]
        if CAME[column] in came.columns:
            before = polars.select(polars.coalesce(came[CAME[column]], before)).to_series()
        table = table.with_columns(before.alias(CAME[column]))
    return table


def _as_they_came(table: Table) -> Table:
    import polars

    kept = {column: name for column, name in CAME.items() if name in table.columns}
    return table.with_columns(polars.coalesce(name, column).alias(column) for column, name in kept.items())


def _column_of(came: str) -> str:
    return next(column for column, name in CAME.items() if name == came)
