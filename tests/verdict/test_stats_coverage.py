"""What the intervals and tests promise, tried on data whose truth is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from ftkit.verdict.adjusted import adjusted_interval
from ftkit.verdict.resampling import FloatArray, Interval, paired_bootstrap_interval, sign_flip_test
from ftkit.verdict.stats import mcnemar_exact

GROUPS = [f"group{index // 10}" for index in range(600)]


def grouped_rows(rng: np.random.Generator, right_a: float, right_b: float) -> tuple[FloatArray, FloatArray]:
    """60 groups of 10 rows, 0/1 for each arm. A group's rates are beta: two rows of it correlate by 0.3."""
    spread = 1 / 0.3 - 1
    rates = [rng.beta(right * spread, (1 - right) * spread, 60).repeat(10) for right in (right_a, right_b)]
    return (rng.random(600) < rates[0]).astype(float), (rng.random(600) < rates[1]).astype(float)


def holds(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.low <= truth <= interval.high


def test_the_grids_of_coverage_and_false_verdicts_hold() -> None:
    found = subprocess.run(
        [sys.executable, "scripts/check_coverage.py", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count(": held") == 5


def test_the_bootstrap_of_scores_without_bounds_covers_nearly_95_percent_from_300_rows_on() -> None:
    rng = np.random.default_rng(17)
    draws = np.exp(rng.normal(0, 0.7, (500, 300)))
    truth = float(np.exp(0.7**2 / 2))
    intervals = (paired_bootstrap_interval(row, seed=17, num_resamples=1000) for row in draws)
    assert sum(holds(interval, truth) for interval in intervals) / 500 >= 0.92  # standard error: 0.01


def test_rows_of_groups_taken_for_rows_of_their_own_would_be_wrong() -> None:
    rng = np.random.default_rng(17)
    num_draws, alone_rejects, alone_holds, groups_reject, groups_hold = 500, 0, 0, 0, 0
    for _ in range(num_draws):
        a, b = grouped_rows(rng, 0.7, 0.7)
        alone_rejects += mcnemar_exact(int((a > b).sum()), int((b > a).sum())) < 0.05
        alone_holds += holds(adjusted_interval(a - b), 0.0)
        groups_reject += sign_flip_test(a - b, groups=GROUPS, seed=17, num_resamples=1000) < 0.05
        groups_hold += holds(adjusted_interval(a - b, groups=GROUPS), 0.0)
    # a design effect of 1 + 9·0.3 = 3.7 makes |z| > 1.96 as likely as |z| > 1.02: 31 %
    assert alone_rejects / num_draws == pytest.approx(0.31, abs=0.06)
    assert alone_holds / num_draws == pytest.approx(0.69, abs=0.06)
    assert groups_reject / num_draws == pytest.approx(0.05, abs=0.03)
    assert groups_hold / num_draws >= 0.94
