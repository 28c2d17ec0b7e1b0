"""Pairs of texts that share enough character n-grams: MinHash LSH gives candidates, the true Jaccard decides.

Knows texts as bytes: what is normalised, and what near means, is said by `similarity`. What grows with the texts
(their bytes, and one 32-bit key a band and text) goes to temporary files where it is large.

A permutation is one 32-bit multiplication. Sizes are measured by scripts/bench_prepare.py --tune; what was tried and
did not win stands there.
"""

# N texts, B bands, P permutations (the same number of rows in each band); S shingles of a window of text
# a pair of texts is one number (`codes`): the lower position in the upper 32 bits, the higher one below

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ftkit.prepare.texts.ngrams import VERIFY_CHARS, code_points, factors, hashes, jaccards, mixed, picked, runs
from ftkit.prepare.texts.spool import Spool
from ftkit.prepare.threads import Threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    U32: TypeAlias = NDArray[np.uint32]
    U64: TypeAlias = NDArray[np.uint64]
    I64: TypeAlias = NDArray[np.int64]
    F64: TypeAlias = NDArray[np.float64]
    Flags: TypeAlias = NDArray[np.bool_]

RECALL = 0.999  # wanted chance that a pair exactly at the threshold becomes a candidate
MAX_PERMUTATIONS = 160
MAX_BAND_ROWS = 16
WINDOW = 1 << 17  # shingles hashed at a time
SIGN_BYTES = 1 << 20  # of the texts one thread signs at a time
FLUSH_PAIRS = 1 << 22  # candidates that wait for the others, so that each is verified once
CROWD = 64  # texts of one bucket that are compared each with each
ROUNDS = 16  # texts of a larger one that the others are compared with
RELEASE = 16  # chunks of texts after which those of the temporary file are no longer kept in memory


@dataclass(frozen=True)
class NearPairs:
    """Positions of near texts and their similarity, ordered by (left, right).

    `crowded` are the texts that share a bucket with so many others that they were not compared with all of them.
    """

    left: I64
    right: I64
    similarity: F64
    crowded: I64 = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Order:
    """Which text of a crowded bucket the others are compared with: that of the lowest `rank` (all differ).

    One near to it and of the same `kind` is compared no further in that bucket.
    """

    rank: I64
    kind: I64


def near_pairs(
    text: Spool[np.uint8],
    begins: I64,
    sizes: I64,
    *,
    size: int,
    threshold: float,
    split: int | None = None,
    order: Order | None = None,
    threads: int = 1,
    on_progress: Callable[[int], object] = int,
) -> NearPairs:
    """Pairs left < right whose sets of `size`-grams have Jaccard similarity >= threshold.

    The texts lie in `text`, in UTF-8, `ngrams.padded`, at their beginnings and as long as their sizes, in bytes. With
    `split`, only pairs of a text before that position with one at or behind it. `on_progress` is told the number of
    texts signed since. Raises MachineError where a temporary file finds no room.
    """
    bands = _bands(threshold)
    with Threads(threads) as workers, Spool(np.uint32) as keys:
        whole = text.view()  # made once: not by each thread

        def sign(some: slice) -> U32:
            return _sign(*picked(whole, begins[some], sizes[some]), size=size, bands=bands)

        counts = []
        for keys_BN in workers.in_turn(sign, runs(sizes, SIGN_BYTES)):
            keys.append(keys_BN.ravel())
            counts.append(keys_BN.shape[1])
            on_progress(counts[-1])
            if len(counts) % RELEASE == 0:
                text.release()
        order = order or Order(np.arange(sizes.size), np.zeros(sizes.size, np.int64))
        pairs = _Pairs(text, begins, sizes, size=size, threshold=threshold, workers=workers)
        crowded = np.zeros(sizes.size, bool)
        for band in range(bands.num_bands):
            buckets = _buckets(_column(keys, counts, band, bands.num_bands), sizes)
            keys.release()
            wide = buckets.width > CROWD
            for some in _all_pairs(buckets.where(~wide), split):
                pairs.add(some)
            crowded[_pivot_pairs(buckets.where(wide), split, order, pairs)] = True
        return pairs.found(np.flatnonzero(crowded))


@dataclass(frozen=True, slots=True)
class _Bands:
    num_bands: int
    num_rows: int


def _bands(threshold: float) -> _Bands:
    """The most rows per band for which enough bands for the wanted recall are still affordable."""
    best = _Bands(1, 1)
    for num_rows in range(1, MAX_BAND_ROWS + 1):
        chance = threshold**num_rows
        num_bands = 1 if chance == 1 else math.ceil(math.log(1 - RECALL) / math.log1p(-chance))
        if num_bands * num_rows > MAX_PERMUTATIONS:
            break
        best = _Bands(num_bands, num_rows)
    return best


