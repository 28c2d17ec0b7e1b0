"""Share of rows whose answer is the reference, but for Unicode form, white space and punctuation around it.

`A.`, `(A)` and `"A"` are `A`; `-5` is not `5`, `3.14` not `314`, `C++` not `C`, `yes` not `Yes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.answers.answer_text import bare
from ftkit.records import Prediction
from ftkit.registry import Config, component


class ExactMatch(Config):
    """No options."""


@component
def score(config: ExactMatch, predictions: Sequence[Prediction]) -> list[float]:
    """1.0 or 0.0 for each row."""
    return [float(row.parsed is not None and bare(row.parsed) == bare(row.reference)) for row in predictions]
