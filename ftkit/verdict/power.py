"""How many rows a verdict takes: the smallest difference a test set can prove, and the rows it lacks.
Pure functions on numbers: no scores, no files, no arms. What the rows said is computed in `ftkit.verdict.stats`.

Both formulas ask when the interval's near end clears the margin with probability 0.8. With n rows and
deviation s (√n times the standard error of the paired difference; Miller 2024, arXiv 2411.00640) the end lies
near d ± z·s/√n, so that it clears the margin where |d| − margin = k·s/√n with k = z(0.975) + z(0.8) = 2.80.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from ftkit.errors import DataError

POWER = 0.8


def minimum_detectable_difference(
    num_rows: int,
    *,
    margin: float,
    deviation: float,
    disagreement: float | None = None,
    level: float = 0.95,
) -> float | None:
    """The true difference (in the metric's unit, > margin) proven beyond the margin with power 0.8.

    `deviation` and `disagreement` are those of `Contrast`. With a disagreement (share of rows on which
    exactly one arm is right) s² = disagreement − δ²; where that is less than δ itself, δ takes its place, the
    least disagreement such a difference can have. None where nothing varied, or no share lies beyond the
    margin.
    """
    _check(num_rows, margin=margin, level=level)
    k = _quantiles(level)
    if disagreement is None:
        return margin + k * deviation / math.sqrt(num_rows) if deviation > 0 else None
    if margin >= 1:
        return None
    weight = num_rows + k * k
    inside = weight * disagreement - num_rows * margin**2
    if inside >= 0:
        # (δ − margin)²·n = k²·(disagreement − δ²), solved for the larger δ
        difference = (num_rows * margin + k * math.sqrt(inside)) / weight
        if difference <= disagreement:
            return difference
    # the same with the disagreement δ itself: every row that differs, differs the same way
    half = num_rows * margin + k * k / 2
    return (half + math.sqrt(half**2 - weight * num_rows * margin**2)) / weight


def rows_needed(difference: float, *, margin: float, deviation: float, level: float = 0.95) -> int | None:
    """Rows that settle `difference`, were it the true one, with power 0.8: (k·s / (|d| − margin))².

    With groups: rows in groups like those seen. None where the difference lies within the margin, which no
    number of rows takes it beyond, or where nothing varied.
    """
    _check(1, margin=margin, level=level)
    beyond = abs(difference) - margin
    if beyond <= 0 or deviation <= 0:
        return None
    return max(1, math.ceil((_quantiles(level) * deviation / beyond) ** 2))


def _quantiles(level: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(0.5 + level / 2) + normal.inv_cdf(POWER)


def _check(num_rows: int, *, margin: float, level: float) -> None:
    if num_rows < 1:
        raise DataError(f"{num_rows} rows: a comparison needs at least one test row")
    if margin < 0:
        raise DataError(f"margin is {margin}; expected 0 or more (compare.margin in the recipe)")
    if not 0 < level < 1:
        raise DataError(f"level is {level}; expected a number between 0 and 1")
