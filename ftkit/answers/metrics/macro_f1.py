"""Mean over labels of the label's F1: rare labels count as much as frequent ones. A corpus metric.

The labels are those of the references; a row without a parsed answer is a miss of its own label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftkit.contracts import Totals
from ftkit.records import Prediction
from ftkit.registry import Config, component


class MacroF1(Config):
    """No options."""


@component
def score(config: MacroF1, predictions: Sequence[Prediction]) -> Totals:
    """Counts of each label of the references: expected, answered, both. Macro F1 in [0, 1] is made of their sums."""
    labels = sorted({row.reference for row in predictions})
    place = {label: number for number, label in enumerate(labels)}
    counts_RK = np.zeros((len(predictions), 3 * len(labels)))
    for number, row in enumerate(predictions):
        expected, answered = place[row.reference], None if row.parsed is None else place.get(row.parsed)
        counts_RK[number, expected] = 1
        if answered is not None:
            counts_RK[number, len(labels) + answered] = 1
            counts_RK[number, 2 * len(labels) + expected] = answered == expected
    return Totals(counts_RK, _macro_f1)


def _macro_f1(totals_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of F1 over the labels that are expected; 0 where none is."""
    expected, answered, both = np.split(totals_K, 3, axis=-1)
    is_there = expected > 0
    f1 = np.divide(2 * both, expected + answered, out=np.zeros_like(both), where=is_there)
    mean: NDArray[np.float64] = f1.sum(axis=-1) / np.maximum(is_there.sum(axis=-1), 1)
    return mean
