"""What the rows of the splits look like, in numbers: rows, groups, labels and lengths.

Knows no step and no file; reads a batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.word_counts import word_counts
from ftkit.prepare.threads import Threads

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

SIDES = ("input", "target")
UNITS = ("characters", "words")
COUNTED_ROWS = 4_000  # at a time: one thread's share


def summary_of(
    splits: Mapping[str, Rows], labels: Sequence[str], groups: Mapping[str, NDArray[np.uint64]], *, threads: int
) -> dict[str, Any]:
    """Rows, groups, labels and lengths (in characters and in words) of each split; plain values.

    `groups` are the `distinct` groups of each split.
    """
    return {
        "labels": list(labels),
        "rows": {name: len(rows) for name, rows in splits.items()},
        "groups": {name: len(some) for name, some in groups.items()},
        "label_counts": {name: _counts(rows, labels) for name, rows in splits.items()},
        "lengths": {name: _lengths(rows, threads) for name, rows in splits.items()},
    }


def _counts(rows: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(labels, 0)
    for batch in rows.batches("target") if labels else ():
        for label, count in batch["target"].value_counts().iter_rows():
            counts[label] += count
    return counts


def _lengths(rows: Rows, threads: int) -> dict[str, dict[str, float]]:
    import polars

    def counted(part: Table) -> Table:
        counts = {f"{side} characters": part[side].str.len_chars() for side in SIDES}
        return polars.DataFrame(counts | {f"{side} words": word_counts(part[side]) for side in SIDES})

    with Threads(threads) as workers:
        some = (part for batch in rows.batches(*SIDES) for part in batch.iter_slices(COUNTED_ROWS))
        counts = polars.concat(workers.in_turn(counted, some))
    return {side: _mean_and_max({unit: counts[f"{side} {unit}"] for unit in UNITS}) for side in SIDES}


def _mean_and_max(counts: Mapping[str, polars.Series]) -> dict[str, float]:
    lengths: dict[str, float] = {}
    for unit, values in counts.items():
        longest = values.max()
        assert isinstance(longest, int), longest
        lengths[f"{unit}_mean"] = round(float(values.sum()) / len(values), 3)
        lengths[f"{unit}_max"] = longest
    return lengths
