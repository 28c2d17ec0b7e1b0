"""Share of rows whose answer equals the reference by the rule of SQuAD: but for case, punctuation, articles and spaces.

Under it `-5` is `5` and `C++` is `C`: meant for short answers in prose.
"""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.answers.answer_text import answer_words
from ftkit.records import Prediction
from ftkit.registry import Config, component


class SquadMatch(Config):
    """No options."""


@component
def score(config: SquadMatch, predictions: Sequence[Prediction]) -> list[float]:
    """1.0 or 0.0 for each row."""
    return [float(row.parsed is not None and _same(row.parsed, row.reference)) for row in predictions]


def _same(answer: str, reference: str) -> bool:
    return answer == reference or (answer_words(answer) == answer_words(reference) != [])
