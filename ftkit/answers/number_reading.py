"""How components that read numbers settle what writings leave open: named in the recipe, or read from the targets.

Knows the grammar of numbers, and no component.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

from pydantic import Field

from ftkit.answers.numbers import Decimal, Number, Percent, Reading
from ftkit.registry import Config


class ReadsNumbers(Config):
    """Base of a component that reads numbers."""

    decimal: Literal["auto", ".", ","] = Field(
        "auto", description="decimal sign of what is open, such as 1.234; auto: that of the targets"
    )
    percent: Literal["auto", "hundredths", "units"] = Field(
        "auto", description="50% is 0.5 or 50; auto: 50 where the targets are bare numbers, some of them beyond 1"
    )

    @property
    def reading(self) -> Reading:
        """The reading; the usual one of what is left to targets that are not known."""
        usual = Reading()
        return Reading(
            usual.decimal if self.decimal == "auto" else self.decimal,
            usual.percent if self.percent == "auto" else self.percent,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to the targets."""
        return self.decimal != "auto" and self.percent != "auto"

    def number_of(self, text: str, reading: Reading) -> Number | None:
        """The number of a text that is compared."""
        raise NotImplementedError(type(self).__name__)

    def numbers_of(self, text: str, reading: Reading) -> Sequence[Number]:
        """All numbers of a text: how they are written shows the convention."""
        found = self.number_of(text, reading)
        return [] if found is None else [found]

    def settled(self, targets: Iterable[str], say: Callable[[str], None]) -> Self:
        """The same with what is auto read from targets; `say` is told what was read, and from what."""
        if self.is_settled:
            return self
        known = list(targets)
        decimal = self._decimal_of(known, say) if self.decimal == "auto" else self.decimal
        percent = self._percent_of(known, decimal, say) if self.percent == "auto" else self.percent
        return self.model_copy(update={"decimal": decimal, "percent": percent})

    def _decimal_of(self, targets: Sequence[str], say: Callable[[str], None]) -> Decimal:
        reading = Reading(",")  # under which every decimal comma is seen, and every decimal point too
        shown = Counter(each.shows for target in targets for each in self.numbers_of(target, reading))
        decimal: Decimal = "," if shown[","] > shown["."] else "."
        other: Decimal = "." if decimal == "," else ","
        if shown[decimal]:
            contrary = f", that show {other!r}: {shown[other]:,}" if shown[other] else ""
            count = f"{shown[decimal]:,}{contrary}"
            say(f"numbers: the decimal sign is {decimal!r}; numbers in targets that show it: {count}")
        elif shown["?"]:
            say(
                f"numbers: the decimal sign is taken to be {decimal!r}: no target shows it; numbers that could be read "
                f"either way, like 1.234: {shown['?']:,}; if it is wrong, name it as decimal: {other!r}"
            )
        return decimal

    def _percent_of(self, targets: Sequence[str], decimal: Decimal, say: Callable[[str], None]) -> Percent:
        found = [self.number_of(target, Reading(decimal)) for target in targets]
        compared = [each for each in found if each is not None]
        if any(each.has_percent for each in compared) or not any(abs(each.value) > 1 for each in compared):
            return "hundredths"
        say("numbers: no target has a per cent sign, so 50% in an answer counts as 50; else say percent: hundredths")
        return "units"
