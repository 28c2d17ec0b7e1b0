"""How sure an answer among labels is: shares that say how often it is right, and where that is too seldom.

Pure: numbers in, numbers out.  N rows, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST, MOST = 0.05, 20.0  # temperatures: of valid rows that are all right, or all wrong, none would be the best


@dataclass(frozen=True)
class Confidence:
    """Scores divided by `temperature` are log-probabilities; an answer below `threshold` is not to be relied on.

    `num_rows`: how many it was fitted on.
    """

    temperature: float
    threshold: float
    num_rows: int

    def shares(self, scores_L: Sequence[float]) -> list[float]:
        """The probability of each label; they sum to one."""
        highest = max(scores_L)
        weights = [math.exp((score - highest) / self.temperature) for score in scores_L]
        whole = math.fsum(weights)
        return [weight / whole for weight in weights]


def fitted(scores_NL: Sequence[Sequence[float]], right_N: Sequence[int]) -> Confidence:
    """From scores of the labels of some rows, and the place of the right one of each.

    One temperature, under which what is right is likeliest (Guo et al. 2017, arXiv 1706.04599). The threshold is where,
    of the answers that are at least as sure, the right ones outnumber the wrong ones by most: one above every share,
    where they nowhere do. Without rows scores are taken as they are, and one half is the threshold.
    """
    if not right_N:
        return Confidence(1.0, 0.5, 0)
    found = Confidence(_temperature(scores_NL, right_N), 0.0, len(right_N))
    answers = []
    for scores_L, right in zip(scores_NL, right_N, strict=True):
        shares_L = found.shares(scores_L)
        best = max(shares_L)
        answers.append((best, shares_L.index(best) == right))
    return Confidence(found.temperature, _threshold(answers), len(right_N))


def _temperature(scores_NL: Sequence[Sequence[float]], right_N: Sequence[int]) -> float:
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    values_NL = np.asarray(scores_NL, dtype=np.float64)
    right_values_N = values_NL[np.arange(len(right_N)), list(right_N)]

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        return float(np.mean(logsumexp(values_NL * scale, axis=1) - right_values_N * scale))

    found = minimize_scalar(loss, bounds=(math.log(LEAST), math.log(MOST)), method="bounded", options={"xatol": 1e-4})
    return math.exp(float(found.x))


def _threshold(answers: Sequence[tuple[float, bool]]) -> float:
    """Halfway between the least sure answer that is taken and the surest that is not."""
    ordered = sorted(answers, reverse=True)
    best, lead, taken = 0, 0, 0
    for place, (share, is_right) in enumerate(ordered, 1):
        lead += 1 if is_right else -1
        is_last_of_equals = place == len(ordered) or ordered[place][0] < share
        if is_last_of_equals and lead > 0 and lead >= best:
            best, taken = lead, place
    if not taken:
        return math.nextafter(1.0, 2.0)
    return ordered[taken - 1][0] if taken == len(ordered) else (ordered[taken - 1][0] + ordered[taken][0]) / 2
