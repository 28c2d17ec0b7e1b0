"""`ftfy.fix_text` over a column of texts: the same results, from ftfy's own tables, many times as fast.

Knows texts only. Most texts hold nothing that ftfy acts on, or only curly quotes: that is found, and those are
straightened, by expressions over the whole column. All others go through ftfy itself, one by one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

# in ASCII ftfy acts on control characters (but tab and line feed), and on an entity that ends in ';'
ENTITY = r"&#?[0-9A-Za-z]{1,24};"
NOT_PLAIN = rf"[^\t\n\x20-\x7e]|{ENTITY}"
NOT_NFC = r"[\x{300}-\x{200f}\x{2028}\x{2029}\x{205f}-\x{10ffff}]"  # all others NFC leaves alone, wherever they stand
_LINE_ENDS = "\r\x85\u2028\u2029"
_C1 = r"\x{80}-\x{9f}"


def repaired(texts: polars.Series) -> polars.Series:
    """What `ftfy.fix_text` makes of each text; null stays null."""
    import ftfy

    places = texts.str.contains(NOT_PLAIN).fill_null(False).arg_true()
    if places.is_empty():
        return texts
    odd = texts.gather(places)
    fixed = _straightened(odd)
    hard = _needs_ftfy(odd, fixed).arg_true()
    if not hard.is_empty():
        texts_left: list[str] = odd.gather(hard).to_list()
        fixed = fixed.scatter(hard, [ftfy.fix_text(text) for text in texts_left])
    return texts.clone().scatter(places, fixed)


def _straightened(texts: polars.Series) -> polars.Series:
    from ftfy import chardata

    double: re.Pattern[str] = chardata.DOUBLE_QUOTE_RE
    single: re.Pattern[str] = chardata.SINGLE_QUOTE_RE
    return texts.str.replace_all(double.pattern, '"').str.replace_all(single.pattern, "'")


def _needs_ftfy(texts: polars.Series, straightened: polars.Series) -> polars.Series:
    """Whether ftfy may do more to a text than straighten its quotes. It looks again at what it made, so both count."""
    pattern = _what_ftfy_acts_on()
    composed = texts.str.contains(NOT_NFC)  # else NFC has nothing to do, and is slow
    changed = texts.filter(composed).str.normalize("NFC") != texts.filter(composed)
    other = composed.clone().scatter(composed.arg_true(), changed)
    return texts.str.contains(pattern) | straightened.str.contains(pattern) | other


@cache
def _what_ftfy_acts_on() -> str:
    """A regular expression without look-around: entities, characters in ftfy's tables, and its signs of mojibake."""
    from ftfy import badness, chardata

    codes: set[int] = {*chardata.LIGATURES, *chardata.WIDTH_MAP, *chardata.CONTROL_CHARS, *map(ord, _LINE_ENDS)}
    characters = "".join(f"\\x{{{code:x}}}" for code in sorted(codes))
    mojibake: re.Pattern[str] = badness.BADNESS_RE
    return f"(?m){ENTITY}|[{_C1}{characters}]|{_without_blanks(mojibake.pattern)}"


def _without_blanks(pattern: str) -> str:
    """A verbose pattern as one that is not: polars would take blanks out of character classes too, Python does not.

    `\\w` becomes letters, marks and numbers: no less than Python means by it.
    """
    tokens: list[str] = re.findall(r"\[(?:\\.|[^\]\\])*\]|\\.|#[^\n]*|.", pattern, flags=re.DOTALL)
    kept = [token for token in tokens if token[0] != "#" and token not in " \t\n\r\v\f"]
    return "".join(r"[\p{L}\p{M}\p{N}_]" if token == r"\w" else token for token in kept)
