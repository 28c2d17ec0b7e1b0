"""Which texts hold a whole other text, as words: found by hashes in linear time, then compared byte by byte.

Knows texts as bytes in UTF-8, words joined by one space: what is normalised is said by `similarity`.
"""

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
        part = np.flatnonzero(_is_long(text, bounds))
        sizes = np.diff(bounds)[part]
        half = np.int64(1) << (np.frexp(sizes)[1].astype(np.int64) - 1)
        self._least = int(half.min(initial=MIN_CHARS))
        whole, head, lead = np.zeros((3, len(part)), np.uint64)
        for some in runs(sizes, CHUNK):
            first = bounds[part[some.start]]
            hashes = _Hashes(self._text[first : bounds[part[some.stop - 1] + 1]])
            whole[some] = hashes.of(bounds[part[some]] - first, sizes[some])
            head[some] = hashes.of(bounds[part[some]] - first, half[some])
            lead[some] = hashes.of(bounds[part[some]] - first, self._least)
        self._leads = _Known.of(lead)
        self._whole, once = np.unique(whole, return_index=True)  # the first of equal parts
        self._part, self._begin, self._size = part[once], bounds[part[once]], sizes[once]
        self._levels = [
            _Level.of(int(length), head[once][half[once] == length], sizes[once][half[once] == length])
            for length in np.unique(half)
        ]

    def __len__(self) -> int:
        return len(self._part)

    def held_by(self, text: U8, bounds: I64) -> Holds:
        """Which texts hold a part; `bounds` are their beginnings, and the end of the last."""
        places = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for some in runs(np.diff(bounds), CHUNK):
            ends = bounds[some.start : some.stop + 1]
            here = text[ends[0] : ends[-1]]
            for begin, place in self._found_in(here, ends - ends[0]):
                places.append((some.start + np.searchsorted(ends - ends[0], begin, side="right") - 1, place))
        holder, place = (np.concatenate([pair[side] for pair in places]) for side in (0, 1))
        order = np.lexsort((self._part[place], -self._size[place], holder))
        first = np.unique(holder[order], return_index=True)[1]
        return Holds(holder[order][first], self._part[place[order][first]])

    def _found_in(self, text: U8, bounds: I64) -> Iterator[tuple[I64, I64]]:
        """Where parts begin in texts, and their places among the sorted ones."""
        is_space = text == _SPACE
        leads = ~is_space
        leads[1:] &= is_space[:-1]
        leads[bounds[:-1][np.diff(bounds) > 0]] = True
        word = np.flatnonzero(leads)
        end = np.repeat(bounds[1:], np.diff(np.searchsorted(word, bounds)))
        hashes = _Hashes(text)
        closed = np.append(is_space, True)
        word, end = (each[word + self._least <= end] for each in (word, end))
        hit, _ = self._leads.matching(hashes.of(word, self._least))
        word, end = word[hit], end[hit]
        for level in self._levels:
            at = np.flatnonzero(word + level.half <= end)
            hit, head = level.heads.matching(hashes.of(word[at], level.half))
            at = at[hit]
            counts = level.first[head + 1] - level.first[head]
            for some in runs(counts, CHUNK):
                begin = np.repeat(word[at[some]], counts[some])
                stop = np.repeat(end[at[some]], counts[some])
                shift = level.first[head[some]] - (np.cumsum(counts[some]) - counts[some])
                size = level.sizes[np.arange(begin.size) + np.repeat(shift, counts[some])]
                whole_words = begin + size <= stop
                begin, size, stop = begin[whole_words], size[whole_words], stop[whole_words]
                ends_word = (begin + size == stop) | closed[begin + size]
                begin, size = begin[ends_word], size[ends_word]
                hash_ = hashes.of(begin, size)
                place = np.minimum(np.searchsorted(self._whole, hash_), len(self._whole) - 1)
                same = np.flatnonzero((self._whole[place] == hash_) & (self._size[place] == size))
                same = same[[self._is_at(text, begin[row], place[row]) for row in same]] if same.size else same
                yield begin[same], place[same]

    def _is_at(self, text: U8, begin: np.int64, place: np.int64) -> bool:
        part = self._text[self._begin[place] : self._begin[place] + self._size[place]]
        return bool(np.array_equal(text[begin : begin + self._size[place]], part))


def _is_long(text: U8, bounds: I64) -> NDArray[np.bool_]:
    is_long = np.zeros(len(bounds) - 1, bool)
    for some in runs(np.diff(bounds), CHUNK):
        ends = bounds[some.start : some.stop + 1] - bounds[some.start]
        here = text[bounds[some.start] : bounds[some.stop]]
        spaces, inner = (np.flatnonzero(which) for which in (here == _SPACE, (here & 0xC0) == 0x80))
        num_words = np.diff(np.searchsorted(spaces, ends)) + 1
        num_chars = np.diff(ends - np.searchsorted(inner, ends))
        is_long[some] = (num_words >= MIN_WORDS) | (num_chars >= MIN_CHARS)
    return is_long


@dataclass(frozen=True)
class _Known:
    """Distinct hashes, sorted, and a table that says of most others at once that they are not among them."""

    hashes: U64
    table: NDArray[np.bool_]

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
        same = self.hashes[place] == hashes[maybe]
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
        fresh[1:] = (heads[1:] != heads[:-1]) | (sizes[1:] != sizes[:-1])
        first = np.unique(heads[fresh], return_index=True)[1]
        return cls(half, _Known.of(heads), np.append(first, int(fresh.sum())), sizes[fresh])


class _Hashes:
    """Hashes of any stretch of some bytes, each in the same time: a polynomial modulo 2**64."""

    def __init__(self, text: U8) -> None:
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
    both = np.full((2, count), ((_BASE,), (pow(_BASE, -1, 1 << 64),)), np.uint64)
    both[:, 0] = 1
    np.cumprod(both, axis=1, out=both)
    return both[0], both[1]
