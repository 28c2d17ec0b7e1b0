"""Similarity of two texts by sets of character 5-grams, as it is defined: what ftkit's own numbers are held against."""

from __future__ import annotations

from collections.abc import Sequence

import polars

from ftkit.prepare.texts.normal import normalised

SHINGLE_CHARS = 5


def normalise(text: str) -> str:
    """`normalised` of one text."""
    return normalise_each([text])[0]


def normalise_each(texts: Sequence[str]) -> list[str]:
    """`normalised` of many texts, at once: one by one a data set takes a minute."""
    plain: list[str] = normalised(polars.Series(texts, dtype=polars.String)).to_list()
    return plain


def shingles(text: str) -> set[str]:
    """Character 5-grams of the normalised text; a shorter text is its own only one, an empty one has none."""
    plain = normalise(text)
    if len(plain) < SHINGLE_CHARS:
        return {plain} if plain else set()
    return {plain[start : start + SHINGLE_CHARS] for start in range(len(plain) - SHINGLE_CHARS + 1)}


def jaccard(left: str, right: str) -> float:
    """Similarity of two texts in [0, 1]: shared shingles over all shingles; 0 where both are empty."""
    one, other = shingles(left), shingles(right)
    return len(one & other) / len(one | other) if one | other else 0.0
