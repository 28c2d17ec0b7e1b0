"""Numbers as people and models write them: one grammar, read to exact fractions. Pure text, no model.

Read are digits of any script; signs of all kinds; groups by comma, point, space, apostrophe or as lakh and crore;
decimals; powers and exponents; fractions and mixed fractions; per cent; money; the LaTeX of all that. Some writings
are open: `1.234`, and whether `50%` is .5 or 50 where the references are bare numbers. A `Reading` closes them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

MAX_DIGITS = 4_000  # of one run of digits: Python refuses to turn more than 4,300 into a number
LIMIT = 10**2_000  # numerators and denominators beyond are not read: a power can be of any size
MAX_DECIMALS = 1_000  # written out; a number with more is written as a fraction

Decimal: TypeAlias = Literal[".", ","]
Percent: TypeAlias = Literal["hundredths", "units"]
Shown: TypeAlias = Literal["", ".", ",", "?"]


@dataclass(frozen=True)
class Reading:
    """How open writings are read: the decimal sign, and what a per cent sign makes of its number."""

    decimal: Decimal = "."
    percent: Percent = "hundredths"


class _InText(Reading):
    """In running text `12,34` are two numbers, unless the comma is the decimal sign."""


@dataclass(frozen=True)
class Number:
    """A number that was read. `shows` is the decimal sign that its writing gives away, '?' where it is open."""

    value: Fraction
    has_percent: bool
    shows: Shown


def number(text: str, reading: Reading) -> Number | None:
    """The number that a text is, but for what stands around it; None where it is none, or holds more than one."""
    plain, before = _plain(text), None
    while plain != before:
        before, plain = plain, _AROUND.sub("", plain)
    found = _WHOLE.fullmatch(plain)
    read = list(_read(found, reading)) if found else []
    return read[0] if len(read) == 1 else None


def numbers(text: str, reading: Reading) -> list[Number]:
    """All numbers in a text, in order."""
    reading = _InText(reading.decimal, reading.percent)
    return [each for found in _NUMBER.finditer(_plain(text)) for each in _read(found, reading)]


def last_number(text: str, reading: Reading) -> Number | None:
    """The last of `numbers`, without reading them all."""
    reading = _InText(reading.decimal, reading.percent)
    for found in reversed(list(_NUMBER.finditer(_plain(text)))):
        if read := list(_read(found, reading)):
            return read[-1]
    return None


def written(value: Fraction) -> str:
    """A number as text that every reading takes for the same: a decimal where it ends, else a fraction."""
    twos, fives = _exponent_of(value.denominator, 2), _exponent_of(value.denominator, 5)
    places = max(twos, fives)
    if 2**twos * 5**fives != value.denominator or places > MAX_DECIMALS:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * (10**places // value.denominator)).rjust(places + 1, "0")
    whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :]
    if places == 3 and len(whole) <= 3 and whole != "0":
        decimals += "0"  # 1.234 could be read as 1234
    return ("-" if value < 0 else "") + whole + (f".{decimals}" if decimals else "")


def _exponent_of(value: int, factor: int) -> int:
    exponent = 0
    while value % factor == 0:
        value //= factor
        exponent += 1
    return exponent


_LETTERS = str.maketrans(
    dict.fromkeys("−－﹣‐‑‒–➖", "-")
    | dict.fromkeys("＋﹢➕", "+")
    | dict.fromkeys("’‘ʼ＇٬", "'")
    | dict.fromkeys("×✕✖⋅·∙", "*")
    | dict.fromkeys("⁄∕／", "/")
    | dict.fromkeys("％٪﹪", "%")
    | dict.fromkeys("\u00ad\u200b\u2060\ufeff", "")
    | {"．": ".", "，": ",", "؉": "‰"}
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED_RUN = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWER_OF_NO_NUMBER = re.compile(r"(?<!\d)\^[-+]?\d+")
_LATEX = [
    (re.compile(pattern), put)
    for pattern, put in (
        (r"\{([,.])\}", r"\1"),
        (r"\\[,;: ]|~", " "),
        (r"\\!", ""),
        (r"\\([$%])", r"\1"),
        (r"\\(?:times|cdot)(?![a-zA-Z])", "*"),
        (r"\^\s*\{?\s*\\circ\s*\}?", "°"),
        (r"\^\s*\{\s*([-+]?\d+)\s*\}", r"^\1"),
        (r"(?<=\d)\s*(?=\\[dtc]?frac)", " "),
        (r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2"),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\1/\2"),
        (r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|left|right|displaystyle)(?![a-zA-Z])", ""),
        (r"\\[()\[\]]|[{}]", " "),
    )
]

_RUN = r"(?>(?:(?<!\w)[.,٫])?\d++(?:(?:[.,'_٫](?=\d)| (?=\d{3}(?!\d)))\d++)*+)"
_EXPONENT = r"(?:[eE][-+]?\d{1,6}(?!\w)|\s?[*x]\s?10(?:\^|\*\*)[-+]?\d{1,6}|(?:\^|\*\*)[-+]?\d{1,6})"
_PART = rf"(?>{_RUN}{_EXPONENT}?+)"
_CHAIN = rf"(?P<mixed>\d{{1,40}}+ (?=\d++ ?/ ?\d))?+(?P<chain>{_PART}(?: ?/ ?-?{_PART})*+)"
_SYMBOL = r"[$¢-¥৳฿៛₠-⃀﷼﹩＄￠￡￥￦]"
_CODE = r"(?:USD|EUR|GBP|JPY|CHF|CNY|INR|Rs\.?)"
_MONEY = rf"(?:(?:{_SYMBOL}|{_CODE}(?=[\s\d])) ?)?+"
_BEHIND = r"(?: ?(?P<scale>thousand|million|billion|trillion|lakh|crore)s?\b)?+(?: ?(?P<percent>[%‰]|per ?cent\b))?+"
_NUMBER = re.compile(rf"(?=[^a-z\s])(?P<sign>(?<![\w)\]%°])[-+])?+{_MONEY}(?P<inner>(?<!\w)[-+])?+{_CHAIN}{_BEHIND}")
_WHOLE = re.compile(rf"(?P<sign>[-+] ?)?+{_MONEY}(?P<inner>[-+])?+{_CHAIN}{_BEHIND}(?: ?(?:{_SYMBOL}|{_CODE}))?+")
_AROUND = re.compile(r"^[\s$\"'“”«»`*(\[]+|[\s\"'“”«»`*)\]$.,;:?。、]+$")
_PIECES = re.compile(rf"({_RUN})({_EXPONENT}?+)")
_SCALES = {"thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "trillion": 12}


def _plain(text: str) -> str:
    """The text in the letters that the grammar knows."""
    if not text.isascii():
        text = _RAISED_RUN.sub(lambda found: "^" + found[0].translate(_RAISED), text).translate(_LETTERS)
        text = "".join(letter if letter.isascii() else _plain_letter(letter) for letter in text)
        text = re.sub(r"(?<=\d)\x00", " ", text).replace("\x00", "")
    if "\\" in text or "{" in text:
        for pattern, put in _LATEX:
            text = pattern.sub(put, text)
    return _POWER_OF_NO_NUMBER.sub("^", text) if "^" in text else text


def _plain_letter(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Nd":
        return str(unicodedata.decimal(letter))
    if category == "Zs":
        return " "
    if category == "No" and unicodedata.decomposition(letter).startswith("<fraction>"):
        return "\x00" + unicodedata.normalize("NFKC", letter).replace("⁄", "/")
    return letter


def _read(found: re.Match[str], reading: Reading) -> Iterator[Number]:
    """The number that was matched; several where what looks like one is a list, a date or a version."""
    parts = [_part(run, exponent, reading) for run, exponent in _PIECES.findall(found["chain"])]
    if len(parts) > 2 or None in parts:
        for run, exponent in _PIECES.findall(found["chain"]):
            for piece in _pieces(run, reading):
                if (part := _part(piece, exponent, reading)) is not None:
                    yield _finished(part, found if len(parts) == 1 and piece == run else None, reading)
        return
    known = [part for part in parts if part is not None]
    value = known[0][0]
    if len(known) == 2:
        if not known[1][0]:
            return
        value /= known[1][0] * (-1 if re.search(r"/ ?-", found["chain"]) else 1)
    if found["mixed"] and value < 1:
        value += int(found["mixed"])
    elif found["mixed"]:
        yield Number(Fraction(int(found["mixed"])), has_percent=False, shows="")
    if max(abs(value.numerator), value.denominator) < LIMIT:
        yield _finished((value, _shown_by(known)), found, reading)


_Part: TypeAlias = tuple[Fraction, Shown]


def _shown_by(parts: Sequence[_Part]) -> Shown:
    return next((shown for sign in (".", ",", "?") for _, shown in parts if shown == sign), "")


def _finished(part: _Part, found: re.Match[str] | None, reading: Reading) -> Number:
    """The number with its sign, scale and per cent sign."""
    value, shown = part
    if found is None:
        return Number(value, False, shown)
    sign, mark = (found["sign"] or "") + (found["inner"] or ""), found["percent"]
    if "-" in sign:
        value = -value
    if found["scale"]:
        value *= 10 ** _SCALES[found["scale"]]
    if mark and reading.percent == "hundredths":
        value /= 1000 if mark == "‰" else 100
    return Number(value, mark is not None, shown)


def _part(run: str, exponent: str, reading: Reading) -> _Part | None:
    """A run of digits with its exponent or power; None where it is no number, or too large to be read."""
    read = _run(run, reading)
    if read is None or not exponent:
        return read
    value, shown = read
    power = int(re.search(r"[-+]?\d+$", exponent)[0])  # type: ignore[index]
    base = Fraction(10) if exponent[0] in "eE" or re.search(r"[*x]\s?10(?:\^|\*\*)", exponent) else value
    size = max(abs(base.numerator), base.denominator).bit_length()
    if abs(power) * size > LIMIT.bit_length() or (not base and power < 0):
        return None
    return (value * base**power if base is not value else base**power), shown


def _run(run: str, reading: Reading) -> _Part | None:
    """Digits with what separates them."""
    if len(run) > MAX_DIGITS:
        return None
    if run[0] in ".,٫":
        if run[0] == "," and reading.decimal == ".":
            return _run(run[1:], reading)
        shows: Shown = "," if run[0] == "," else "." if run[0] == "." else ""
        return (Fraction(int(run[1:]), 10 ** len(run[1:])), shows) if run[1:].isdigit() else None
    groups, marks = re.split(r"\D", run), re.sub(r"\d", "", run)
    if not marks:
        return Fraction(int(run)), ""
    last, kinds = marks[-1], set(marks)
    if len(kinds) == 1 and last != "٫" and _is_grouped(groups, last):
        if len(marks) > 1 or last not in ".,":
            return Fraction(int("".join(groups))), {".": ",", ",": "."}.get(last, "")  # type: ignore[return-value]
        if last != reading.decimal:
            return Fraction(int("".join(groups))), "?"
        shown: Shown = "?"
    elif last in ".,٫" and marks.count(last) == 1 and (len(kinds) == 1 or _is_grouped(groups[:-1], marks[0])):
        if len(kinds) > 2 or (marks == "," and reading.decimal == "." and isinstance(reading, _InText)):
            return None
        shown = "" if last == "٫" else last  # type: ignore[assignment]
    else:
        return None
    whole = "".join(groups[:-1])
    return Fraction(int(whole + groups[-1]), 10 ** len(groups[-1])), shown


def _is_grouped(groups: Sequence[str], mark: str) -> bool:
    """Whether groups of digits are those of one number: of three, or of lakh and crore."""
    first, *middle, last = groups
    if first[0] == "0" or len(last) != 3:
        return False
    by_three = len(first) <= 3 and all(len(each) == 3 for each in middle)
    return by_three or (mark == "," and len(first) <= 2 and all(len(each) == 2 for each in middle))


def _pieces(run: str, reading: Reading) -> list[str]:
    """What a run that is no number falls into: at its commas and spaces, then at the rest."""
    if _run(run, reading) is not None:
        return [run]
    parts = re.split("[, ]", run)
    if len(parts) == 1:
        return [each for each in re.split(r"\D", run) if each]
    return [piece for part in parts if part for piece in _pieces(part, reading)]
