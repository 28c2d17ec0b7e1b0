"""The words of an answer that count when answers are compared. Pure text, no model."""

from __future__ import annotations

import re
import string

from ftkit.prepare.texts.words import SPACELESS, terms

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_words(text: str) -> list[str]:
    """Lower-case words without punctuation and the articles a, an, the.

    Normalisation of SQuAD's official evaluation (Rajpurkar et al. 2016, arXiv 1606.05250), which knows words between
    white space only: a text with letters of scripts that are written without has its `words.terms`.
    """
    return _words(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)))


def some_words(text: str) -> list[str]:
    """`answer_words`; of a text that would have none left, the words with articles, or else with all that stands there.

    So 'A' and '!' are answers too.
    """
    small = text.lower()
    return answer_words(text) or _words(small.translate(_PUNCTUATION)) or small.split()


def _words(text: str) -> list[str]:
    import polars

    one = polars.Series([text])
    if text.isascii() or not one.str.contains(SPACELESS)[0]:
        return text.split()
    found: list[str] = terms(one)[0].to_list()
    return found
