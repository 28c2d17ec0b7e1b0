"""Broken characters made whole: mojibake, halves of surrogates decoded apart, control characters. By ftfy's tables.

Knows texts only. What is well-formed stays to the character, unless `also` names it. Most texts hold nothing that ftfy
acts on: that is found by an expression over the whole column. All others go through ftfy, one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import polars
    from ftfy import TextFixerConfig

Also: TypeAlias = Literal["quotes", "ligatures", "widths"]

_NOT_PLAIN = r"[^\t\n\f\r\x20-\x7e]"  # in ASCII ftfy acts on control characters
_C1 = r"\x{80}-\x{9f}"


def repaired(texts: polars.Series, also: Sequence[Also] = ()) -> polars.Series:
    """The texts repaired; null stays null. `also`: curly quotes straightened, ligatures and wide characters undone."""
    import ftfy

    places = texts.str.contains(_NOT_PLAIN).fill_null(False).arg_true()
    if places.is_empty():
        return texts
    places = places.filter(texts.gather(places).str.contains(_what_ftfy_acts_on(tuple(also))))
    config = _config(also)
    hard: list[str] = texts.gather(places).to_list()
    return texts.clone().scatter(places, [ftfy.fix_text(text, config) for text in hard]) if hard else texts


def _config(also: Sequence[Also]) -> TextFixerConfig:
    import ftfy

    return ftfy.TextFixerConfig(
        unescape_html=False,
        fix_line_breaks=False,
        normalization=None,
        uncurl_quotes="quotes" in also,
        fix_latin_ligatures="ligatures" in also,
        fix_character_width="widths" in also,
        explain=False,
    )


@cache
def _what_ftfy_acts_on(also: tuple[Also, ...]) -> str:
    """A regular expression without look-around: characters in ftfy's tables, and its signs of mojibake."""
    from ftfy import badness, chardata

    tables = {
        "quotes": chardata.SINGLE_QUOTE_RE.pattern + chardata.DOUBLE_QUOTE_RE.pattern,  # sets of characters, both
        "ligatures": _set_of(chardata.LIGATURES),
        "widths": _set_of(chardata.WIDTH_MAP),
    }
    sets = [_set_of(chardata.CONTROL_CHARS), *(tables[each] for each in also)]
    mojibake: re.Pattern[str] = badness.BADNESS_RE
    return f"(?m)[{_C1}{''.join(sets)}]|{_without_blanks(mojibake.pattern)}"


def _set_of(codes: Iterable[int]) -> str:
    return "[" + "".join(f"\\x{{{code:x}}}" for code in sorted(codes)) + "]"


def _without_blanks(pattern: str) -> str:
    """A verbose pattern as one that is not: polars would take blanks out of character classes too, Python does not.

    `\\w` becomes letters, marks and numbers: no less than Python means by it.
    """
    tokens: list[str] = re.findall(r"\[(?:\\.|[^\]\\])*\]|\\.|#[^\n]*|.", pattern, flags=re.DOTALL)
    kept = [token for token in tokens if token[0] != "#" and token not in " \t\n\r\v\f"]
    return "".join(r"[\p{L}\p{M}\p{N}_]" if token == r"\w" else token for token in kept)
