"""The adjusted interval against the formula of the design, published methods and cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ftkit.errors import DataError
from ftkit.verdict import adjusted
from ftkit.verdict.adjusted import SCORE, adjusted_interval


def by_hand(differences: Sequence[float], groups: Sequence[str], level: float = 0.95) -> tuple[float, float]:
    """The adjusted interval, group by group in plain Python, with scipy's quantile."""
    of_group: dict[str, list[float]] = {}
    for name, value in zip(groups, differences, strict=True):
        of_group.setdefault(name, []).append(value)
    m = math.sqrt(math.fsum(len(rows) ** 2 for rows in of_group.values()) / len(of_group))
    n = len(differences) + 3 * m
    c = math.fsum(differences) / n
    v = math.fsum(math.fsum(d - c for d in rows) ** 2 for rows in of_group.values())
    v = (v + 1.5 * m**2 * ((1 - c) ** 2 + (1 + c) ** 2)) / n**2
    half = float(scipy_stats.t.ppf(0.5 + level / 2, len(of_group) - 1)) * math.sqrt(v)
    return max(c - half, -1.0), min(c + half, 1.0)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("sizes", [[1] * 40, [3] * 12, [1, 1, 2, 2, 3, 5, 8, 30]])
def test_the_adjusted_interval_is_the_formula_of_the_design(sizes: list[int], level: float) -> None:
    rng = np.random.default_rng(5)
    groups = [f"g{index:02}" for index, size in enumerate(sizes) for _ in range(size)]
    for differences in (rng.uniform(-1, 1, len(groups)), rng.integers(-1, 2, len(groups)).astype(float)):
        found = adjusted_interval(differences, groups=groups, level=level)
        assert found == pytest.approx(by_hand(list(differences), groups, level), abs=1e-12)


def test_with_one_added_row_each_way_it_would_be_bonett_and_price(monkeypatch: pytest.MonkeyPatch) -> None:
    # Bonett and Price 2012: shares with 1 added to each discordant cell, 2 to n; z in place of t
    n, only_a, only_b = 200, 41, 17
    monkeypatch.setattr(adjusted, "PSEUDO_GROUPS", 1.0)
    found = adjusted_interval([1.0] * only_a + [-1.0] * only_b + [0.0] * (n - only_a - only_b))
    p_a, p_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = float(scipy_stats.t.ppf(0.975, n - 1)) * math.sqrt((p_a + p_b - (p_a - p_b) ** 2) / (n + 2))
    assert found == pytest.approx((p_a - p_b - half, p_a - p_b + half), abs=1e-12)


def test_the_adjusted_interval_mirrors_when_the_arms_change_places() -> None:
    there = adjusted_interval([1.0] * 12 + [-1.0] * 3 + [0.0] * 45)
    back = adjusted_interval([-1.0] * 12 + [1.0] * 3 + [0.0] * 45)
    assert there is not None and back is not None
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_equal_arms_have_an_interval_that_says_how_little_so_few_rows_know() -> None:
    # c = 0, v = 3 / 23²: 2.093·0.0753
    assert adjusted_interval([0.0] * 20) == pytest.approx((-0.1576, 0.1576), abs=5e-5)
    assert adjusted_interval([0.0] * 2000) == pytest.approx((-0.0017, 0.0017), abs=5e-5)


def test_one_row_or_one_group_has_no_interval() -> None:
    assert adjusted_interval([1.0]) is None
    assert adjusted_interval([1.0, 0.0, 1.0], groups=["a", "a", "a"]) is None


def test_the_adjusted_interval_of_an_arms_score_adds_rows_at_0_and_1() -> None:
    # 30 of 40: c = 31.5 / 43, v = (30·(1 − c)² + 10·c² + 1.5·((1 − c)² + c²)) / 43²
    found = adjusted_interval([1.0] * 30 + [0.0] * 10, within=SCORE)
    assert found == pytest.approx((0.5960, 0.8691), abs=5e-5)


@pytest.mark.parametrize("value", [1.2, -1.01])
def test_values_outside_the_range_are_refused_by_row(value: float) -> None:
    with pytest.raises(DataError, match=rf"row 1 is {value}; expected a number from -1 to 1"):
        adjusted_interval([0.5, value])
