"""Which texts hold a whole other text, as words: found by hashes in linear time, then compared byte by byte.

Knows texts as bytes in UTF-8, words joined by one space: what is normalised is said by `similarity`.
"""

# K parts; L distinct lengths of their heads (powers of two); T texts that are searched; W beginnings of words in them
# bounds of texts have one more entry than there are texts; hashes of stretches are numbers modulo 2**64

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ftkit.prepare.texts.ngrams import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    U64: TypeAlias = NDArray[np.uint64]
    I64: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]

MIN_WORDS = 13  # the n-gram of GPT-3 (Brown et al. 2020, appendix C), which lm-evaluation-harness took over
MIN_CHARS = 50  # the substring of GPT-4 (OpenAI 2023, appendix C); some languages write no spaces between words
CHUNK = 1 << 18  # bytes, or places and lengths, looked at at a time
_SPACE = ord(" ")
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_TABLE_BITS = 20


@dataclass(frozen=True)
class Holds:
    """Positions of texts that hold a part, in order, and that of the part: the longest, and of those the first."""

    text: I64
    part: I64


class Parts:
    """Texts to look for: those of at least MIN_WORDS words or MIN_CHARS characters; shorter ones mean too little.

    A part is found at the beginning of a word: by the hash of as many bytes as the shortest has to show, then of its
    own first 2**k bytes, more than half of it, and then of the whole. The time grows with the text that is searched,
    and not with the number of parts, save for parts of many lengths that begin alike.
    """

    def __init__(self, text: U8, bounds: I64) -> None:
        self._text = text
        part_K = np.flatnonzero(_is_long(text, bounds))
        begin_K, size_K = bounds[part_K], np.diff(bounds)[part_K]
        half_K: I64 = np.int64(1) << (np.frexp(size_K)[1].astype(np.int64) - 1)  # the power of two not above the size
        self._least = int(half_K.min(initial=MIN_CHARS))
        whole_K, head_K, lead_K = (
            np.zeros(len(part_K), np.uint64),
            np.zeros(len(part_K), np.uint64),
            np.zeros(len(part_K), np.uint64),
        )
        for some in runs(size_K, CHUNK):
            first = int(begin_K[some.start])
            hashes = _Hashes(text[first : int(bounds[part_K[some.stop - 1] + 1])])
            whole_K[some] = hashes.of(begin_K[some] - first, size_K[some])
            head_K[some] = hashes.of(begin_K[some] - first, half_K[some])
            lead_K[some] = hashes.of(begin_K[some] - first, self._least)
        self._leads = _Known.of(lead_K)
        self._whole, once = np.unique(whole_K, return_index=True)  # the first of equal parts
        self._part, self._begin, self._size = part_K[once], begin_K[once], size_K[once]
        head, half = head_K[once], half_K[once]
        lengths: list[int] = np.unique(half_K).tolist()
        self._levels: list[_Level] = []
        for length in lengths:
            is_own: Flags = half == length
            self._levels.append(_Level.of(length, head[is_own], self._size[is_own]))

    def __len__(self) -> int:
        return len(self._part)

    def held_by(self, text: U8, bounds: I64) -> Holds:
        """Which texts hold a part; `bounds` are their beginnings, and the end of the last."""
        holders, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for some in runs(np.diff(bounds), CHUNK):
            first, last = int(bounds[some.start]), int(bounds[some.stop])
            own_bounds = bounds[some.start : some.stop + 1] - first
            for begin, place in self._found_in(text[first:last], own_bounds):
                holders.append(int(some.start) + np.searchsorted(own_bounds, begin, side="right") - 1)
                places.append(place)
        holder, place = np.concatenate(holders), np.concatenate(places)
        order = np.lexsort((self._part[place], -self._size[place], holder))
        longest = order[np.unique(holder[order], return_index=True)[1]]
        return Holds(holder[longest], self._part[place[longest]])

    def _found_in(self, text: U8, bounds: I64) -> Iterator[tuple[I64, I64]]:
        """Where parts begin in texts, and their places among the sorted ones."""
        is_space: Flags = text == _SPACE
        is_first = ~is_space  # of a word
        is_first[1:] &= is_space[:-1]
        is_first[bounds[:-1][np.diff(bounds) > 0]] = True
        word_W = np.flatnonzero(is_first)
        end_W = np.repeat(bounds[1:], np.diff(np.searchsorted(word_W, bounds)))  # of the text that the word is in
        has_room: Flags = word_W + self._least <= end_W
        word_W, end_W = word_W[has_room], end_W[has_room]
        hashes = _Hashes(text)
        hit, _ = self._leads.matching(hashes.of(word_W, self._least))
        word_W, end_W = word_W[hit], end_W[hit]
        is_behind_word = np.append(is_space, True)
        for level in self._levels:
            at = np.flatnonzero(word_W + level.half <= end_W)
            hit, head = level.heads.matching(hashes.of(word_W[at], level.half))
            at = at[hit]
            counts = level.first[head + 1] - level.first[head]
            for some in runs(counts, CHUNK):
                # each beginning with each size that parts of its head have
                begin = np.repeat(word_W[at[some]], counts[some])
                stop = np.repeat(end_W[at[some]], counts[some])
                shift = level.first[head[some]] - (np.cumsum(counts[some]) - counts[some])
                size = level.sizes[np.arange(begin.size) + np.repeat(shift, counts[some])]
                fits: Flags = begin + size <= stop
                begin, size = begin[fits], size[fits]
                ends_word = is_behind_word[begin + size]
                ends_word |= begin + size == stop[fits]
                yield self._verified(text, hashes, begin[ends_word], size[ends_word])

    def _verified(self, text: U8, hashes: _Hashes, begin: I64, size: I64) -> tuple[I64, I64]:
        """Those stretches of a text that are parts, and which: by their hash, and then byte by byte."""
        own = hashes.of(begin, size)
        place = np.minimum(np.searchsorted(self._whole, own), len(self._whole) - 1)
        is_same: Flags = self._whole[place] == own
        is_same &= self._size[place] == size
        same = np.flatnonzero(is_same)
        checked: list[tuple[int, int]] = list(zip(begin[same].tolist(), place[same].tolist(), strict=True))
        same = same[np.array([self._is_at(text, each, part) for each, part in checked], bool)]
        return begin[same], place[same]

    def _is_at(self, text: U8, begin: int, place: int) -> bool:
        first, size = int(self._begin[place]), int(self._size[place])
        return np.array_equal(text[begin : begin + size], self._text[first : first + size])


