"""How alike two messages are, and a list that refuses a message too like one it holds.

Pure: it knows no topics, defects or files.
"""

import math
import re
import unicodedata
import zlib
from collections import defaultdict


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
    """Texts of which no two reach `limit` in Jaccard similarity.

    Prefix filter: sets as near as that share one of their first n - ceil(limit * n) + 1 members in one order.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._sets: list[frozenset[str]] = []
        self._holders: dict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> bool:
        """Keep the text and return True, or return False where a kept text is too near."""
        grams = shingles(text)
        ordered = sorted(grams, key=lambda gram: (zlib.crc32(gram.encode()), gram))
        prefix = ordered[: len(ordered) - math.ceil(self._limit * len(ordered)) + 1]
        near = {holder for gram in prefix for holder in self._holders[gram]}
        if any(self._too_near(grams, self._sets[holder]) for holder in near):
            return False
        for gram in prefix:
            self._holders[gram].append(len(self._sets))
        self._sets.append(grams)
        return True

    def _too_near(self, a: frozenset[str], b: frozenset[str]) -> bool:
        shared = len(a & b)
        return shared >= self._limit * (len(a) + len(b) - shared)
