"""Drops rows whose input (normalised) and target stand in a row that is kept.

Knows 16 bytes of each row. The same input under another target is left to label_conflicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.cleaning import TableStep, events
from ftkit.contracts import Context, Marked
from ftkit.registry import component
from ftkit.row_keys import (
    WHAT_COUNTS,
    Keep,
    Normalize,
    compared,
    compared_columns,
    kept_order,
    row_fingerprints,
)
from ftkit.texts.similarity import numbered, pair_fingerprints

if TYPE_CHECKING:
    from ftkit.rows import Rows


class ExactDedup(TableStep):
    """What counts as equal, and which of equal rows stays."""

    normalize: Normalize = Field("words", description=WHAT_COUNTS)
    target: Literal["same", "any"] = Field(
        "same", description="any: rows of the same input are equal whatever theirs is"
    )
    keep: Keep = Field("first", description="of equal rows; newest needs data.split.time")


@component
def apply(config: ExactDedup, rows: Rows, ctx: Context) -> Marked:
    """Keep one row of each normalised input and target."""
    import numpy as np
    import polars

    columns, threads = compared_columns(rows, config.normalize), ctx.machine.num_threads
    prints = row_fingerprints(rows, lambda batch: compared(batch, config.normalize), *columns, threads=threads)
    if config.target == "same":
        prints = pair_fingerprints(prints, row_fingerprints(rows, lambda batch: batch["target"], "target"))
    kept_first = kept_order(rows, config.keep)
    distinct = numbered(prints if config.keep == "first" else prints[kept_first])
    again = distinct.again
    again = again[np.argsort(kept_first[again])]
    gone, stays = kept_first[again], kept_first[distinct.place[distinct.number[again]]]
    reason = "same text as a kept row" if config.target == "any" else "same text and target as a kept row"
    kept_ids = rows.take(stays, "id")["id"]
    scores = polars.repeat(1.0, len(gone), eager=True)
    return Marked(events("drop", rows.take(gone, "id")["id"], reason, kept_ids=kept_ids, scores=scores))
