"""Drops rows whose input (normalised) and target stand in a row that is kept.

Knows some numbers of each row. The same input under another target is left to label_conflicts. Inputs without a word
normalise to the same nothing: they are equal only as they stand, and others that are kept are flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Context, Marked
from ftkit.prepare.cleaning import TableStep, events
from ftkit.prepare.row_keys import (
    WHAT_COUNTS,
    Keep,
    Normalize,
    answer_fingerprints,
    compared,
    compared_columns,
    compared_fingerprints,
    kept_order,
)
from ftkit.prepare.texts.similarity import is_wordless, numbered, pair_fingerprints
from ftkit.registry import component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.prepare.rows import Rows

WORDLESS = "no word in it, so normalised the same nothing as a kept row; they differ as they are, and both stay"


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

    prints = compared_fingerprints(rows, config.normalize, threads=ctx.machine.num_threads)
    targets = np.zeros(len(rows), np.int64)
    if config.target == "same":
        own = answer_fingerprints(rows)
        prints, targets = pair_fingerprints(prints, own), numbered(own).number
    kept_first = kept_order(rows, config.keep)
    distinct = numbered(prints if config.keep == "first" else prints[kept_first])
    again = distinct.again
    again = again[np.argsort(kept_first[again])]
    gone, stays = kept_first[again], kept_first[distinct.place[distinct.number[again]]]
    reason = "same text as a kept row" if config.target == "any" else "same text and target as a kept row"
    kept_ids = rows.take(stays, "id")["id"]
    scores = polars.repeat(1.0, len(gone), eager=True)
    dropped = events("drop", rows.take(gone, "id")["id"], reason, kept_ids=kept_ids, scores=scores)
    if config.normalize != "words":
        return Marked(dropped)
    return Marked(polars.concat([dropped, _equal_as_nothing(rows, kept_first[distinct.place], targets)]))


def _equal_as_nothing(rows: Rows, kept: NDArray[np.int64], targets: NDArray[np.int64]) -> Table:
    """Flags for kept rows without a word, but for the first of each target."""
    import numpy as np

    parts = [is_wordless(compared(batch, "words")) for batch in rows.batches(*compared_columns(rows))]
    wordless = kept[np.concatenate(parts)[kept]]
    _, first, which = np.unique(targets[wordless], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[which] != np.arange(len(wordless)))
    earlier = rows.take(wordless[first[which[again]]], "id")["id"]
    return events("flag", rows.take(wordless[again], "id")["id"], WORDLESS, kept_ids=earlier)
