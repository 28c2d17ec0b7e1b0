"""What the rows of the splits look like, in numbers: rows, groups, labels and lengths.

Knows no step and no file; reads a batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.row_keys import distinct
from ftkit.rows import Rows
from ftkit.threads import Threads

COUNTED_ROWS = 4_000  # at a time: one thread's share


def summary_of(splits: Mapping[str, Rows], labels: Sequence[str], *, threads: int) -> dict[str, Any]:
    """Rows, groups, labels and lengths (in characters and in words) of each split; plain values."""
    return {
        "labels": list(labels),
        "rows": {name: len(rows) for name, rows in splits.items()},
        "groups": {name: len(distinct(rows, "group")) for name, rows in splits.items()},
        "label_counts": {name: _counts(rows, labels) for name, rows in splits.items()},
        "lengths": {
            name: {side: _lengths(rows, side, threads) for side in ("input", "target")} for name, rows in splits.items()
        },
    }


def _counts(rows: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(labels, 0)
    for batch in rows.batches("target") if labels else ():
        for label, count in batch["target"].value_counts().iter_rows():
            counts[label] += count
    return counts


def _lengths(rows: Rows, side: str, threads: int) -> dict[str, float]:
    import polars

    characters, words = polars.col(side).str.len_chars(), polars.col(side).str.count_matches(r"\S+")
    with Threads(threads) as workers:
        some = (part for batch in rows.batches(side) for part in batch.iter_slices(COUNTED_ROWS))
        counts = workers.in_turn(lambda part: part.select(characters=characters, words=words), some)
        counted = polars.concat(counts)
    return {
        f"{unit}_{name}": value
        for unit in ("characters", "words")
        for name, value in (
            ("mean", round(float(counted[unit].cast(float).mean()), 3)),
            ("max", int(counted[unit].max())),
        )
    }