def _is_long(text: U8, bounds: I64) -> Flags:
    is_long = np.zeros(len(bounds) - 1, bool)
    for some in runs(np.diff(bounds), CHUNK):
        first, last = int(bounds[some.start]), int(bounds[some.stop])
        here, own_bounds = text[first:last], bounds[some.start : some.stop + 1] - first
        is_space: Flags = here == _SPACE
        is_inner: Flags = (here & 0xC0) == 0x80  # bytes within a character
        num_words = np.diff(np.searchsorted(np.flatnonzero(is_space), own_bounds)) + 1
        num_chars = np.diff(own_bounds - np.searchsorted(np.flatnonzero(is_inner), own_bounds))
        is_long[some] = (num_words >= MIN_WORDS) | (num_chars >= MIN_CHARS)
    return is_long


@dataclass(frozen=True)
class _Known:
    """Distinct hashes, sorted, and a table that says of most others at once that they are not among them."""

    hashes: U64
    table: Flags

    @classmethod
    def of(cls, hashes: U64) -> _Known:
        distinct = np.unique(hashes)
        table = np.zeros(1 << _TABLE_BITS, bool)
        table[distinct >> np.uint64(64 - _TABLE_BITS)] = True
        return cls(distinct, table)

    def matching(self, hashes: U64) -> tuple[I64, I64]:
        """Which of some hashes are here, and where."""
        maybe = np.flatnonzero(self.table[hashes >> np.uint64(64 - _TABLE_BITS)])
        place = np.minimum(np.searchsorted(self.hashes, hashes[maybe]), self.hashes.size - 1)
        same: Flags = self.hashes[place] == hashes[maybe]
        return maybe[same], place[same]


@dataclass(frozen=True)
class _Level:
    """Parts whose first `half` bytes are looked for: the hashes of those, and the lengths behind each."""

    half: int
    heads: _Known
    first: I64
    sizes: I64

    @classmethod
    def of(cls, half: int, heads: U64, sizes: I64) -> _Level:
        order = np.lexsort((sizes, heads))
        heads, sizes = heads[order], sizes[order]
        fresh = np.ones(heads.size, bool)
        fresh[1:] = heads[1:] != heads[:-1]
        fresh[1:] |= sizes[1:] != sizes[:-1]
        first = np.unique(heads[fresh], return_index=True)[1]
        return cls(half, _Known.of(heads), np.append(first, np.count_nonzero(fresh)), sizes[fresh])


class _Hashes:
    """Hashes of any stretch of some bytes, each in the same time: a polynomial modulo 2**64."""

    def __init__(self, text: U8) -> None:
        # the sum up to a place holds each byte times the base to its place: the difference of two sums is a stretch
        # times the base to its beginning, which the power of the inverse takes away
        powers, self._inverse = _powers(1 << max(text.size, 1).bit_length())
        self._sums = np.zeros(text.size + 1, np.uint64)
        np.cumsum(text * powers[: text.size], out=self._sums[1:])

    def of(self, begins: I64, sizes: I64 | int) -> U64:
        """One hash a stretch; equal where the bytes are."""
        hashes: U64 = (self._sums[begins + sizes] - self._sums[begins]) * self._inverse[begins]
        return hashes


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[U64, U64]:
    """Of the base and of its inverse."""
    powers: list[U64] = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        powers.append(np.cumprod(factors, dtype=np.uint64))
    return powers[0], powers[1]
