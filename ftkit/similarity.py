"""When two texts are the same or nearly so: Jaccard similarity of character 5-grams of the normalised text.

Pure: texts in, numbers out; no rows, no files. The same result for any hash seed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHINGLE_CHARS = 5
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their position, and their Jaccard similarity. Without `against`, left < right."""

    left: int
    right: int
    similarity: float


def normalise(text: str) -> str:
    """NFKC, lower case, runs of word characters joined by one space."""
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).lower()))


def text_key(text: str) -> str:
    """Equal for texts that count as the same: the normalised text, or where it has no word, the text itself.

    '👍' and '👎' normalise to the same nothing, and are not the same.
    """
    return normalise(text) or " ".join(text.split())


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


def near_pairs(texts: Sequence[str], *, threshold: float, against: Sequence[str] | None = None) -> list[Pair]:
    """Pairs with Jaccard similarity ≥ threshold, ordered by (left, right).

    Pairs are of `texts` among themselves, or of a text (left) with one of `against` (right). Precision is 1:
    each candidate is verified. Recall is that of MinHash LSH, ≥ 0.999 in expectation at the threshold. Equal
    texts give a pair each, so many of them give very many: call it with distinct ones.
    """
    assert 0 < threshold <= 1, threshold
    from ftkit import minhash  # numpy is slow to import, and most callers only normalise

    plain = [normalise(text) for text in (*texts, *(against or ()))]
    split = None if against is None else len(texts)
    found = minhash.near_pairs(plain, size=SHINGLE_CHARS, threshold=threshold, split=split)
    right = found.right if split is None else found.right - split
    triples = zip(found.left.tolist(), right.tolist(), found.similarity.tolist(), strict=True)
    return [Pair(*triple) for triple in triples]


def clusters(pairs: Iterable[Pair], n: int) -> list[int]:
    """For each of n texts the smallest position that it is linked to by a chain of pairs (union-find)."""
    return join([(pair.left, pair.right) for pair in pairs], n)


def join(links: Iterable[tuple[int, int]], n: int) -> list[int]:
    """For each of n things the smallest one that a chain of links leads to."""
    parent = list(range(n))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(item) for item in range(n)]
