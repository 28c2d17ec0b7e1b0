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

    def numbers_of(self, target: str, reading: Reading) -> Sequence[Number]:
        """All numbers in a text."""
        return numbers(target, reading)


@component
def extract(config: LastNumber, text: str) -> str | None:
    """The number as plain text; as a fraction where its decimals do not end."""
    found = last_number(text, config.reading)
    return written(found.value) if found else None
