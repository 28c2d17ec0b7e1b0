"""How alike two messages are, and a list that refuses a message too like one it holds.

Pure: it knows no topics, defects or files.
"""

import re
import unicodedata
from array import array
from collections import defaultdict

import numpy as np


def normalised(text: str) -> str:
    """NFKC, lower case, runs of word characters joined by one space."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def shingles(text: str) -> frozenset[str]:
    """Character 5-grams of the normalised text; a shorter text is its own single shingle."""
    clean = normalised(text)
    return frozenset(clean[at : at + 5] for at in range(max(1, len(clean) - 4)))


def jaccard(a: str, b: str) -> float:
    """Shared shingles over all shingles of two texts, in [0, 1]."""
    left, right = shingles(a), shingles(b)
    return len(left & right) / len(left | right)


class NearIndex:
    """Texts of which no two reach `limit` in Jaccard similarity: shared shingles are counted with all texts at once."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._sizes: list[int] = []
        self._holders: dict[str, array[int]] = defaultdict(lambda: array("q"))

    def add(self, text: str) -> bool:
        """Keep the text and return True, or return False where a kept text is too near."""
        grams = shingles(text)
        holders = [np.frombuffer(self._holders[gram], dtype=np.int64) for gram in grams if gram in self._holders]
        if holders:
            shared = np.bincount(np.concatenate(holders), minlength=len(self._sizes))
            if (shared >= self._limit * (len(grams) + np.array(self._sizes) - shared)).any():
                return False
        del holders  # views of arrays that grow now
        for gram in grams:
            self._holders[gram].append(len(self._sizes))
        self._sizes.append(len(grams))
        return True