def _sign(text: U8, bounds: I64, *, size: int, bands: _Bands) -> U32:
    """The keys of each text: texts whose least hashes agree under all permutations of a band have one key there."""
    filled = np.flatnonzero(np.diff(bounds))
    characters, ends = code_points(text, bounds)
    least_PN = _least(characters, ends[:-1][filled], ends[1:][filled], size, bands.num_bands * bands.num_rows)
    keys_BN = np.zeros((bands.num_bands, bounds.size - 1), np.uint32)
    for band in range(bands.num_bands):
        key = np.zeros(filled.size, np.uint32)
        for permutation in range(band * bands.num_rows, (band + 1) * bands.num_rows):
            key = mixed(key ^ least_PN[permutation])
        keys_BN[band, filled] = key
    return keys_BN


def _least(characters: U8 | U32, begins: I64, ends: I64, size: int, num_permutations: int) -> U32:
    """The least hash of each text under each permutation, a multiplication by an odd number.

    Windows ignore where texts end: one text may be longer than a window.
    """
    least_PN = np.full((num_permutations, begins.size), 0xFFFFFFFF, np.uint32)
    lasts = ends - size + 1  # behind the last shingle
    num_shingles = characters.size - size + 1
    for begin in range(0, num_shingles, WINDOW):
        end = min(begin + WINDOW, num_shingles)
        here = slice(np.searchsorted(lasts, begin, side="right"), np.searchsorted(begins, end))  # texts in the window
        starts, stops = np.maximum(begins[here], begin) - begin, np.minimum(lasts[here], end) - begin
        if not starts.size:
            continue
        inside = np.ones(end - begin + size - 1, bool)
        inside[: starts[0]] = False
        inside[(stops[:, None] + np.arange(size - 1)).ravel()] = False  # these would run into the next text
        shingles_S = hashes(characters[begin : end + size - 1], size)[inside[: end - begin]]
        firsts = np.cumsum(stops - starts) - (stops - starts)  # where the shingles of each text begin
        permuted_S = np.empty_like(shingles_S)
        for permutation, factor in enumerate(factors(num_permutations).tolist()):
            np.multiply(shingles_S, np.uint32(factor), out=permuted_S)
            least_N = least_PN[permutation, here]
            np.minimum(least_N, np.minimum.reduceat(permuted_S, firsts), out=least_N)
    return least_PN


