"""The power formulas against their equations, hand-worked cases and simulated verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.verdict.power import minimum_detectable_difference, rows_needed
from ftkit.verdict.resampling import FloatArray, paired_bootstrap_interval
from ftkit.verdict.stats import equivalence_reachable, newcombe_interval, row_contrast

K = 1.959963985 + 0.841621234  # normal quantiles of 0.975 and 0.8


def test_minimum_detectable_difference_solves_its_equation() -> None:
    found = minimum_detectable_difference(600, margin=0.02, deviation=0.0, disagreement=0.1)
    assert found is not None
    assert found - 0.02 == pytest.approx(K * math.sqrt((0.1 - found**2) / 600))
    assert minimum_detectable_difference(600, margin=0.02, deviation=0.5) == pytest.approx(
        0.02 + K * 0.5 / math.sqrt(600)
    )


def test_where_arms_hardly_differ_the_detectable_difference_counts_the_disagreement_it_needs() -> None:
    found = minimum_detectable_difference(600, margin=0.02, deviation=0.0, disagreement=0.0)
    assert found is not None
    assert found - 0.02 == pytest.approx(K * math.sqrt((found - found**2) / 600))


def test_rows_needed_is_worked_by_hand_and_none_within_the_margin() -> None:
    # k = 2.8016, k·0.5 / (0.12 − 0.02) = 14.008, squared 196.2
    assert rows_needed(0.12, margin=0.02, deviation=0.5) == 197
    assert rows_needed(-0.12, margin=0.02, deviation=0.5) == 197
    assert rows_needed(0.02, margin=0.02, deviation=0.5) is None


@pytest.mark.parametrize(
    ("num_rows", "disagreement", "margin"),
    [(100, 0.3, 0.02), (600, 0.1, 0.02), (600, 0.3, 0.05), (2000, 0.08, 0.02), (600, 0.02, 0.02)],
)
def test_the_minimum_detectable_difference_is_proven_with_power_08(
    num_rows: int, disagreement: float, margin: float
) -> None:
    difference = minimum_detectable_difference(num_rows, margin=margin, deviation=0.0, disagreement=disagreement)
    assert difference is not None
    differing = max(disagreement, difference)
    shares = [(1 - differing) * 0.7, (differing + difference) / 2, (differing - difference) / 2]
    assert proven(num_rows, np.array([*shares, (1 - differing) * 0.3]), margin) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("only_a", "only_b"), [(60, 30), (70, 20), (40, 5)])
def test_rows_needed_settle_the_observed_difference_with_power_08(only_a: int, only_b: int) -> None:
    agree = 600 - only_a - only_b
    a = np.repeat([1.0, 1.0, 0.0, 0.0], [agree - agree // 3, only_a, only_b, agree // 3])
    b = np.repeat([1.0, 0.0, 1.0, 0.0], [agree - agree // 3, only_a, only_b, agree // 3])
    seen = row_contrast(a, b, groups=[str(index) for index in range(600)], seed=0)
    needed = rows_needed(seen.difference, margin=0.02, deviation=seen.deviation)
    assert needed is not None
    shares = np.array([agree - agree // 3, only_a, only_b, agree // 3]) / 600
    assert proven(needed, shares, 0.02) == pytest.approx(0.8, abs=0.05)


def proven(num_rows: int, shares: FloatArray, margin: float) -> float:
    """Share of 3,000 drawn tables (both, only A, only B, neither) whose interval lies above the margin."""
    tables = np.random.default_rng(3).multinomial(num_rows, shares, 3000)
    return float(np.mean([newcombe_interval(*map(int, table)).low > margin for table in tables]))


def test_equivalence_is_reachable_where_newcombes_interval_fits_into_the_margin() -> None:
    # 1.96·√(0.1 / n) < 0.02 from n = 960; the continuity correction asks for some rows more
    reachable = [n for n in range(900, 1100) if equivalence_reachable(n, margin=0.02, disagreement=0.1)]
    assert 960 < reachable[0] < 1000
    assert not equivalence_reachable(600, margin=0.02, disagreement=0.1)
    assert equivalence_reachable(2000, margin=0.02, disagreement=0.1)


def test_the_minimum_detectable_difference_of_groups_is_proven_with_power_08() -> None:
    rng, groups = np.random.default_rng(17), [f"group{index // 10}" for index in range(600)]
    # 60 groups of 10, variance 0.3 between them and 0.7 within: a mean of 600 has variance (0.3 + 0.07) / 60
    noise = rng.normal(0, 0.3**0.5, (400, 60, 1)) + rng.normal(0, 0.7**0.5, (400, 60, 10))
    draws = noise.reshape(400, 600)
    deviation = float(np.mean([row_contrast(row, 0 * row, groups=groups, seed=0).deviation for row in draws]))
    assert deviation == pytest.approx(math.sqrt(600 * 0.37 / 60), rel=0.02)
    difference = minimum_detectable_difference(600, margin=0.02, deviation=deviation)
    assert difference is not None
    intervals = [paired_bootstrap_interval(row + difference, groups=groups, seed=17) for row in draws]
    share = np.mean([interval is not None and interval.low > 0.02 for interval in intervals])
    assert share == pytest.approx(0.8, abs=0.05)  # standard error of the simulation: 0.02
