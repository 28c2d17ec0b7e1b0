"""Overlap of the answer's words with the reference's: harmonic mean of precision and recall over a bag of words.

Source: Rajpurkar et al. 2016 (arXiv 1606.05250), official evaluation. In scripts that are written without blanks
between words, Chinese, Japanese or Thai, words are characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ftkit.answers.answer_text import answer_words
from ftkit.records import Prediction
from ftkit.registry import Config, component


class TokenF1(Config):
    """No options."""


@component
def score(config: TokenF1, predictions: Sequence[Prediction]) -> list[float]:
    """F1 in [0, 1] for each row."""
    return [0.0 if row.parsed is None else _f1(row.parsed, row.reference) for row in predictions]


def _f1(answer: str, reference: str) -> float:
    answered, expected = Counter(answer_words(answer)), Counter(answer_words(reference))
    if not answered or not expected:
        return float(answered == expected)
    common = (answered & expected).total()
    return 2 * common / (answered.total() + expected.total())
