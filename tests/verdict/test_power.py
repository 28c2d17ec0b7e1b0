"""How many rows a verdict takes, against hand-worked cases and simulated verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from ftkit.errors import DataError
from ftkit.verdict.adjusted import DIFFERENCE, Moments, adjusted, adjusted_interval
from ftkit.verdict.power import (
    can_be_overlooked,
    equivalence_reachable,
    groups_needed,
    minimum_detectable_difference,
    rows_in,
)
from ftkit.verdict.resampling import FloatArray, IntArray
from ftkit.verdict.stats import Contrast, row_contrast


def seen_of(only_a: int, only_b: int, num_rows: int) -> Contrast:
    """The contrast of two arms of which one alone is right on so many rows."""
    agree = num_rows - only_a - only_b
    a = np.repeat([1.0, 1.0, 0.0], [agree, only_a, only_b])
    b = np.repeat([1.0, 0.0, 1.0], [agree, only_a, only_b])
    return row_contrast(a, b, groups=[str(index) for index in range(num_rows)], seed=0)


def ends(num_rows: int, differs: float, difference: float) -> tuple[FloatArray, FloatArray]:
    """Both ends of the interval of 4,000 drawn test sets, of rows on which arms differ so often and one is better."""
    shares = [(differs + difference) / 2, (differs - difference) / 2, 1 - differs]
    drawn: IntArray = np.random.default_rng(3).multinomial(num_rows, np.maximum(shares, 0.0), 4000)
    won, lost = drawn[:, 0].astype(float), drawn[:, 1].astype(float)
    total, squares, n = won - lost, won + lost, float(num_rows)
    found = adjusted(Moments(n, n, n, total, squares, total), within=DIFFERENCE, level=0.95)
    return found.centre - found.student * found.error, found.centre + found.student * found.error


@pytest.mark.parametrize(
    ("num_rows", "disagreement", "margin"),
    [(100, 0.3, 0.02), (600, 0.1, 0.02), (600, 0.3, 0.05), (2000, 0.08, 0.02), (600, 0.02, 0.02)],
)
def test_the_minimum_detectable_difference_is_proven_with_power_08(
    num_rows: int, disagreement: float, margin: float
) -> None:
    half = round(num_rows * disagreement / 2)
    difference = minimum_detectable_difference(seen_of(half, half, num_rows), margin=margin)
    assert difference is not None
    low, _ = ends(num_rows, max(disagreement, difference), difference)
    assert float(np.mean(low > margin)) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("only_a", "only_b"), [(60, 30), (70, 20), (40, 5), (20, 70)])
def test_rows_needed_settle_a_difference_beyond_the_margin_with_power_08(only_a: int, only_b: int) -> None:
    needed = groups_needed(seen_of(only_a, only_b, 600), margin=0.02)
    assert needed is not None
    low, _ = ends(needed, (only_a + only_b) / 600, abs(only_a - only_b) / 600)
    assert float(np.mean(low > 0.02)) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(("only_a", "only_b", "power"), [(30, 30, 0.8), (33, 28, 0.9), (3, 3, 0.8)])
def test_rows_needed_show_a_difference_within_the_margin_to_be_equivalent(
    only_a: int, only_b: int, power: float
) -> None:
    seen = seen_of(only_a, only_b, 600)
    needed = groups_needed(seen, margin=0.02)
    assert needed is not None
    low, high = ends(needed, (only_a + only_b) / 600, (only_a - only_b) / 600)
    # nine in ten at each end: 0.8 where the arms are equal, up to 0.9 where one end is far away
    assert float(np.mean((low > -0.02) & (high < 0.02))) == pytest.approx(power, abs=0.05)


def test_rows_needed_are_worked_by_hand() -> None:
    # 600 rows, 60 against 20 wins: mean square 0.1333, d = 0.0667, s² = 0.1289; from n = 481 on
    # d·n/(n+3) − t·√((n·s² + (d − c)²·n + 1.5·((1−c)² + (1+c)²)) / (n+3)²) − z(0.8)·√(n·s²)/(n+3) > 0.02
    seen = seen_of(60, 20, 600)
    needed = groups_needed(seen, margin=0.02)
    assert needed is not None

    def near_end(n: int) -> float:
        d, s2 = 40 / 600, 80 / 600 - (40 / 600) ** 2
        c = d * n / (n + 3)
        v = (n * s2 + n * (d - c) ** 2 + 1.5 * ((1 - c) ** 2 + (1 + c) ** 2)) / (n + 3) ** 2
        return float(c - t.ppf(0.975, n - 1) * math.sqrt(v) - norm.ppf(0.8) * math.sqrt(n * s2) / (n + 3))

    assert near_end(needed - 1) <= 0.02 < near_end(needed)


def test_on_the_margin_no_number_of_rows_settles_it() -> None:
    assert groups_needed(seen_of(30, 18, 600), margin=0.02) is None


def test_rows_are_counted_in_groups_where_groups_bind() -> None:
    rng, groups = np.random.default_rng(17), [f"group{index // 10}" for index in range(600)]
    a = (rng.random(60) < 0.75).repeat(10).astype(float)  # rows of a group are right or wrong together
    b = (rng.random(60) < 0.55).repeat(10).astype(float)
    seen = row_contrast(a, b, groups=groups, seed=0)
    needed = groups_needed(seen, margin=0.02)
    alone = groups_needed(seen_of(int((a > b).sum()), int((a < b).sum()), 600), margin=0.02)
    assert needed is not None and alone is not None
    assert needed > 0.9 * alone  # each group is worth no more than a row
    assert rows_in(needed, seen) == 10 * needed


def test_the_minimum_detectable_difference_of_groups_is_proven_with_power_08() -> None:
    rng, groups = np.random.default_rng(17), [f"group{index // 10}" for index in range(600)]
    draws = (rng.uniform(-0.3, 0.3, (400, 60, 1)) + rng.uniform(-0.3, 0.3, (400, 60, 10))).reshape(400, 600)
    spread = float(np.mean([row_contrast(0.5 + row / 2, 0.5 - row / 2, groups=groups, seed=0).spread for row in draws]))
    # (0.6²/12)·(10² + 10)
    assert spread == pytest.approx(0.03 * 110, rel=0.03)
    seen = Contrast(0.0, None, None, "sign_flip_groups", None, 600, 60, spread, rms_size=10.0)
    difference = minimum_detectable_difference(seen, margin=0.02)
    assert difference is not None
    intervals = [adjusted_interval(row + difference, groups=groups) for row in draws]
    share = np.mean([interval is not None and interval.low > 0.02 for interval in intervals])
    assert share == pytest.approx(0.8, abs=0.06)  # standard error of the simulation: 0.02


def test_equivalence_is_reachable_where_the_interval_of_equal_arms_fits_into_the_margin() -> None:
    # 1.962·√(0.1·n + 3) / (n + 3) < 0.02 from n = 987 on
    reachable = [n for n in range(900, 1100) if equivalence_reachable([1] * n, margin=0.02, disagreement=0.1)]
    assert reachable == list(range(987, 1100))
    # the same rows in groups of ten, of which each counts as 10 / (1 + 0.3·9) rows
    assert not equivalence_reachable([10] * 200, margin=0.02, disagreement=0.1)
    assert equivalence_reachable([10] * 450, margin=0.02, disagreement=0.1)
    assert not equivalence_reachable([5000], margin=0.02, disagreement=0.0)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="expected 1 or more, a share from 0 to 1"):
        equivalence_reachable([1] * 100, margin=0.02, disagreement=1.2)


def test_what_a_search_on_few_rows_can_overlook() -> None:
    # 1.645·√(0.3 / 50); of three, half of the 5 % for each of the two others: 1.960·√(0.3 / 50)
    assert can_be_overlooked(50, num_prompts=2, disagreement=0.3) == pytest.approx(0.1274, abs=1e-4)
    assert can_be_overlooked(50, num_prompts=3, disagreement=0.3) == pytest.approx(0.1518, abs=1e-4)
    assert can_be_overlooked(50, num_prompts=1, disagreement=0.3) is None


def test_a_search_overlooks_that_much_one_time_in_twenty() -> None:
    difference = can_be_overlooked(200, num_prompts=2, disagreement=0.3)
    assert difference is not None
    shares = [(0.3 + difference) / 2, (0.3 - difference) / 2, 0.7]
    won, lost, _ = np.random.default_rng(3).multinomial(200, shares, 20_000).T
    assert float(np.mean(won < lost)) == pytest.approx(0.05, abs=0.015)
