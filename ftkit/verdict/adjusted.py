"""The interval of a mean whose rows are bounded: of a difference of scores in [0, 1], or of one arm's scores.
Pure functions on numbers: no files, no models, no verdict.

`groups` names the group of each row (None: every row its own); rows of one group vary together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ftkit.errors import DataError
from ftkit.verdict.resampling import FloatArray, Interval, as_scores, check_level, group_totals

Numbers: TypeAlias = FloatArray | float
PSEUDO_GROUPS = 1.5  # each way; scripts/check_coverage.py holds what it is worth


class Range(NamedTuple):
    """The least and the largest value that a row can have."""

    low: float
    high: float


SCORE, DIFFERENCE = Range(0.0, 1.0), Range(-1.0, 1.0)


class Moments(NamedTuple):
    """What an interval is computed from: sums over rows, and over groups of their sums S and sizes n.

    Numbers, or arrays of one shape: then each element is a sample of its own.
    """

    num_groups: Numbers
    rows: Numbers
    """Σ n"""
    sizes: Numbers
    """Σ n²"""
    total: Numbers
    """Σ S"""
    squares: Numbers
    """Σ S²"""
    crossed: Numbers
    """Σ S n"""


class Adjusted(NamedTuple):
    """Middle and standard error of an adjusted mean, and Student's quantile at the level; arrays as the moments are."""

    centre: FloatArray
    error: FloatArray
    student: FloatArray


def adjusted_interval(
    values: Sequence[float] | FloatArray,
    *,
    within: Range = DIFFERENCE,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
) -> Interval | None:
    """Interval of the mean of rows that lie in a range: paired differences A − B in [-1, 1], or scores in [0, 1].

    Cluster-robust, after adding one and a half groups (of root mean square size) at each end of the range: what
    a small sample cannot show is assumed possible. After Bonett and Price 2012 (J. Educ. Behav. Stat. 37:479).
    None where there is a single group. Raises DataError on values outside the range.
    """
    scores = as_scores(values, groups=groups)
    outside = np.flatnonzero((scores < within.low) | (scores > within.high))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"row {row} is {scores[row]:g}; expected a number from {within.low:g} to {within.high:g}")
    check_level(level)
    sums, counts = group_totals(scores, groups)
    if len(sums) < 2:
        return None
    found = adjusted(moments_of(sums, counts), within=within, level=level)
    low, high = (float(found.centre + sign * found.student * found.error) for sign in (-1, 1))
    return Interval(max(low, within.low), min(high, within.high))


def moments_of(sums: FloatArray, counts: FloatArray) -> Moments:
    """Moments of groups by their sums and sizes, along the last axis."""
    return Moments(
        num_groups=float(sums.shape[-1]),
        rows=counts.sum(axis=-1),
        sizes=(counts**2).sum(axis=-1),
        total=sums.sum(axis=-1),
        squares=(sums**2).sum(axis=-1),
        crossed=(sums * counts).sum(axis=-1),
    )


def adjusted(moments: Moments, *, within: Range, level: float) -> Adjusted:
    """The adjusted mean of every sample; two groups or more in each."""
    from scipy.special import stdtrit

    m = np.sqrt(np.divide(moments.sizes, moments.num_groups))
    rows = moments.rows + 2 * PSEUDO_GROUPS * m
    centre = (moments.total + PSEUDO_GROUPS * m * (within.low + within.high)) / rows
    seen = moments.squares - 2 * centre * moments.crossed + centre**2 * moments.sizes
    ends = (within.low - centre) ** 2 + (within.high - centre) ** 2
    variance = (np.maximum(seen, 0.0) + PSEUDO_GROUPS * m**2 * ends) / rows**2
    student: FloatArray = stdtrit(np.subtract(moments.num_groups, 1.0), 0.5 + level / 2)
    return Adjusted(centre, np.sqrt(variance), student)


def expected_moments(
    difference: Numbers, spread: Numbers, *, num_groups: Numbers, mean_size: float, rms_size: float
) -> Moments:
    """Moments of a sample to come: `spread` is the mean over groups of (Σ of a group's rows − its share of the mean)².

    Arrays in one argument or more give arrays.
    """
    groups = np.asarray(num_groups, dtype=np.float64)
    sizes = groups * rms_size**2
    return Moments(
        num_groups=groups,
        rows=groups * mean_size,
        sizes=sizes,
        total=groups * mean_size * difference,
        squares=groups * spread + difference**2 * sizes,
        crossed=difference * sizes,
    )


def spread_of(sums: FloatArray, counts: FloatArray) -> float:
    """What groups vary by: the mean over them of (sum − size × mean of all rows)². 0 where nothing varied."""
    residuals = sums - counts * (sums.sum() / counts.sum())
    if np.abs(residuals).max() <= 1e-12 * np.abs(sums).max(initial=0.0):
        return 0.0
    return math.fsum(residuals**2) / len(sums)
