"""Paired intervals, tests and the verdict they allow: which of two arms is better, and how sure that is.
Pure functions on numbers: no files, no models, no recipe. Arguments and seed determine every result.

Differences are A − B, higher is better, rows in the same order for both arms. `groups` names the group of
each row (None: every row its own). What it takes to prove a difference is computed in `ftkit.verdict.power`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from ftkit.errors import DataError
from ftkit.verdict.resampling import (
    CorpusMetric,
    FloatArray,
    IntArray,
    Interval,
    approximate_randomisation,
    as_scores,
    corpus_bootstrap_interval,
    group_totals,
    normal_quantile,
    paired_bootstrap_interval,
    sign_flip_test,
)

TestName: TypeAlias = Literal["mcnemar_exact", "sign_flip", "sign_flip_groups", "approximate_randomisation"]
Outcome: TypeAlias = Literal["invalid", "fine_tuned", "prompting", "equivalent", "inconclusive"]
Lean: TypeAlias = Literal["better", "worse", "none"]

MIN_GROUPS = 30  # fewer groups, with several rows in some, never decide


@dataclass(frozen=True)
class PairedTable:
    """How many rows both arms answer right, only one of them, or neither."""

    both: Annotated[int, Field(description="rows that both arms answer right")]
    only_a: Annotated[int, Field(description="rows that only arm A answers right")]
    only_b: Annotated[int, Field(description="rows that only arm B answers right")]
    neither: Annotated[int, Field(description="rows that neither arm answers right")]


@dataclass(frozen=True)
class Contrast:
    """What the rows say about A − B. `p_value` tests a difference of zero and decides nothing.

    `deviation` is √num_rows times the standard error of the difference, groups taken whole; 0 where nothing
    varied. `table` is None unless all scores are 0 or 1.
    """

    difference: float
    interval: Interval | None
    p_value: float | None
    test: TestName
    table: PairedTable | None
    num_rows: int
    num_groups: int
    deviation: float

    @property
    def disagreement(self) -> float | None:
        """Share of rows on which exactly one arm is right, for 0/1 scores in groups of one; else None."""
        if self.table is None or self.num_groups < self.num_rows:
            return None
        return (self.table.only_a + self.table.only_b) / self.num_rows


@dataclass(frozen=True)
class Decision:
    """`lean` is where an undecided interval lies; None unless the verdict is inconclusive."""

    verdict: Outcome
    lean: Lean | None


def row_contrast(
    scores_a: Sequence[float] | FloatArray,
    scores_b: Sequence[float] | FloatArray,
    *,
    groups: Sequence[str],
    seed: int,
    level: float = 0.95,
) -> Contrast:
    """Compare two arms row by row with the test and the interval that suit the scores and the groups.

    0/1 scores in groups of one: exact McNemar and Newcombe. Other scores in groups of one: sign flips and
    BCa. Larger groups, any scores: flips and bootstrap of whole groups. Raises DataError on no rows, lengths
    that differ, or scores that are not finite.
    """
    a, b = as_scores(scores_a, groups=groups), as_scores(scores_b, groups=groups)
    differences = a - b
    sums, counts = group_totals(differences, groups)
    single = len(sums) == len(a)
    table = _paired_table(a, b) if _is_binary(a) and _is_binary(b) else None
    test: TestName
    if table is not None and single:
        test = "mcnemar_exact"
        p_value = mcnemar_exact(table.only_a, table.only_b)
        interval: Interval | None = newcombe_interval(
            table.both, table.only_a, table.only_b, table.neither, level=level
        )
    else:
        test = "sign_flip" if single else "sign_flip_groups"
        p_value = sign_flip_test(differences, groups=groups, seed=seed)
        interval = paired_bootstrap_interval(differences, groups=groups, level=level, seed=seed)
    return Contrast(
        difference=float(differences.mean()),
        interval=interval,
        p_value=p_value,
        test=test,
        table=table,
        num_rows=len(a),
        num_groups=len(sums),
        deviation=_deviation(sums, counts),
    )


def corpus_contrast(
    metric: CorpusMetric, num_rows: int, *, groups: Sequence[str], seed: int, level: float = 0.95
) -> Contrast:
    """Compare two arms by a metric of the whole corpus, re-run on every resample (4,000 times and more).

    Raises DataError where an arm's metric is not finite. Interval and p are None where a resample's is not.
    """
    if len(groups) != num_rows or not num_rows:
        raise DataError(f"{num_rows} rows and {len(groups)} group names; expected the same number, at least 1")
    rows = np.arange(num_rows)

    def difference_on(rows: IntArray) -> float:
        from_b = np.zeros(len(rows), dtype=np.bool_)
        return float(metric(rows, from_b)) - float(metric(rows, ~from_b))

    difference = difference_on(rows)
    if not math.isfinite(difference):
        raise DataError(f"the metric's difference over all {num_rows} rows is {difference}; expected a finite number")
    interval = corpus_bootstrap_interval(difference_on, groups=groups, level=level, seed=seed)
    deviation = 0.0
    if interval is not None:
        deviation = math.sqrt(num_rows) * (interval.high - interval.low) / (2 * normal_quantile(level))
    return Contrast(
        difference=difference,
        interval=interval,
        p_value=approximate_randomisation(metric, groups=groups, seed=seed),
        test="approximate_randomisation",
        table=None,
        num_rows=num_rows,
        num_groups=len(set(groups)),
        deviation=deviation,
    )


def decide(contrast: Contrast, *, margin: float, guards_passed: bool) -> Decision:
    """The first rule that holds, A being the fine-tuned arm and B the prompted one."""
    if not guards_passed:
        return Decision("invalid", None)
    if contrast.interval is None:
        return Decision("inconclusive", "none")
    low, high = contrast.interval.low, contrast.interval.high
    too_few_groups = contrast.num_groups < contrast.num_rows and contrast.num_groups < MIN_GROUPS
    if not too_few_groups:
        if low > margin:
            return Decision("fine_tuned", None)
        if high < -margin:
            return Decision("prompting", None)
        if -margin < low and high < margin:
            return Decision("equivalent", None)
    return Decision("inconclusive", "better" if low > 0 else "worse" if high < 0 else "none")


def equivalence_reachable(num_rows: int, *, margin: float, disagreement: float, level: float = 0.95) -> bool:
    """Whether arms that differ on this share of rows, as often one way as the other, would fit in ±margin.

    For 0/1 scores in groups of one, with the rows on which the arms agree half right and half wrong.
    """
    if num_rows < 1 or not 0 <= disagreement <= 1:
        raise DataError(f"{num_rows} rows, disagreement {disagreement}; expected 1 or more, and a share from 0 to 1")
    each = min(math.ceil(disagreement * num_rows / 2), num_rows // 2)
    agreeing = num_rows - 2 * each
    interval = newcombe_interval(agreeing - agreeing // 2, each, each, agreeing // 2, level=level)
    return -margin < interval.low and interval.high < margin


def wilson_interval(successes: int, total: int, *, level: float = 0.95) -> Interval:
    """Score interval of a proportion, in [0, 1]; DataError when total is zero. Wilson 1927 (JASA 22:209)."""
    if total < 1 or not 0 <= successes <= total:
        raise DataError(f"{successes} successes of {total}; expected 0 ≤ successes ≤ total and at least one row")
    z = normal_quantile(level)
    share, z2 = successes / total, z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    # at the ends the exact bound is the share itself; the formula misses it by a rounding error
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == total else centre + half
    return Interval(low, high)


def newcombe_interval(both: int, only_a: int, only_b: int, neither: int, *, level: float = 0.95) -> Interval:
    """Interval of the difference of two paired proportions, A − B, in [-1, 1].

    Counts are rows on which both arms, only A, only B, or neither is right; DataError when all are zero.
    Method 10 of Newcombe 1998 (Statistics in Medicine 17:2635).
    """
    total = both + only_a + only_b + neither
    if total < 1 or min(both, only_a, only_b, neither) < 0:
        raise DataError(f"paired table {both}, {only_a}, {only_b}, {neither}; expected counts ≥ 0, at least one row")
    share_a, share_b = (both + only_a) / total, (both + only_b) / total
    wilson_a = wilson_interval(both + only_a, total, level=level)
    wilson_b = wilson_interval(both + only_b, total, level=level)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    numerator: float = both * neither - only_a * only_b
    if numerator > 0:
        numerator = max(numerator - total / 2, 0.0)  # the continuity correction that makes method 8 method 10
    phi = numerator / math.sqrt(margins) if margins else 0.0
    down_a, up_a = share_a - wilson_a.low, wilson_a.high - share_a
    down_b, up_b = share_b - wilson_b.low, wilson_b.high - share_b
    difference = (only_a - only_b) / total
    below = math.sqrt(max(down_a**2 - 2 * phi * down_a * up_b + up_b**2, 0.0))
    above = math.sqrt(max(up_a**2 - 2 * phi * up_a * down_b + down_b**2, 0.0))
    return Interval(max(difference - below, -1.0), min(difference + above, 1.0))


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p of equal proportions: binomial, over the rows on which exactly one arm is right."""
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def mean_interval(
    values: Sequence[float] | FloatArray,
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    seed: int,
) -> Interval | None:
    """Interval of one arm's mean: Wilson for 0/1 in groups of one, else `paired_bootstrap_interval`."""
    scores = as_scores(values, groups=groups)
    if _is_binary(scores) and (groups is None or len(set(groups)) == len(scores)):
        return wilson_interval(int(scores.sum()), len(scores), level=level)
    return paired_bootstrap_interval(scores, groups=groups, level=level, seed=seed)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p in the given order; all of them hold together at the level each is read at. Holm 1979."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _is_binary(scores: FloatArray) -> bool:
    return bool(((scores == 0) | (scores == 1)).all())


def _paired_table(a: FloatArray, b: FloatArray) -> PairedTable:
    both, only_a, only_b = int((a * b).sum()), int((a * (1 - b)).sum()), int((b * (1 - a)).sum())
    return PairedTable(both, only_a, only_b, len(a) - both - only_a - only_b)


def _deviation(sums: FloatArray, counts: FloatArray) -> float:
    """√rows times the cluster-robust standard error of the mean (Miller 2024, arXiv 2411.00640)."""
    if len(sums) < 2:
        return 0.0
    residuals = sums - counts * (sums.sum() / counts.sum())
    if np.abs(residuals).max() <= 1e-12 * np.abs(sums).max():
        return 0.0
    return math.sqrt(len(sums) / (len(sums) - 1) * float((residuals**2).sum()) / float(counts.sum()))
