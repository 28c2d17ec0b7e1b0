"""Cleaning steps: one file each, pure functions from rows to what becomes of them. No files, no network, no tokenizer.

Knows no step. Rows have the columns id, input, target, group and weight, others where the source has them, and for
steps that compare `row_keys.KEY`. A step has one of two contracts:

    class Mine(RowStep)      apply(config, table, ctx) -> Cleaned   one row at a time: it is given batches of rows
    class Mine(TableStep)    apply(config, rows, ctx) -> Marked     compares rows: it is given all of them, as Rows
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from ftkit.contracts import Cleaned, Context
from ftkit.registry import Config

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

Action: TypeAlias = Literal["drop", "change", "flag", "add"]


class RowStep(Config):
    """Base of the Config of a step that looks at one row at a time: any batch of rows gives the same result.

    `train_only` steps judge by targets or make rows: they run on train, after the split. Those that put texts in place
    of others say `changes_texts`; a step that mends texts is a `mending.MendingStep`.
    """

    train_only: ClassVar[bool] = False
    changes_texts: ClassVar[bool] = False


class TableStep(Config):
    """Base of the Config of a step that compares rows."""

    train_only: ClassVar[bool] = False


class StepWithContent(TableStep):
    """Base of the Config of a step that reads more than rows, a model say."""

    def content_id(self, ctx: Context) -> str:
        """What stands for that content in the key of prepare. Raises an FtkitError where it is missing."""
        raise NotImplementedError(type(self).__name__)


def events(
    action: Action,
    ids: polars.Series,
    reasons: polars.Series | str,
    *,
    kept_ids: polars.Series | None = None,
    scores: polars.Series | None = None,
) -> Table:
    """One event for each id; one reason for all, or one each. `kept_ids` are the rows they gave way to."""
    import polars

    return polars.select(
        id=ids,
        action=polars.lit(action),
        reason=reasons if isinstance(reasons, polars.Series) else polars.lit(reasons),
        kept_id=polars.lit(None, polars.String) if kept_ids is None else kept_ids,
        score=polars.lit(None, polars.Float64) if scores is None else scores,
    )


def drop(table: Table, reasons: polars.Series) -> Cleaned:
    """The table without the rows that have a reason; the others' is null."""
    gone = reasons.is_not_null()
    return Cleaned(table.filter(~gone), events("drop", table["id"].filter(gone), reasons.filter(gone)))


def flag(table: Table, reasons: polars.Series) -> Cleaned:
    """The whole table, and an event for each row that has a reason; the others' is null."""
    has_reason = reasons.is_not_null()
    return Cleaned(table, events("flag", table["id"].filter(has_reason), reasons.filter(has_reason)))


def change(table: Table, column: str, texts: polars.Series, how: polars.Series | str) -> Cleaned:
    """The table with other texts in a column, and an event 'column: how' for each row whose text is not as it was."""
    other = (texts != table[column]).fill_null(False)
    why = f"{column}: " + (how if isinstance(how, str) else how.filter(other))
    return Cleaned(table.with_columns(texts.alias(column)), events("change", table["id"].filter(other), why))
