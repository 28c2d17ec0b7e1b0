"""Drops train rows of labels that have too many, so that no label outweighs the others.

Knows targets and ids only. Which rows stay does not depend on the order of the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Context, Marked
from ftkit.prepare.cleaning import TableStep, events
from ftkit.prepare.row_keys import column_fingerprints, row_digests
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table
    from ftkit.prepare.rows import Rows


class Balance(TableStep):
    """How many rows a label may have, and the seed of the order in which they are taken."""

    train_only: ClassVar[bool] = True

    max_per_label: int = Field(ge=1, description="rows of one target")
    seed: int = Field(17, description="another seed keeps other rows")


@component
def apply(config: Balance, rows: Rows, ctx: Context) -> Marked:
    """Keep the first `max_per_label` rows of each target in the order of a hash of seed and id."""
    import numpy as np
    import polars

    def seeded_id(batch: Table) -> polars.Series:
        return polars.select(polars.format("{}:{}", polars.lit(config.seed), batch["id"]).alias("id"))["id"]

    targets = column_fingerprints(rows, "target")
    dice = row_digests(rows, seeded_id, "id")
    order = np.lexsort((dice[:, 1], dice[:, 0], targets[:, 1], targets[:, 0]))
    begins = np.ones(len(order), bool)
    begins[1:] = (targets[order[1:]] != targets[order[:-1]]).any(axis=1)
    first = np.flatnonzero(begins)
    number = np.cumsum(begins) - 1
    beyond = np.arange(len(order)) - first[number] >= config.max_per_label
    sizes = np.diff(np.append(first, len(order)))[number]
    in_place = np.argsort(order[beyond])
    gone = rows.take(order[beyond][in_place], "id", "target").with_columns(
        polars.Series("size", sizes[beyond][in_place], polars.Int64)
    )
    reasons = gone.select(
        polars.format("one of {} rows of its target, more than {}", "size", polars.lit(config.max_per_label))
    )
    return Marked(events("drop", gone["id"], reasons.to_series()))
