"""How sure an answer among labels is."""

from __future__ import annotations

import math
import random

import pytest

from ftkit.answers.confidence import Confidence, fitted


def drawn(temperature: float, *, num_rows: int, num_labels: int) -> tuple[list[list[float]], list[int]]:
    """Scores, and right labels drawn from what they say once divided by a temperature."""
    rng = random.Random(3)
    scores = [[rng.gauss(0, 3) for _ in range(num_labels)] for _ in range(num_rows)]
    truth = Confidence(temperature, 0.0, 0)
    return scores, [rng.choices(range(num_labels), truth.shares(row))[0] for row in scores]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("num_labels", [2, 7, 150])
def test_shares_are_those_that_the_rows_were_drawn_from(temperature: float, num_labels: int) -> None:
    found = fitted(*drawn(temperature, num_rows=4000, num_labels=num_labels))
    assert found.temperature == pytest.approx(temperature, rel=0.1)


def test_shares_sum_to_one_and_keep_the_order_of_scores() -> None:
    shares = Confidence(2.0, 0.5, 9).shares([-1000.0, -3.0, -1.0])
    assert math.fsum(shares) == pytest.approx(1.0) and shares == sorted(shares)
    assert shares[2] == pytest.approx(1 / (1 + math.exp(-1.0)))  # by hand: exp(0) against exp(-2 / 2)


def test_below_the_threshold_wrong_answers_outnumber_right_ones() -> None:
    # two labels; the first row by 4, right; then 3 right, 2 wrong, 1 right, .5 wrong, .4 wrong
    scores = [[4.0, 0.0], [3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.4, 0.0]]
    found = fitted(scores, [0, 0, 1, 0, 1, 1])
    sure = [max(found.shares(row)) >= found.threshold for row in scores]
    assert sure == [True, True, True, True, False, False]  # leads of 1, 2, 1, 2, 1, 0: the longer list of equals


def test_where_answers_are_never_more_often_right_than_wrong_none_is_sure() -> None:
    found = fitted([[2.0, 0.0], [2.0, 0.0], [1.0, 0.0]], [1, 1, 0])
    assert all(max(found.shares(row)) < found.threshold for row in ([2.0, 0.0], [90.0, 0.0]))


def test_where_all_answers_are_right_each_is_sure() -> None:
    found = fitted([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    assert max(found.shares([2.0, 0.0])) >= found.threshold
    assert found.temperature == pytest.approx(0.05, rel=0.01)  # the least there is


def test_without_rows_scores_are_taken_as_they_are() -> None:
    assert fitted([], []) == Confidence(1.0, 0.5, 0)
