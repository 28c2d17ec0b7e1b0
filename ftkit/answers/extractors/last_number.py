"""The last number of the answer, written plainly: no thousands separators, no trailing zeros. None without one."""

from __future__ import annotations

import re
from decimal import Decimal

from ftkit.registry import Config, component

_NUMBER = re.compile(  # a sign belongs to a number only where no word ends before it: "10-3" ends in 3
    r"(?:(?<!\w)[-+−])?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?:(?<!\w)[-+−])?\$?(?<!\d)\.\d+"
)


class LastNumber(Config):
    """No options."""


@component
def extract(config: LastNumber, text: str) -> str | None:
    """The number as plain decimal text, e.g. '$1,250.50' → '1250.5'."""
    numbers = _NUMBER.findall(text)
    return _plain(numbers[-1]) if numbers else None


def _plain(number: str) -> str:
    value = Decimal(number.replace("−", "-").replace("$", "").replace(",", ""))
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
