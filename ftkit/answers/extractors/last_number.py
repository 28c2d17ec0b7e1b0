"""The last number of the answer, written plainly: '$1,250.50' → '1250.5', '3/4' → '0.75'. None without one.

It is written in the one way that nothing leaves open: no groups, no exponent, a point before decimals.
"""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.answers.number_reading import ReadsNumbers
from ftkit.answers.numbers import Number, Reading, last_number, numbers, written
from ftkit.registry import component


class LastNumber(ReadsNumbers):
    """How a number is read that can be read in two ways."""

    def number_of(self, text: str, reading: Reading) -> Number | None:
        """The last number."""
        return last_number(text, reading)

    def numbers_of(self, text: str, reading: Reading) -> Sequence[Number]:
        """All numbers."""
        return numbers(text, reading)


@component
def extract(config: LastNumber, text: str) -> str | None:
    """The number as plain text; as a fraction where its decimals do not end."""
    found = config.number_of(text, config.reading)
    return written(found.value) if found else None
