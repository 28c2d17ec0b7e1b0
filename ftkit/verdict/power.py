"""How many rows a verdict takes: the smallest difference a test set can prove, and the rows it lacks.
Pure functions on numbers: no scores, no files, no arms. What the rows said is computed in `ftkit.verdict.stats`.

All ask when the interval of a sample like the one seen is expected to clear the margin with probability 0.8: its near
end, as `ftkit.verdict.adjusted` computes it from the moments to be expected, less z(0.8) of its own standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from ftkit.errors import DataError
from ftkit.verdict.adjusted import DIFFERENCE, PSEUDO_GROUPS, Numbers, adjusted, expected_moments
from ftkit.verdict.resampling import FloatArray, check_level, normal_quantile
from ftkit.verdict.stats import MIN_GROUPS, Contrast

POWER = 0.8
STEPS = 10_000  # a detectable difference is found to a ten-thousandth of the metric's unit, or of its widest
MOST_GROUPS = 10**9
# two rows of a group that differ between the arms do so the same way more often than not
INTRA_GROUP_CORRELATION = 0.3


def minimum_detectable_difference(seen: Contrast, *, margin: float, level: float = 0.95) -> float | None:
    """The true difference (in the metric's unit, > margin) proven beyond the margin with power 0.8 by as many rows.

    At the variation seen. For 0/1 rows of their own that is the disagreement (share of rows on which exactly one arm
    is right): the variance is disagreement − δ², and δ takes its place where it is the larger, the least disagreement
    such a difference can have. None where no difference of shares is large enough, or where nothing varied in a metric
    without bounds.
    """
    _check(margin=margin, level=level)
    if seen.num_groups < MIN_GROUPS[seen.kind] or _says_nothing(seen):
        return None
    widest = 1.0 if seen.kind == "bounded" else margin + 10 * math.sqrt(seen.spread)
    tried = np.linspace(margin, max(widest, margin), STEPS + 1)[1:]
    spread: Numbers = seen.spread
    if seen.disagreement is not None:
        spread = np.maximum(seen.disagreement, tried) - tried**2
    is_proven = _near_end(seen, tried, spread, num_groups=float(seen.num_groups), level=level) > margin
    return float(tried[int(is_proven.argmax())]) if is_proven.any() else None


def groups_needed(seen: Contrast, *, margin: float, level: float = 0.95) -> int | None:
    """Groups like those seen (rows, where each is its own) that settle the difference seen, were it the true one.

    As a winner where it lies beyond the margin, as equivalent where within; with power 0.8. None where it lies on the
    margin, or where nothing varied in a metric without bounds.
    """
    _check(margin=margin, level=level)
    difference = abs(seen.difference)
    if _says_nothing(seen):
        return None

    def is_settled(num_groups: int) -> bool:
        at = (seen, np.array([difference]), seen.spread)
        if difference > margin:
            return bool(_near_end(*at, num_groups=num_groups, level=level)[0] > margin)
        return bool(_far_end(*at, num_groups=num_groups, level=level)[0] < margin)

    return _first(is_settled, start=MIN_GROUPS[seen.kind])


def rows_in(num_groups: int, seen: Contrast) -> int:
    """Rows in so many groups of the mean size that was seen."""
    return math.ceil(num_groups * seen.num_rows / seen.num_groups)


def equivalence_reachable(sizes: Sequence[int], *, margin: float, disagreement: float, level: float = 0.95) -> bool:
    """Whether arms that differ on this share of 0/1 rows, as often one way as the other, would fit in ±margin.

    `sizes` are those of the groups of test rows. Rows of a group are taken to differ the same way with a correlation of
    0.3.
    """
    _check(margin=margin, level=level)
    if not len(sizes) or not 0 <= disagreement <= 1:
        raise DataError(f"{len(sizes)} groups, disagreement {disagreement}; expected 1 or more, a share from 0 to 1")
    if len(sizes) < 2:
        return False
    counts = np.asarray(sizes, dtype=np.float64)
    spread = disagreement * float((counts * (1 + INTRA_GROUP_CORRELATION * (counts - 1))).mean())
    rms = math.sqrt(float((counts**2).mean()))
    moments = expected_moments(0.0, spread, num_groups=float(len(counts)), mean_size=float(counts.mean()), rms_size=rms)
    found = adjusted(moments, within=DIFFERENCE, level=level)
    return bool(found.student * found.error < margin)


def can_be_overlooked(num_rows: int, *, num_prompts: int, disagreement: float) -> float | None:
    """How much better a prompt can be (share of 0/1 rows) and still lose one search in twenty to another of so many.

    None where there is no choice. By the normal approximation of paired differences, Bonferroni over the others.
    """
    if num_prompts < 2:
        return None
    error = math.sqrt(disagreement / num_rows)
    return min(1.0, NormalDist().inv_cdf(1 - 0.05 / (num_prompts - 1)) * error)


def _says_nothing(seen: Contrast) -> bool:
    """Whether nothing varied, where the interval allows for no more than was seen."""
    return seen.kind != "bounded" and seen.spread <= 0


def _near_end(
    seen: Contrast, difference_D: FloatArray, spread: Numbers, *, num_groups: float, level: float
) -> FloatArray:
    """The end of the interval nearer to zero that four samples in five stay above, for positive differences."""
    centre, half, error = _planned(seen, difference_D, spread, num_groups=num_groups, level=level)
    return centre - half - NormalDist().inv_cdf(POWER) * error


def _far_end(
    seen: Contrast, difference_D: FloatArray, spread: Numbers, *, num_groups: float, level: float
) -> FloatArray:
    """The end farther from zero, which nine samples in ten stay below: then both ends do in four of five."""
    centre, half, error = _planned(seen, difference_D, spread, num_groups=num_groups, level=level)
    return centre + half + NormalDist().inv_cdf((1 + POWER) / 2) * error


def _planned(
    seen: Contrast, difference_D: FloatArray, spread: Numbers, *, num_groups: float, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Middle and half width of the interval to be expected, and the standard error of its middle."""
    mean_size = seen.num_rows / seen.num_groups
    deviation: FloatArray = np.sqrt(num_groups * np.asarray(spread, dtype=np.float64))
    if seen.kind != "bounded":
        error = deviation / (num_groups * mean_size)
        return difference_D, normal_quantile(level) * error, error
    moments = expected_moments(difference_D, spread, num_groups=num_groups, mean_size=mean_size, rms_size=seen.rms_size)
    found = adjusted(moments, within=DIFFERENCE, level=level)
    return found.centre, found.student * found.error, deviation / (moments.rows + 2 * PSEUDO_GROUPS * seen.rms_size)


def _first(is_enough: Callable[[int], bool], *, start: int) -> int | None:
    """The least number from `start` on that is enough, where more is never less; None beyond a thousand million."""
    low, high = start - 1, start
    while not is_enough(high):
        low, high = high, 2 * high
        if high > MOST_GROUPS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _check(*, margin: float, level: float) -> None:
    if margin < 0:
        raise DataError(f"margin is {margin}; expected 0 or more (compare.margin in the recipe)")
    check_level(level)
