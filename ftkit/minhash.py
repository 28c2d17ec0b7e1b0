"""MinHash LSH in numpy: pairs of texts that share enough character n-grams, each verified by true Jaccard.

Knows strings as they are: what is normalised, and what near means, is said by `similarity`.
"""

# N texts, S shingles of all texts one after another, P permutations

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U64: TypeAlias = NDArray[np.uint64]
    I64: TypeAlias = NDArray[np.int64]
    F64: TypeAlias = NDArray[np.float64]

RECALL = 0.999  # wanted chance that a pair exactly at the threshold becomes a candidate
MAX_PERMUTATIONS = 160
_CHUNK_SHINGLES = 2_000_000  # bounds the memory of hashing and of verification


@dataclass(frozen=True)
class NearPairs:
    """Positions of near texts and their similarity, ordered by (left, right)."""

    left: I64
    right: I64
    similarity: F64


def near_pairs(texts: Sequence[str], *, size: int, threshold: float, split: int | None = None) -> NearPairs:
    """Pairs left < right whose sets of `size`-grams have Jaccard similarity >= threshold.

    A text shorter than `size` is its own only n-gram, an empty one has none. With `split`, only pairs of a
    text before that position with one at or behind it.
    """
    parts = [_hash_chunk(chunk, size) for chunk in _chunks(texts)]
    lengths = np.concatenate([np.zeros(0, np.int64), *(part.lengths for part in parts)])
    hashes = np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in parts)])
    sets = _ShingleSets(hashes, lengths)
    bands = _bands(threshold)
    keys_BN = _band_keys(_signatures(sets, bands.num_bands * bands.num_rows), bands)
    measure = _Jaccard(sets)
    found = [NearPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for left, right in _candidates(keys_BN, lengths, threshold, split):
        similarity = measure(left, right)
        near = similarity >= threshold
        found.append(NearPairs(left[near], right[near], similarity[near]))
    left, right, similarity = (
        np.concatenate([getattr(some, name) for some in found]) for name in ("left", "right", "similarity")
    )
    order = np.lexsort((right, left))
    return NearPairs(left[order], right[order], similarity[order])


@dataclass(frozen=True, slots=True)
class _Bands:
    num_bands: int
    num_rows: int


@dataclass(frozen=True)
class _ShingleSets:
    """Distinct shingles of every text as sorted 64-bit hashes, one text after another."""

    hashes: U64
    lengths: I64

    @property
    def starts(self) -> I64:
        """Where each text's shingles begin."""
        return np.cumsum(self.lengths) - self.lengths


def _bands(threshold: float) -> _Bands:
    """The most rows per band for which enough bands for the wanted recall are still affordable."""
    best = _Bands(1, 1)
    for num_rows in range(1, MAX_PERMUTATIONS + 1):
        chance = threshold**num_rows
        num_bands = 1 if chance == 1 else math.ceil(math.log(1 - RECALL) / math.log1p(-chance))
        if num_bands * num_rows > MAX_PERMUTATIONS:
            break
        best = _Bands(num_bands, num_rows)
        if chance == 1:
            break
    return best


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= _CHUNK_SHINGLES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _hash_chunk(texts: list[str], size: int) -> _ShingleSets:
    # NUL fills short texts up to one shingle: it is no word character, so no other text has that shingle
    padded = [text.ljust(size, "\0") if text else "" for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    sizes = np.array([len(text) for text in padded], np.int64)
    counts = np.maximum(sizes - size + 1, 0)
    row = np.repeat(np.arange(len(texts)), counts)
    start = np.arange(row.size) + np.repeat(np.cumsum(sizes) - sizes - (np.cumsum(counts) - counts), counts)
    hashes = np.zeros(row.size, np.uint64)
    for offset in range(size):
        hashes = _mix(hashes + codes[start + offset])
    order = np.lexsort((hashes, row))
    hashes, row = hashes[order], row[order]
    fresh = np.ones(row.size, bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (row[1:] != row[:-1])
    return _ShingleSets(hashes[fresh], np.bincount(row[fresh], minlength=len(texts)).astype(np.int64))


def _mix(values: U64) -> U64:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), a bijection of 64-bit numbers."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _signatures(sets: _ShingleSets, num_permutations: int) -> U64:
    """The least hash of each text under each permutation (multiply, xor-shift, multiply by odd numbers)."""
    factors = _mix(np.arange(2 * num_permutations, dtype=np.uint64)).reshape(-1, 2) | np.uint64(1)
    filled = np.flatnonzero(sets.lengths)
    signatures_NP = np.zeros((sets.lengths.size, num_permutations), np.uint64)
    for rows in _row_chunks(sets.lengths, filled):
        first, last = rows[0], rows[-1]
        begin, end = sets.starts[first], sets.starts[last] + sets.lengths[last]
        hashes_S = sets.hashes[begin:end]
        starts = sets.starts[rows] - begin
        for index, (one, other) in enumerate(factors):
            mixed = hashes_S * one
            mixed ^= mixed >> np.uint64(32)
            mixed *= other
            signatures_NP[rows, index] = np.minimum.reduceat(mixed, starts)
    return signatures_NP


def _row_chunks(lengths: I64, rows: I64) -> Iterator[I64]:
    """Cut `rows` into runs of about _CHUNK_SHINGLES shingles."""
    if rows.size:
        marks = np.cumsum(lengths[rows]) // _CHUNK_SHINGLES
        yield from np.split(rows, np.flatnonzero(np.diff(marks)) + 1)


def _band_keys(signatures_NP: U64, bands: _Bands) -> U64:
    """One key a band and text: texts whose signatures agree in all rows of a band have the same key there."""
    keys_BN = np.zeros((bands.num_bands, len(signatures_NP)), np.uint64)
    for index in range(bands.num_bands * bands.num_rows):
        band = index // bands.num_rows
        keys_BN[band] = _mix(keys_BN[band] ^ signatures_NP[:, index])
    return keys_BN


def _candidates(keys_BN: U64, lengths: I64, threshold: float, split: int | None) -> Iterator[tuple[I64, I64]]:
    """Pairs that agree in a band and whose numbers of shingles allow the threshold; each pair once."""
    filled = np.flatnonzero(lengths)
    for band, keys_N in enumerate(keys_BN):
        for left, right in _bucket_pairs(keys_N[filled], filled, split):
            short, long = np.sort([lengths[left], lengths[right]], axis=0)
            fresh = short >= threshold * long - 1e-9
            for earlier_N in keys_BN[:band]:  # seen there already
                fresh &= earlier_N[left] != earlier_N[right]
            yield left[fresh], right[fresh]


def _bucket_pairs(keys: U64, rows: I64, split: int | None) -> Iterator[tuple[I64, I64]]:
    """Pairs (lower row, higher row) with equal keys, a few million at a time; across `split` where given."""
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]  # rows ascend within a bucket: the sort is stable
    ends = np.searchsorted(keys, keys, side="right")
    begins = np.arange(keys.size) + 1
    if split is not None:
        is_left = rows < split
        left_before = np.concatenate([[0], np.cumsum(is_left)])
        bucket = np.searchsorted(keys, keys, side="left")
        begins = np.where(is_left, bucket + left_before[ends] - left_before[bucket], ends)
    counts = ends - begins
    wide = np.flatnonzero(counts)
    for some in _row_chunks(counts, wide):
        left = np.repeat(some, counts[some])
        within = np.arange(left.size) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        yield rows[left], rows[begins[left] + within]


class _Jaccard:
    """The true Jaccard similarity of pairs of texts."""

    def __init__(self, sets: _ShingleSets) -> None:
        from scipy.sparse import csr_array

        values, ids = np.unique(sets.hashes, return_inverse=True)
        pointers = np.append(sets.starts, ids.size)
        shape = (sets.lengths.size, max(values.size, 1))
        self._lengths = sets.lengths
        self._matrix = csr_array((np.ones(ids.size, np.int32), ids, pointers), shape=shape)

    def __call__(self, left: I64, right: I64) -> F64:
        """Similarity of each pair of positions."""
        total = self._lengths[left] + self._lengths[right]
        shared = np.zeros(left.size, np.int64)
        for some in _row_chunks(total, np.arange(left.size)):
            shared[some] = self._matrix[left[some]].multiply(self._matrix[right[some]]).sum(axis=1)
        similarity: F64 = shared / np.maximum(total - shared, 1)
        return similarity