def _column(keys: Spool[np.uint32], counts: list[int], band: int, num_bands: int) -> U32:
    """The keys of one band: those of each batch lie together."""
    flat, begin, parts = keys.view(), 0, [np.zeros(0, np.uint32)]
    for count in counts:
        parts.append(flat[begin + band * count : begin + (band + 1) * count])
        begin += num_bands * count
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Texts that share a key with another, by bucket, and within a bucket by position."""

    bucket: I64
    text: I64

    @property
    def width(self) -> I64:
        """How many texts are in the bucket of each."""
        return self.last - self.first

    @property
    def first(self) -> I64:
        """Where the bucket of each text begins."""
        return np.searchsorted(self.bucket, self.bucket, side="left")

    @property
    def last(self) -> I64:
        """Behind the bucket of each text."""
        return np.searchsorted(self.bucket, self.bucket, side="right")

    def where(self, chosen: Flags | I64) -> _Buckets:
        """Some of them."""
        return _Buckets(self.bucket[chosen], self.text[chosen])


def _buckets(keys: U32, sizes: I64) -> _Buckets:
    """The texts by their keys. Key and text are one number, since numbers sort many times as fast as pairs."""
    filled = np.flatnonzero(sizes).astype(np.uint64)
    packed = (keys[sizes > 0].astype(np.uint64) << np.uint64(32)) | filled
    packed.sort()
    same: Flags = (packed[1:] >> np.uint64(32)) == (packed[:-1] >> np.uint64(32))
    has_company = np.zeros(packed.size, bool)
    has_company[:-1] |= same  # as the next one
    has_company[1:] |= same  # as the one before
    some = packed[has_company]
    return _Buckets((some >> np.uint64(32)).astype(np.int64), (some & np.uint64(0xFFFFFFFF)).astype(np.int64))


def _all_pairs(buckets: _Buckets, split: int | None) -> Iterator[U64]:
    """Pairs within the buckets, about a million at a time; across `split` where given."""
    begins, ends = np.arange(buckets.text.size) + 1, buckets.last  # each with those behind it in its bucket
    if split is not None:
        # a bucket is sorted by text: those of the left side come first, and each goes with all of the right side
        is_left = buckets.text < split
        num_left_before = np.concatenate([[0], np.cumsum(is_left)])
        first = buckets.first
        begins = np.where(is_left, first + num_left_before[ends] - num_left_before[first], ends)
    counts = ends - begins
    for some in runs(counts, max(1, FLUSH_PAIRS // 8)):
        left = np.repeat(np.arange(counts.size)[some], counts[some])
        # an arange over all pairs, shifted so that it begins anew at `begins` for each text
        shift = begins[some] - (np.cumsum(counts[some]) - counts[some])
        right = np.arange(left.size) + np.repeat(shift, counts[some])
        yield _codes(buckets.text[left], buckets.text[right])


def _codes(left: I64, right: I64) -> U64:
    """Pairs as numbers, ordered as (lower, higher) is."""
    low, high = np.minimum(left, right).astype(np.uint64), np.maximum(left, right).astype(np.uint64)
    return (low << np.uint64(32)) | high


def _ends(codes: U64) -> tuple[I64, I64]:
    return (codes >> np.uint64(32)).astype(np.int64), (codes & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _pivot_pairs(buckets: _Buckets, split: int | None, order: Order, pairs: _Pairs) -> I64:
    """Compare the texts of crowded buckets with one of each bucket, and those not near to it with the next one.

    Near texts come in clusters: one or a few rounds leave few to compare each with each. Returns the texts that are
    still too many after all rounds: they have a lot in common (a template, say) and are not near.
    """
    buckets = buckets.where(np.lexsort((order.rank[buckets.text], buckets.bucket)))
    for _ in range(ROUNDS):
        if not buckets.text.size:
            break
        may_lead = np.ones(buckets.text.size, bool) if split is None else buckets.text >= split
        leading, place = np.unique(buckets.bucket[may_lead], return_index=True)
        pivot = np.flatnonzero(may_lead)[place]
        follows = np.isin(buckets.bucket, leading) if split is None else ~may_lead & np.isin(buckets.bucket, leading)
        follows[pivot] = False
        others = np.flatnonzero(follows)
        its_pivot = pivot[np.searchsorted(leading, buckets.bucket[others])]
        near = pairs.check(_codes(buckets.text[its_pivot], buckets.text[others]))
        same_kind: Flags = order.kind[buckets.text[its_pivot]] == order.kind[buckets.text[others]]
        near &= same_kind
        stays = np.isin(buckets.bucket, leading)
        stays[pivot] = False
        stays[others[near]] = False
        buckets = buckets.where(stays)
        calm = buckets.where(buckets.width <= CROWD)
        for some in _all_pairs(calm.where(np.lexsort((calm.text, calm.bucket))), split):
            pairs.add(some)
        buckets = buckets.where(buckets.width > CROWD)
    return buckets.text


class _Pairs:
    """Candidates that wait for verification, and those that were verified, with their similarity."""

    def __init__(
        self,
        text: Spool[np.uint8],
        begins: I64,
        sizes: I64,
        *,
        size: int,
        threshold: float,
        workers: Threads,
    ) -> None:
        self._text, self._begins, self._sizes = text, begins, sizes
        self._size, self._threshold, self._workers = size, threshold, workers
        self._waiting: list[U64] = []
        self._known, self._similarity = np.zeros(0, np.uint64), np.zeros(0)

    def add(self, codes: U64) -> None:
        """Candidates, in any order, some of them again."""
        self._waiting.append(codes)
        if sum(map(len, self._waiting)) >= FLUSH_PAIRS:
            self._flush()

    def check(self, codes: U64) -> Flags:
        """Whether these are near, at once; each is verified once, unless very many that are not come between."""
        fresh = np.unique(codes)
        fresh = fresh[~np.isin(fresh, self._known)]
        similarity = self._measure(fresh)
        known = np.concatenate([self._known, fresh])
        order = np.argsort(known, kind="stable")
        self._known = known[order]
        self._similarity = np.concatenate([self._similarity, similarity])[order]
        near = self._similarity >= self._threshold
        asked: Flags = near[np.searchsorted(self._known, codes)]
        if near.size - np.count_nonzero(near) > FLUSH_PAIRS:
            self._known, self._similarity = self._known[near], self._similarity[near]
        return asked

    def found(self, crowded: I64) -> NearPairs:
        """All near pairs, once each."""
        self._flush()
        near = self._similarity >= self._threshold
        left, right = _ends(self._known[near])
        return NearPairs(left, right, self._similarity[near], crowded)

    def _flush(self) -> None:
        self.check(np.concatenate([np.zeros(0, np.uint64), *self._waiting]))
        self._waiting.clear()

    def _measure(self, codes: U64) -> F64:
        left, right = _ends(codes)
        text = self._text.view()

        def similarities(some: slice) -> F64:
            sides = left[some], right[some]
            begins = self._begins[sides[0]], self._begins[sides[1]]
            return jaccards(text, begins, (self._sizes[sides[0]], self._sizes[sides[1]]), size=self._size)

        similarity_of_runs = [np.zeros(0)]
        some_at_a_time = runs(self._sizes[left] + self._sizes[right], VERIFY_CHARS)
        for similarity in self._workers.in_turn(similarities, some_at_a_time):
            similarity_of_runs.append(similarity)
            if len(similarity_of_runs) % RELEASE == 0:
                self._text.release()
        return np.concatenate(similarity_of_runs)
