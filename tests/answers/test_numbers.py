"""Numbers: every writing is read as the number it is, and no other number is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.answers.extractors.last_number import LastNumber, extract
from ftkit.answers.metrics.numeric_match import NumericMatch, score
from ftkit.answers.numbers import Reading, number, numbers, written
from ftkit.errors import DataError
from ftkit.records import Prediction

POINT, COMMA = Reading("."), Reading(",")
SIGNS = ["-", "−", "－", "–", "‑", "﹣"]
SCRIPTS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९"]


def same(answer: str | None, reference: str, **options: str | float) -> bool:
    row = Prediction("arm", "R1", "R1", reference, answer or "", answer, {}, (), 1, 1)
    return score(NumericMatch(**options), [row]) == [1.0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 000 000", 1_000_000),
        ("1,000,000", 1_000_000),
        ("1.000.000", 1_000_000),
        ("1'000'000", 1_000_000),
        ("1’000’000", 1_000_000),
        ("10,00,000", 1_000_000),
        ("1 000 000", 1_000_000),
        ("1,234.5", Fraction("1234.5")),
        ("1.234,5", Fraction("1234.5")),
        ("1 234,5", Fraction("1234.5")),
        ("12,34,567.8", Fraction("1234567.8")),
        ("1,5", Fraction("1.5")),
        (".5", Fraction("0.5")),
        ("6.02e23", 602 * 10**21),
        ("6.02 × 10²³", 602 * 10**21),
        (r"6.02 \times 10^{23}", 602 * 10**21),
        ("1.5E-3", Fraction("0.0015")),
        ("10^5", 100_000),
        ("10⁻³", Fraction("0.001")),
        ("2**10", 1024),
        ("3/4", Fraction(3, 4)),
        ("¾", Fraction(3, 4)),
        ("1¾", Fraction(7, 4)),
        ("1 3/4", Fraction(7, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\dfrac34", Fraction(-3, 4)),
        (r"1\tfrac{3}{4}", Fraction(7, 4)),
        ("50%", Fraction(1, 2)),
        ("50 %", Fraction(1, 2)),
        (r"50\%", Fraction(1, 2)),
        ("５０％", Fraction(1, 2)),
        ("50 per cent", Fraction(1, 2)),
        ("5‰", Fraction(1, 200)),
        ("$1,250.50", Fraction("1250.5")),
        ("-$5", -5),
        ("$-5", -5),
        ("5 €", 5),
        ("USD 5", 5),
        (r"\$5", 5),
        ("5 million", 5_000_000),
        ("- 5", -5),
        ("+5", 5),
        ("$5$", 5),
        (r"\boxed{\frac{3}{4}}", Fraction(3, 4)),
        (r"\(10\,000\)", 10_000),
        ("**42**.", 42),
        ("٤٢", 42),
        ("٣٫٥", Fraction("3.5")),
        ("४२", 42),
        ("４２", 42),
    ],
)
def test_a_writing_is_read_as_its_number_under_either_decimal_sign(text: str, value: Fraction | int) -> None:
    for reading in (POINT, COMMA):
        found = number(text, reading)
        assert found is not None and found.value == value


@pytest.mark.parametrize(("text", "point", "comma"), [("1.234", "1.234", "1234"), ("1,234", "1234", "1.234")])
def test_what_is_open_is_read_by_the_convention(text: str, point: str, comma: str) -> None:
    for reading, value in ((POINT, point), (COMMA, comma)):
        found = number(text, reading)
        assert found is not None and found.value == Fraction(value) and found.shows == "?"


@pytest.mark.parametrize(
    "text",
    ["", "-", "%", "$", "none", "5 apples", "1,2,3", "1.2.3", "3/4/2024", "10-3", "1/0", "5!", "2π", r"\sqrt{2}"],
)
def test_what_is_no_number_or_more_than_one_is_none(text: str) -> None:
    assert number(text, POINT) is None


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("It costs 1 000 000", "1000000"),
        ("6.02e23 in a mole", "602000000000000000000000"),
        ("that is 3/4.", "0.75"),
        ("one third: 1/3", "1/3"),
        ("on 3/4/2024", "2024"),
        ("the list 1,2,3", "3"),
        ("Python 3.11.7", "7"),
        ("so 10 - 3 = -7 or −7", "-7"),
        ("pay 1.234", "1.2340"),  # with four decimals no convention takes it for 1234
        (r"Thus $x = \boxed{-\frac{1}{2}}$.", "-0.5"),
        ("so 4x² is the area", "4"),
        ("x^10", None),
        ("9" * 5_000, None),
        ("1e999999", None),
    ],
)
def test_the_last_number_is_found_whole(text: str, last: str | None) -> None:
    assert extract(LastNumber(), text) == last


def test_long_and_hostile_texts_are_read_in_a_moment() -> None:
    for piece in ("1,", "1/", "-", " 1", "1e", "$", "1 1/2 ", "{", "\\frac{", "10^999999 ", "(5"):
        numbers(piece * 1_000, POINT)  # a pattern that goes back over all of it would take minutes


decimals = st.builds(
    lambda digits, places: Fraction(digits, 10**places), st.integers(-(10**12), 10**12), st.integers(0, 7)
)
values = decimals | st.fractions(max_denominator=1000)


@st.composite
def writings(draw: st.DrawFn, value: Fraction, decimal: str) -> str:
    """Any way of writing a number under a convention."""
    kind = draw(st.sampled_from(["decimal", "fraction", "latex", "percent", "exponent", "mixed"]))
    size, after = abs(value), ""
    if kind in ("percent", "exponent"):
        power = 2 if kind == "percent" else draw(st.integers(-5, 5))
        after = draw(st.sampled_from(["%", " %", r"\%", " percent"])) if kind == "percent" else _exponent(draw, -power)
        size *= Fraction(10) ** power
    if kind == "fraction" or (kind == "mixed" and size < 1) or not _ends(size):
        kind = kind if kind == "latex" else "fraction"
    if kind == "latex":
        text = rf"\frac{{{size.numerator}}}{{{size.denominator}}}"
    elif kind == "mixed" and size.denominator > 1:
        whole, rest = divmod(size, 1)
        text = f"{whole} {rest.numerator}/{rest.denominator}"
    elif kind == "fraction":
        text, after = f"{abs(value).numerator}/{abs(value).denominator}", ""
    else:
        text = _grouped(draw, size, decimal)
    text = text.translate(str.maketrans(SCRIPTS[0], draw(st.sampled_from(SCRIPTS))))
    sign = draw(st.sampled_from(SIGNS)) if value < 0 else draw(st.sampled_from(["", "+"]))
    return draw(st.sampled_from(["{}", "${}$", r"\boxed{{{}}}", "**{}**"])).format(
        sign + draw(st.sampled_from(["", "$", "€", r"\$"])) + text + after
    )


def _exponent(draw: st.DrawFn, power: int) -> str:
    raised = str(power).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    return draw(
        st.sampled_from([f"e{power}", f"E{power}", f" × 10^{power}", f"·10{raised}", rf" \times 10^{{{power}}}"])
    )


def _ends(value: Fraction) -> bool:
    return 10**40 % value.denominator == 0


def _grouped(draw: st.DrawFn, value: Fraction, decimal: str) -> str:
    places = next(places for places in range(41) if 10**places % value.denominator == 0)
    places += draw(st.integers(0, 2))
    digits = str(value.numerator * 10**places // value.denominator).rjust(places + 1, "0")
    whole, rest = digits[: len(digits) - places], digits[len(digits) - places :]
    other = "," if decimal == "." else "."
    group = draw(st.sampled_from(["", other, " ", "\u00a0", "\u2009", "'", "’", "lakh"]))
    sizes = [3, 2] if group == "lakh" else [3]
    if group == "lakh" and decimal == ",":
        return whole + (decimal + rest if rest else "")
    parts: list[str] = []
    while whole:
        size = sizes[min(len(parts), len(sizes) - 1)]
        parts.insert(0, whole[-size:])
        whole = whole[:-size]
    return ("," if group == "lakh" else group).join(parts) + (decimal + rest if rest else "")


@given(st.data(), values, st.sampled_from([POINT, COMMA]))
def test_a_number_written_in_any_way_is_read_back(data: st.DataObject, value: Fraction, reading: Reading) -> None:
    text = data.draw(writings(value, reading.decimal))
    found = number(text, reading)
    assert found is not None and found.value == value
    assert numbers(f"The answer, as said, is {text} .", reading)[-1].value == value


@given(st.data(), values, values, st.sampled_from([".", ","]))
def test_two_numbers_match_where_they_are_the_same_number_only(
    data: st.DataObject, one: Fraction, two: Fraction, decimal: str
) -> None:
    answer, reference = data.draw(writings(one, decimal)), data.draw(writings(two, decimal))
    assert same(answer, reference, decimal=decimal, percent="hundredths") == (one == two)
    assert same(reference, reference, decimal=decimal)


@given(values)
def test_a_number_written_plainly_is_the_same_under_every_reading(value: Fraction) -> None:
    for reading in (POINT, COMMA, Reading(".", "units")):
        found = number(written(value), reading)
        assert found is not None and found.value == value
        assert [each.value for each in numbers(f"is {written(value)}", reading)] == [value]


def test_numbers_are_compared_exactly_unless_a_tolerance_is_named() -> None:
    assert same("0.30", "0.3") and same("1/3", "2/6")
    assert not same("1.0000000001", "1") and not same("0.333", "1/3")
    assert not same("10000000000000000000001", "10000000000000000000000")  # one double
    assert not same("1.5e3", "2.5e3") and not same("1/4", "3/4") and not same("1,5", "15")
    assert same("102", "100", tolerance=0.02) and not same("102.0001", "100", tolerance=0.02)


def test_a_per_cent_sign_counts_unless_the_references_are_bare_numbers_beyond_one() -> None:
    assert same("50%", "50%") and same("50%", "0.5") and same("0.5", "50%") and not same("50", "50%")
    assert same("50%", "50") and not same("50%", "50", percent="hundredths")


def test_a_reference_without_a_number_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^R1: numeric_match compares numbers, and the reference 'none' is none; name"):
        same("4", "none")


@pytest.mark.parametrize(
    ("targets", "decimal", "line"),
    [
        (["1.234", "2,5"], ",", "numbers: the decimal sign is ','; numbers in targets that show it: 1"),
        (["1,234", "2.5"], ".", "numbers: the decimal sign is '.'; numbers in targets that show it: 1"),
        (["1.234.567"], ",", "numbers: the decimal sign is ','; numbers in targets that show it: 1"),
        (
            ["2,5", "7,5", "3.5"],
            ",",
            "numbers: the decimal sign is ','; numbers in targets that show it: 2, that show '.': 1",
        ),
        (
            ["1.234", "7"],
            ".",
            "numbers: the decimal sign is taken to be '.': no target shows it; numbers that could be read "
            "either way, like 1.234: 1; if it is wrong, name it as decimal: ','",
        ),
        ([",5"], ",", "numbers: the decimal sign is ','; numbers in targets that show it: 1"),
        (["7", "8"], ".", None),
    ],
)
@pytest.mark.parametrize("config", [NumericMatch(percent="units"), LastNumber(percent="units")])
def test_one_decimal_sign_for_all_is_read_from_the_targets_and_said(
    targets: list[str], decimal: str, line: str | None, config: NumericMatch | LastNumber
) -> None:
    said: list[str] = []
    assert config.settled(targets, said.append) == config.model_copy(update={"decimal": decimal})
    assert said == ([line] if line else [])
