"""Share of rows whose answer is the reference. A row without a parsed answer is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.records import Prediction
from ftkit.registry import Config, component


class Accuracy(Config):
    """No options."""


@component
def score(config: Accuracy, predictions: Sequence[Prediction]) -> list[float]:
    """1.0 or 0.0 for each row."""
    return [float(row.parsed is not None and row.parsed == row.reference) for row in predictions]
