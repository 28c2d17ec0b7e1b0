"""Share of rows whose answer is the same number as the reference, within a relative tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from ftkit.records import Prediction
from ftkit.registry import Config, component


class NumericMatch(Config):
    """`tolerance` is relative: |answer − reference| ≤ tolerance × |reference|."""

    tolerance: float = Field(1e-9, ge=0)


@component
def score(config: NumericMatch, predictions: Sequence[Prediction]) -> list[float]:
    """1.0 or 0.0 for each row; an answer that is no number is wrong."""
    return [float(_same(row.parsed, row.reference, config.tolerance)) for row in predictions]


def _same(answer: str | None, reference: str, tolerance: float) -> bool:
    left, right = _number(answer), _number(reference)
    return left is not None and right is not None and math.isclose(left, right, rel_tol=tolerance, abs_tol=1e-12)


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
