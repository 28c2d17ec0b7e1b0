"""Drops or flags train rows whose normalised input stands under several targets: one of them is wrong.

Knows train only: prepare runs it after the split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ftkit.contracts import Context, Marked
from ftkit.prepare.cleaning import TableStep, events
from ftkit.prepare.row_keys import (
    WHAT_COUNTS,
    Normalize,
    answer_fingerprints,
    compared_fingerprints,
)
from ftkit.registry import component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.prepare.rows import Rows

SHOWN_TARGETS, SHOWN_CHARS = 5, 60


class LabelConflicts(TableStep):
    """What happens to rows of the same text whose targets differ."""

    train_only: ClassVar[bool] = True

    action: Literal["drop", "majority", "flag"] = Field(
        "drop", description="drop all of them, all but those of the most frequent target, or keep and list them"
    )
    normalize: Normalize = Field("words", description=WHAT_COUNTS)


@component
def apply(config: LabelConflicts, rows: Rows, ctx: Context) -> Marked:
    """Give every row in conflict an event that names the targets its text stands under, the most frequent first."""
    import polars

    conflicts = _in_conflict(rows, config.normalize, ctx.machine.num_threads)
    table = rows.take(conflicts[:, 0], "id", "target").with_columns(polars.Series("text", conflicts[:, 1]))
    counts = table.group_by("text", "target").agg(polars.len().alias("count"), polars.col("id").first().alias("first"))
    counts = counts.sort("text", "count", "target", descending=[False, True, False])
    texts = counts.group_by("text", maintain_order=True).agg(
        polars.col("target").head(SHOWN_TARGETS).alias("shown"),
        polars.len().alias("num_targets"),
        polars.col("count").head(2).alias("most"),
        polars.col("target").first().alias("majority"),
        polars.col("first").first().alias("kept_id"),
    )
    reasons = polars.Series("reason", [_reason(*row) for row in texts.select("shown", "num_targets").iter_rows()])
    table = table.join(texts.with_columns(reasons), on="text", how="left", maintain_order="left")
    if config.action != "majority":
        return Marked(events("flag" if config.action == "flag" else "drop", table["id"], table["reason"]))
    decided = polars.col("most").list.get(0) > polars.col("most").list.get(1)
    lost = table.filter(~decided | (polars.col("target") != polars.col("majority")))
    verdict = polars.when(decided).then(polars.lit("first")).otherwise(polars.lit("none"))
    lost = lost.with_columns(
        reason=polars.format("{}; {} is the most frequent", "reason", verdict),
        kept_id=polars.when(decided).then("kept_id"),
    )
    return Marked(events("drop", lost["id"], lost["reason"], kept_ids=lost["kept_id"]))


def _in_conflict(rows: Rows, normalize: Normalize, threads: int) -> NDArray[np.int64]:
    """Position and number of the text of each row whose text stands under several targets, in order of position."""
    import numpy as np

    texts = compared_fingerprints(rows, normalize, threads=threads)
    targets = answer_fingerprints(rows)
    order = np.lexsort((targets[:, 1], targets[:, 0], texts[:, 1], texts[:, 0]))
    new_text = np.ones(len(order), bool)
    new_text[1:] = (texts[order[1:]] != texts[order[:-1]]).any(axis=1)
    new_target = new_text.copy()
    new_target[1:] |= (targets[order[1:]] != targets[order[:-1]]).any(axis=1)
    number = np.cumsum(new_text) - 1
    conflict = (np.bincount(number, weights=new_target) > 1)[number]
    rows_and_texts = np.column_stack([order[conflict], number[conflict]])
    return rows_and_texts[np.argsort(rows_and_texts[:, 0])]


def _reason(shown: list[str], num_targets: int) -> str:
    short = [target if len(target) <= SHOWN_CHARS else target[: SHOWN_CHARS - 3] + "…" for target in shown]
    more = f" and {num_targets - SHOWN_TARGETS} more" if num_targets > SHOWN_TARGETS else ""
    return f"same text under {', '.join(repr(target) for target in short)}{more}"
