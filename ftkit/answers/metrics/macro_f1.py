"""Mean over labels of the label's F1: rare labels count as much as frequent ones. A corpus metric.

The labels are those of the references; a row without a parsed answer is a miss of its own label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ftkit.records import Prediction
from ftkit.registry import Config, component


class MacroF1(Config):
    """No options."""


@component
def score(config: MacroF1, predictions: Sequence[Prediction]) -> float:
    """Macro F1 in [0, 1] over all rows."""
    expected = Counter(row.reference for row in predictions)
    answered = Counter(row.parsed for row in predictions)
    hits = Counter(row.reference for row in predictions if row.parsed == row.reference)
    return sum(2 * hits[label] / (expected[label] + answered[label]) for label in expected) / max(len(expected), 1)
