"""Share of rows whose answer is the same number as the reference, however the two are written."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pydantic import Field

from ftkit.answers.number_reading import ReadsNumbers
from ftkit.answers.numbers import Number, Reading, number
from ftkit.errors import DataError
from ftkit.records import Prediction
from ftkit.registry import component


class NumericMatch(ReadsNumbers):
    """`tolerance` is relative: |answer − reference| ≤ tolerance × |reference|; 0 compares exactly."""

    tolerance: float = Field(0.0, ge=0, description="share of the reference by which an answer may be off")

    def number_of(self, text: str, reading: Reading) -> Number | None:
        """The number that a text is."""
        return number(text, reading)


@component
def score(config: NumericMatch, predictions: Sequence[Prediction]) -> list[float]:
    """1.0 or 0.0 for each row; an answer that is no number is wrong. Raises DataError on a reference without one."""
    config = config.settled([row.reference for row in predictions], lambda _: None)
    tolerance = Fraction(str(config.tolerance))
    return [float(_same(row, config.reading, tolerance)) for row in predictions]


def _same(row: Prediction, reading: Reading, tolerance: Fraction) -> bool:
    expected = number(row.reference, reading)
    if expected is None:
        raise DataError(
            f"{row.id}: numeric_match compares numbers, and the reference {row.reference[:80]!r} is none; name another "
            "metric in evaluate.metrics, or take the number out of the target with task.generate.extract: last_number"
        )
    answered = None if row.parsed is None else number(row.parsed, reading)
    return answered is not None and abs(answered.value - expected.value) <= tolerance * abs(expected.value)
