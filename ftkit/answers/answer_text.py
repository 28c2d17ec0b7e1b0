"""What of an answer counts when answers are compared. Pure text, no model."""

from __future__ import annotations

import re
import string
import unicodedata

from ftkit.prepare.texts.words import SPACELESS, terms

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_ENDS = ".,;:?…。，、；：？！ "
_PAIRS = [*map(tuple, ('""', "''", "``", "“”", "‘’", "«»", "「」", "『』")), ("**", "**"), ("*", "*")]
_OPTION = re.compile(r"\(?(\w+)\)")


def answer_words(text: str) -> list[str]:
    """Lower-case words without punctuation and the articles a, an, the; where nothing would be left, with them.

    So 'A' and '!' are answers too. Normalisation of SQuAD's official evaluation (Rajpurkar et al. 2016, arXiv
    1606.05250), which knows words between white space only: a text with letters of scripts that are written without
    has its `words.terms`.
    """
    small = text.lower()
    plain = small.translate(_PUNCTUATION)
    return _words(re.sub(r"\b(a|an|the)\b", " ", plain)) or _words(plain) or small.split()


def _words(text: str) -> list[str]:
    import polars

    one = polars.Series([text])
    if text.isascii() or not one.str.contains(SPACELESS)[0]:
        return text.split()
    found: list[str] = terms(one)[0].to_list()
    return found


def bare(text: str) -> str:
    """A text in composed Unicode form, one blank where white space is, without the punctuation around it.

    Signs that carry meaning stay, and a text of nothing but punctuation stays as it is.
    """
    kept = " ".join(unicodedata.normalize("NFC", text.translate(_UNSEEN)).split())
    while (inner := _inner(kept)) != kept and not all(unicodedata.category(letter)[0] == "P" for letter in inner):
        kept = inner
    return kept


def _inner(text: str) -> str:
    """The text without a layer of punctuation."""
    text = text.rstrip(_ENDS).lstrip("¿¡ ")
    before = text.rstrip("! ")
    if len(before) > 1 and before[-2:].isalpha():  # 5! and n! are numbers
        text = before
    for opening, closing in _PAIRS:
        inside = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and not {opening[0], closing[0]} & set(inside):
            return inside.strip()
    option = _OPTION.fullmatch(text)
    return option[1] if option else text
