"""Paired tests and the verdict they allow: which of two arms is better, and how sure that is.
Pure functions on numbers: no files, no models, no recipe. Arguments and seed determine every result.

Differences are A − B, higher is better, rows in the same order for both arms. `groups` names the group of
each row. What it takes to prove a difference is computed in `ftkit.verdict.power`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from ftkit.contracts import Totals
from ftkit.errors import DataError
from ftkit.verdict.adjusted import SCORE, adjusted_interval, spread_of
from ftkit.verdict.resampling import (
    FloatArray,
    Interval,
    approximate_randomisation,
    as_scores,
    corpus_bootstrap_interval,
    group_totals,
    normal_quantile,
    numbered,
    paired_bootstrap_interval,
    sign_flip_test,
)

TestName: TypeAlias = Literal["mcnemar_exact", "sign_flip", "sign_flip_groups", "approximate_randomisation"]
Outcome: TypeAlias = Literal["invalid", "fine_tuned", "prompting", "equivalent", "inconclusive"]
Lean: TypeAlias = Literal["better", "worse", "none"]
Kind: TypeAlias = Literal["bounded", "unbounded", "corpus"]

MIN_GROUPS = {"bounded": 2, "unbounded": 300, "corpus": 100}
"""With fewer groups (rows, where each is its own) an interval decides nothing: a bootstrap is too short then."""


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

    `kind` is that of the metric: rows in [0, 1], rows without such bounds, or one number of all rows. `spread` is what
    groups vary by (`spread_of`), `rms_size` their root mean square size. `table` is None unless all scores are 0 or 1.
    """

    difference: float
    interval: Interval | None
    p_value: float | None
    test: TestName
    table: PairedTable | None
    num_rows: int
    num_groups: int
    spread: float
    rms_size: float = 1.0
    kind: Kind = "bounded"

    @property
    def is_grouped(self) -> bool:
        """Whether groups hold several rows."""
        return self.num_groups < self.num_rows

    @property
    def decides(self) -> bool:
        """Whether there is an interval, of enough groups that it may decide."""
        return self.interval is not None and self.num_groups >= MIN_GROUPS[self.kind]

    @property
    def disagreement(self) -> float | None:
        """Share of rows on which exactly one arm is right, for 0/1 scores in groups of one; else None."""
        if self.table is None or self.is_grouped:
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
    is_bounded: bool = True,
) -> Contrast:
    """Compare two arms row by row with the test and the interval that suit the scores and the groups.

    Bounded scores: the adjusted interval; 0/1 in groups of one are tested by exact McNemar, others by sign flips of
    whole groups. Unbounded scores: the bootstrap. Raises DataError on no rows, lengths that differ, scores that are not
    finite, or bounded ones outside [0, 1].
    """
    a, b = as_scores(scores_a, groups=groups), as_scores(scores_b, groups=groups)
    differences = a - b
    sums, counts = group_totals(differences, groups)
    single = len(sums) == len(a)
    table = _paired_table(a, b) if _is_binary(a) and _is_binary(b) else None
    test: TestName = "sign_flip" if single else "sign_flip_groups"
    if table is not None and single:
        test, p_value = "mcnemar_exact", mcnemar_exact(table.only_a, table.only_b)
    else:
        p_value = sign_flip_test(differences, groups=groups, seed=seed)
    if is_bounded:
        interval = adjusted_interval(differences, groups=groups, level=level)
    else:
        interval = paired_bootstrap_interval(differences, groups=groups, level=level, seed=seed)
    return Contrast(
        difference=float(differences.mean()),
        interval=interval,
        p_value=p_value,
        test=test,
        table=table,
        num_rows=len(a),
        num_groups=len(sums),
        spread=spread_of(sums, counts),
        rms_size=math.sqrt(float((counts**2).mean())),
        kind="bounded" if is_bounded else "unbounded",
    )


def corpus_contrast(a: Totals, b: Totals, *, groups: Sequence[str], seed: int, level: float = 0.95) -> Contrast:
    """Compare two arms by a metric of all rows together, computed anew from their counts for every resample.

    Raises DataError where an arm's metric is not finite. Interval and p are None where a resample's is not.
    """
    num_rows = len(a.counts_RK)
    if not num_rows or not len(b.counts_RK) == len(groups) == num_rows:
        raise DataError(f"{num_rows} rows, {len(b.counts_RK)} and {len(groups)} group names; expected the same number")
    difference = a.value - b.value
    if not math.isfinite(difference):
        raise DataError(f"the metric's difference over all {num_rows} rows is {difference}; expected a finite number")
    interval = corpus_bootstrap_interval(a, b, groups=groups, level=level, seed=seed)
    counts = np.bincount(numbered(groups)).astype(np.float64)
    error = 0.0 if interval is None else (interval.high - interval.low) / (2 * normal_quantile(level))
    return Contrast(
        difference=difference,
        interval=interval,
        p_value=approximate_randomisation(a, b, groups=groups, seed=seed),
        test="approximate_randomisation",
        table=None,
        num_rows=num_rows,
        num_groups=len(counts),
        spread=error**2 * num_rows * float(counts.mean()),
        rms_size=math.sqrt(float((counts**2).mean())),
        kind="corpus",
    )


def difference_alone(difference: float, *, groups: Sequence[str]) -> Contrast:
    """The contrast of a metric of all rows that is no more than a number: no interval, so it never decides."""
    return Contrast(
        difference, None, None, "approximate_randomisation", None, len(groups), len(set(groups)), 0.0, kind="corpus"
    )


def decide(contrasts: Sequence[Contrast], *, margin: float, guards_passed: bool) -> Decision:
    """The first rule that holds. Contrasts are of the fine-tuned arm A against each frozen prompt B, the best first.

    Fine-tuning has to beat every prompt; it is beaten by the first, or as good as the first.
    """
    if not guards_passed:
        return Decision("invalid", None)
    first = contrasts[0].interval
    if first is None:
        return Decision("inconclusive", "none")
    if contrasts[0].decides:
        if all(each.interval is not None and each.interval.low > margin for each in contrasts):
            return Decision("fine_tuned", None)
        if first.high < -margin:
            return Decision("prompting", None)
        if -margin < first.low and first.high < margin:
            return Decision("equivalent", None)
    return Decision("inconclusive", "better" if first.low > 0 else "worse" if first.high < 0 else "none")


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p of equal proportions: binomial, over the rows on which exactly one arm is right."""
    from scipy.special import bdtr

    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def mean_interval(
    values: Sequence[float] | FloatArray,
    *,
    groups: Sequence[str],
    level: float = 0.95,
    seed: int,
    is_bounded: bool = True,
) -> Interval | None:
    """Interval of one arm's mean: adjusted where its scores lie in [0, 1], else `paired_bootstrap_interval`."""
    if is_bounded:
        return adjusted_interval(values, within=SCORE, groups=groups, level=level)
    return paired_bootstrap_interval(values, groups=groups, level=level, seed=seed)


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
