"""Intervals, tests, verdicts and power against published tables, scipy, statsmodels and hand-worked cases."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import f1_score
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from ftkit.contracts import Totals
from ftkit.errors import DataError
from ftkit.verdict.adjusted import SCORE, adjusted_interval
from ftkit.verdict.resampling import (
    BoolArray,
    FloatArray,
    Interval,
    approximate_randomisation,
    corpus_bootstrap_interval,
    numbered,
    paired_bootstrap_interval,
    sign_flip_test,
)
from ftkit.verdict.stats import (
    Contrast,
    Decision,
    Kind,
    PairedTable,
    corpus_contrast,
    decide,
    holm,
    mcnemar_exact,
    mean_interval,
    row_contrast,
)


def single_groups(num_rows: int) -> list[str]:
    return [f"row{index}" for index in range(num_rows)]


def groups_of(size: int, num_groups: int) -> list[str]:
    return [f"group{index // size}" for index in range(size * num_groups)]


def widened(level: float, units: float) -> float:
    """The level at which a plain bootstrap of so many units is read: Hesterberg 2015."""
    t = scipy_stats.t.ppf(0.5 + level / 2, units - 1)
    return float(1 - 2 * scipy_stats.norm.cdf(-math.sqrt(units / (units - 1)) * t))


def a_contrast(low: float, high: float, *, num_rows: int = 600, num_groups: int = 600) -> Contrast:
    interval = Interval(low, high)
    return Contrast((low + high) / 2, interval, 0.5, "sign_flip", None, num_rows, num_groups, 0.09)


# --- closed forms ---


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (10, 2), (7, 7), (30, 61), (0, 40)])
def test_mcnemar_exact_equals_scipy_and_statsmodels(only_a: int, only_b: int) -> None:
    p_value = mcnemar_exact(only_a, only_b)
    assert p_value == pytest.approx(
        statsmodels_mcnemar([[5, only_a], [only_b, 5]], exact=True).pvalue if only_a + only_b else 1.0
    )
    if only_a + only_b:
        assert p_value == pytest.approx(scipy_stats.binomtest(only_a, only_a + only_b).pvalue)


def test_mcnemar_exact_of_ten_against_two_is_worked_by_hand() -> None:
    assert mcnemar_exact(10, 2) == pytest.approx(2 * (1 + 12 + 66) / 4096)


def test_holm_equals_statsmodels_and_keeps_the_order() -> None:
    p_values = [0.04, 0.01, 0.30, 0.011, 0.9]
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))
    assert holm([]) == []


# --- resampling ---


def test_sign_flip_test_enumerates_small_samples_like_scipy() -> None:
    differences = [0.3, -0.1, 0.25, 0.4, -0.05, 0.2, 0.1, 0.3, -0.2, 0.15]
    expected = scipy_stats.permutation_test((differences,), np.mean, permutation_type="samples")
    assert sign_flip_test(differences, seed=1) == expected.pvalue


def test_sign_flip_test_draws_large_samples_like_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.12, 0.6, 80)
    expected = scipy_stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999, vectorized=True, rng=3
    ).pvalue
    p_value = sign_flip_test(differences, seed=3)
    # two estimates of p near 0.07 from 10,000 draws each: their difference has standard error 0.0036
    assert p_value == pytest.approx(expected, abs=0.011)
    assert p_value == sign_flip_test(differences, seed=3) != sign_flip_test(differences, seed=4)


def test_sign_flip_test_flips_whole_groups() -> None:
    # three groups with sums 2, 2 and 1: of 8 patterns only + + + and - - - reach |5|
    differences, groups = [1.0, 1.0, 2.0, 0.5, 0.5], ["a", "a", "b", "c", "c"]
    assert sign_flip_test(differences, groups=groups, seed=0) == 2 / 8


def test_sign_flip_test_of_equal_arms_is_one() -> None:
    assert sign_flip_test(np.zeros(600), seed=0) == 1.0


def test_bootstrap_of_rows_equals_scipys_bca_at_the_widened_level() -> None:
    differences = np.random.default_rng(5).exponential(1.0, 24) - 0.7
    expected = scipy_stats.bootstrap(
        (differences,), np.mean, n_resamples=200_000, confidence_level=widened(0.95, 24), batch=20_000, rng=5
    ).confidence_interval
    interval = paired_bootstrap_interval(differences, seed=5, num_resamples=200_000)
    assert interval is not None
    # 200,000 resamples place an end to 0.01 standard errors, twice; √(24/23) alone moves it by 0.05
    tolerance = 0.035 * float(differences.std()) / math.sqrt(24)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=tolerance)


def mean_of_groups(sums: FloatArray, counts: FloatArray, axis: int) -> FloatArray:
    return np.asarray(sums.sum(axis=axis) / counts.sum(axis=axis), dtype=np.float64)


def test_bootstrap_of_groups_equals_scipys_percentile_interval_of_group_sums() -> None:
    rng = np.random.default_rng(8)
    counts = np.array([1, 1, 2, 2, 3, 3, 4, 5, 8, 9, 15, 30])
    groups = np.repeat([f"group{index:02}" for index in range(12)], counts)
    differences = np.repeat(rng.exponential(0.3, 12), counts) + rng.normal(0.1, 0.3, 83)
    sums = np.array([differences[groups == name].sum() for name in np.unique(groups)])
    effective = 83**2 / (counts**2).sum()  # 5.3 of the 12
    result = scipy_stats.bootstrap(
        (sums, counts),
        mean_of_groups,
        paired=True,
        n_resamples=50_000,
        confidence_level=widened(0.8, effective),
        method="percentile",
        rng=8,
    )
    expected = result.confidence_interval
    interval = paired_bootstrap_interval(differences, groups=list(groups), level=0.8, seed=8, num_resamples=50_000)
    assert interval is not None
    # 50,000 resamples place an end to 0.01 standard errors, twice; with 12 for 5.3 it would move by 0.25
    tolerance = 0.05 * float(result.standard_error)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=tolerance)


def test_bootstrap_of_groups_of_one_size_is_a_percentile_interval_however_skewed() -> None:
    sums = np.random.default_rng(8).exponential(1.0, 40) ** 2
    expected = scipy_stats.bootstrap(
        (sums,), np.mean, n_resamples=50_000, confidence_level=widened(0.95, 40), method="percentile", rng=8
    )
    interval = paired_bootstrap_interval(np.repeat(sums, 2), groups=groups_of(2, 40), seed=8)
    assert interval is not None
    # an end from 10,000 resamples is known to 0.03 standard errors; BCa would move the upper one by 0.4
    tolerance = 0.1 * float(expected.standard_error)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval), abs=tolerance)


def test_bootstrap_is_determined_by_its_seed_and_ignores_the_order_of_grouped_rows() -> None:
    differences, groups = np.random.default_rng(1).normal(size=60), groups_of(3, 20)
    first = paired_bootstrap_interval(differences, groups=groups, seed=7)
    turned = paired_bootstrap_interval(differences[::-1], groups=groups[::-1], seed=7)
    assert first is not None and turned is not None
    assert (turned.low, turned.high) == pytest.approx((first.low, first.high))
    assert first != paired_bootstrap_interval(differences, groups=groups, seed=8)
    assert first == paired_bootstrap_interval(differences, groups=groups, seed=7)


@pytest.mark.parametrize("differences", [[0.0] * 50, [0.3] * 50, [0.4]])
def test_bootstrap_without_variation_gives_no_interval(differences: list[float]) -> None:
    assert paired_bootstrap_interval(differences, seed=0) is None


def test_bootstrap_where_nearly_all_rows_agree_falls_back_to_percentiles() -> None:
    differences = np.zeros(600)
    differences[:5] = 0.5
    interval = paired_bootstrap_interval(differences, seed=0)
    # the number drawn of the five is binomial(600, 5/600): its 2.5 % and 97.5 % points are 1 and 10
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.5 / 600, 5.0 / 600))


def test_mean_interval_is_adjusted_for_bounded_scores_and_bootstrapped_for_others() -> None:
    right, groups = [1.0] * 30 + [0.0] * 10, groups_of(2, 20)
    assert mean_interval(right, groups=groups, seed=0) == adjusted_interval(right, within=SCORE, groups=groups)
    lengths, single = [5.0, 7.0, 9.0], single_groups(3)
    assert mean_interval(lengths, groups=single, seed=0, is_bounded=False) == paired_bootstrap_interval(
        lengths, groups=single, seed=0
    )


# --- corpus metrics ---


def mean_of(scores: FloatArray) -> Totals:
    """A mean as a corpus metric: sum and number."""
    return Totals(np.column_stack([scores, np.ones(len(scores))]), lambda totals_K: totals_K[..., 0] / totals_K[..., 1])


def test_approximate_randomisation_of_a_mean_is_the_sign_flip_test() -> None:
    scores, groups = np.random.default_rng(2).random((2, 30)), groups_of(3, 10)
    assert approximate_randomisation(mean_of(scores[0]), mean_of(scores[1]), groups=groups, seed=0) == pytest.approx(
        sign_flip_test(scores[0] - scores[1], groups=groups, seed=0)
    )


def test_corpus_bootstrap_of_a_mean_is_the_paired_bootstrap_of_groups() -> None:
    scores, groups = np.random.default_rng(4).normal(0.1, 0.5, (2, 120)), groups_of(3, 40)
    corpus = corpus_bootstrap_interval(
        mean_of(scores[0]), mean_of(scores[1]), groups=groups, seed=0, num_resamples=10_000
    )
    rows = paired_bootstrap_interval(scores[0] - scores[1], groups=groups, seed=1)
    assert corpus is not None and rows is not None
    assert (corpus.low, corpus.high) == pytest.approx((rows.low, rows.high), abs=0.01)


def f1_of(said: BoolArray, gold: BoolArray) -> Totals:
    """F1 of yes as a corpus metric: right yeses, and yeses of both."""
    counts_RK = np.column_stack([said & gold, said.astype(int) + gold]).astype(float)
    return Totals(counts_RK, lambda totals_K: 2 * totals_K[..., 0] / totals_K[..., 1])


def test_corpus_contrast_of_f1_holds_the_difference_and_rejects_equal_arms() -> None:
    truth = np.arange(120) % 3 == 0
    arm_a, arm_b = truth.copy(), truth.copy()
    arm_a[:3] ^= True  # rows 0, 1, 2: one miss, two false alarms: 2·39 / (2·39 + 3)
    arm_b[:30] ^= True  # ten misses, twenty false alarms: 2·30 / (2·30 + 30)
    a, b = f1_of(arm_a, truth), f1_of(arm_b, truth)
    found = corpus_contrast(a, b, groups=single_groups(120), seed=17)
    assert found.test == "approximate_randomisation"
    assert found.difference == pytest.approx(78 / 81 - 60 / 90)
    assert found.interval is not None and found.interval.low < found.difference < found.interval.high
    assert found.p_value == pytest.approx(1 / 2001)

    equal = corpus_contrast(a, a, groups=single_groups(120), seed=17)
    assert (equal.difference, equal.interval, equal.p_value) == (0.0, None, 1.0)


def test_resamples_of_counts_are_the_metric_run_on_resampled_rows() -> None:
    truth = np.arange(60) % 3 == 0
    said = truth ^ (np.arange(60) % 7 == 0)
    groups = groups_of(3, 20)
    rng = np.random.default_rng((17, 1))  # the stream of the bootstrap
    rows_of = [np.flatnonzero(numbered(groups) == group) for group in range(20)]
    drawn = [np.concatenate([rows_of[group] for group in groups]) for groups in rng.integers(0, 20, (200, 20))]
    values = [f1_score(truth[rows], said[rows]) for rows in drawn]
    # Kish: 20 groups of one size
    tails = (1 - widened(0.95, 20)) / 2
    found = corpus_bootstrap_interval(f1_of(said, truth), groups=groups, seed=17, num_resamples=200)
    assert found == pytest.approx(tuple(np.quantile(values, [tails, 1 - tails])))


# --- the contrast of two arms ---


def test_right_and_wrong_in_groups_of_one_get_mcnemar_and_the_table() -> None:
    a = [1] * 20 + [1] * 12 + [0] * 2 + [0] * 16
    b = [1] * 20 + [0] * 12 + [1] * 2 + [0] * 16
    found = row_contrast(a, b, groups=single_groups(50), seed=17)
    assert found.table == PairedTable(both=20, only_a=12, only_b=2, neither=16)
    assert (found.test, found.num_rows, found.num_groups) == ("mcnemar_exact", 50, 50)
    assert (found.difference, found.disagreement) == (0.2, 0.28)
    assert found.interval == adjusted_interval(np.subtract(a, b))
    assert found.p_value == mcnemar_exact(12, 2)


def test_real_scores_in_groups_of_one_get_sign_flips_and_no_table() -> None:
    a, b = np.random.default_rng(0).random((2, 60))
    found = row_contrast(a, b, groups=single_groups(60), seed=17)
    assert (found.test, found.table, found.disagreement) == ("sign_flip", None, None)
    assert found.interval is not None and found.interval.low < found.difference < found.interval.high


def test_larger_groups_get_whole_group_methods_even_for_right_and_wrong() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 60).astype(float), rng.integers(0, 2, 60).astype(float)
    found = row_contrast(a, b, groups=groups_of(2, 30), seed=17)
    assert (found.test, found.num_groups, found.disagreement) == ("sign_flip_groups", 30, None)
    assert found.table is not None and sum(astuple(found.table)) == 60
    assert found.interval == adjusted_interval(a - b, groups=groups_of(2, 30))


def test_scores_without_bounds_are_bootstrapped() -> None:
    a, b = np.random.default_rng(0).normal(5, 2, (2, 60))
    found = row_contrast(a, b, groups=single_groups(60), seed=17, is_bounded=False)
    assert found.interval == paired_bootstrap_interval(a - b, groups=single_groups(60), seed=17)
    assert not found.decides


def test_spread_is_statsmodels_cluster_robust_variance_of_the_sum_by_group() -> None:
    rng = np.random.default_rng(6)
    codes = np.sort(rng.integers(0, 25, 200))
    a, b = rng.random(25)[codes] / 2 + rng.random(200) / 2, rng.random(200)
    found = row_contrast(a, b, groups=[f"group{code:02}" for code in codes], seed=0)
    fit = OLS(a - b, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
    assert found.spread * 25 == pytest.approx((float(fit.bse[0]) * 200) ** 2)


def test_a_contrast_is_the_same_on_every_call() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(100), rng.random(100)
    first = row_contrast(a, b, groups=groups_of(2, 50), seed=3)
    assert first == row_contrast(a, b, groups=groups_of(2, 50), seed=3)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([], [], "at least one test row"),
        ([1.0, 0.0], [1.0], "1 scores for 2 rows"),
        ([1.0, math.nan], [1.0, 0.0], "score of row 1 is nan"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(a: list[float], b: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        row_contrast(a, b, groups=single_groups(len(a)), seed=0)


# --- the verdict ---


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.021, 0.30, Decision("fine_tuned", None)),
        (0.020, 0.30, Decision("inconclusive", "better")),
        (-0.30, -0.021, Decision("prompting", None)),
        (-0.30, -0.020, Decision("inconclusive", "worse")),
        (-0.019, 0.019, Decision("equivalent", None)),
        (0.001, 0.019, Decision("equivalent", None)),
        (-0.020, 0.010, Decision("inconclusive", "none")),
        (-0.10, 0.10, Decision("inconclusive", "none")),
    ],
)
def test_the_first_rule_that_holds_gives_the_verdict(low: float, high: float, expected: Decision) -> None:
    assert decide([a_contrast(low, high)], margin=0.02, guards_passed=True) == expected


def test_a_failed_guard_makes_any_interval_invalid() -> None:
    assert decide([a_contrast(0.1, 0.3)], margin=0.02, guards_passed=False) == Decision("invalid", None)


@pytest.mark.parametrize(("kind", "least"), [("bounded", 2), ("unbounded", 300), ("corpus", 100)])
def test_what_is_bootstrapped_decides_from_enough_groups_on(kind: Kind, least: int) -> None:
    enough = replace(a_contrast(0.1, 0.3, num_rows=600, num_groups=least), kind=kind)
    few = replace(enough, num_groups=least - 1)
    assert decide([enough], margin=0.02, guards_passed=True) == Decision("fine_tuned", None)
    assert decide([few], margin=0.02, guards_passed=True) == Decision("inconclusive", "better")


def test_fine_tuning_has_to_beat_each_prompt_and_is_beaten_by_the_best_on_valid() -> None:
    above, open_, below = a_contrast(0.1, 0.3), a_contrast(-0.1, 0.3), a_contrast(-0.3, -0.1)
    assert decide([above, above], margin=0.02, guards_passed=True) == Decision("fine_tuned", None)
    assert decide([above, open_], margin=0.02, guards_passed=True) == Decision("inconclusive", "better")
    assert decide([below, above], margin=0.02, guards_passed=True) == Decision("prompting", None)
    assert decide([open_, below], margin=0.02, guards_passed=True) == Decision("inconclusive", "none")


def test_rows_that_all_differ_alike_are_settled_by_their_number_alone() -> None:
    # every row differs by 0.2: what is left of the interval are the rows that are added
    few, many = ([0.3] * n for n in (40, 400))
    found = [row_contrast(a, [0.1] * len(a), groups=single_groups(len(a)), seed=0) for a in (few, many)]
    assert [decide([each], margin=0.02, guards_passed=True).verdict for each in found] == ["fine_tuned", "fine_tuned"]
    assert found[0].interval == pytest.approx((0.1030700525, 0.2690229708), abs=1e-9)  # `by_hand` of test_adjusted
    assert found[1].interval == pytest.approx((0.1898957251, 0.2071266074), abs=1e-9)
    eight = row_contrast([0.3] * 8, [0.1] * 8, groups=single_groups(8), seed=0)
    assert eight.interval == pytest.approx((-0.2322541233, 0.5231632143), abs=1e-9)
