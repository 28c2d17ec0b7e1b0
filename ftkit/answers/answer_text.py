"""The words of an answer that count when answers are compared. Pure text, no model."""

from __future__ import annotations

import re
import string

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_words(text: str) -> list[str]:
    """Lower-case words without punctuation and the articles a, an, the.

    Normalisation of SQuAD's official evaluation (Rajpurkar et al. 2016, arXiv 1606.05250).
    """
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()
