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
    # one pass: resampling asks for it thousands of times
    pairs = Counter([(row.reference, row.parsed) for row in predictions])
    expected: dict[str, int] = {}
    answered: dict[str | None, int] = {}
    for (reference, parsed), count in pairs.items():
        expected[reference] = expected.get(reference, 0) + count
        answered[parsed] = answered.get(parsed, 0) + count
    scores = [2 * pairs[label, label] / (expected[label] + answered.get(label, 0)) for label in expected]
    return sum(scores) / max(len(scores), 1)
