"""Which rows are equal or nearly equal to held-out rows, and to which of them.

Pure: ids and texts in, hits out; what happens to a hit is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftkit.similarity import near_pairs, text_key


@dataclass(frozen=True, slots=True)
class Hit:
    """A row, and the first of the held-out rows nearest to it; `is_equal` after normalising both."""

    id: str
    held_out_id: str
    similarity: float
    is_equal: bool


def hits(texts: Mapping[str, str], held_out: Mapping[str, str], *, threshold: float) -> list[Hit]:
    """One hit for each of `texts` (text by id) that is near to one of `held_out`, in the order of `texts`.

    Near is a Jaccard similarity of character 5-grams ≥ threshold; equal normalised texts have similarity 1.
    """
    keys = {name: text_key(text) for name, text in texts.items()}
    held_keys = {name: text_key(text) for name, text in held_out.items()}
    first, held_first = _first_id(keys), _first_id(held_keys)
    found = {key: Hit("", held_first[key], 1.0, True) for key in first if key in held_first}
    ours, theirs = list(first.items()), list(held_first.items())
    pairs = near_pairs(
        [texts[name] for _, name in ours],
        threshold=threshold,
        against=[held_out[name] for _, name in theirs],
    )
    for pair in pairs:
        key = ours[pair.left][0]
        if key not in found or (pair.similarity > found[key].similarity and not found[key].is_equal):
            found[key] = Hit("", theirs[pair.right][1], pair.similarity, False)
    nearest = {name: found[key] for name, key in keys.items() if key in found}
    return [Hit(name, hit.held_out_id, hit.similarity, hit.is_equal) for name, hit in nearest.items()]


def _first_id(keys: Mapping[str, str]) -> dict[str, str]:
    """The first id of each text."""
    first: dict[str, str] = {}
    for name, key in keys.items():
        first.setdefault(key, name)
    return first
