"""What the rows of the splits look like, in numbers: rows, groups, labels and lengths.

Knows no step and no file; reads a batch at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.rows import Rows


def summary_of(splits: Mapping[str, Rows], labels: Sequence[str]) -> dict[str, Any]:
    """Rows, groups, labels and lengths (in characters and in words) of each split; plain values."""
    return {
        "labels": list(labels),
        "rows": {name: len(rows) for name, rows in splits.items()},
        "groups": {name: rows.column("group").n_unique() for name, rows in splits.items()},
        "label_counts": {name: _counts(rows, labels) for name, rows in splits.items()},
        "lengths": {
            name: {side: _lengths(rows, side) for side in ("input", "target")} for name, rows in splits.items()
        },
    }


def _counts(rows: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(labels, 0)
    for batch in rows.batches("target") if labels else ():
        for label, count in batch["target"].value_counts().iter_rows():
            counts[label] += count
    return counts


def _lengths(rows: Rows, side: str) -> dict[str, float]:
    import numpy as np

    chars, words = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    begin = 0
    for batch in rows.batches(side):
        end = begin + batch.height
        chars[begin:end] = batch[side].str.len_chars().to_numpy()
        words[begin:end] = batch[side].str.count_matches(r"\S+").to_numpy()
        begin = end
    return {
        "characters_mean": round(float(chars.mean()), 3),
        "characters_max": int(chars.max()),
        "words_mean": round(float(words.mean()), 3),
        "words_max": int(words.max()),
    }
