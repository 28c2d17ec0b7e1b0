"""Character n-grams of many texts at a time, as numbers: hashed, or compared exactly.

Knows strings as they are. A text shorter than `size` is its own only n-gram, an empty one has none: texts are
`padded` with NUL, which no text may hold, so that this needs no case of its own.
"""

# P pairs of texts; C characters of all texts, one after another; bounds have one more entry than there are texts

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    from ftkit.prepare.formats.arrow_types import ArrowArray

    U8: TypeAlias = NDArray[np.uint8]
    U32: TypeAlias = NDArray[np.uint32]
    U64: TypeAlias = NDArray[np.uint64]
    I64: TypeAlias = NDArray[np.int64]
    F64: TypeAlias = NDArray[np.float64]
    Flags: TypeAlias = NDArray[np.bool_]

VERIFY_CHARS = 1 << 16  # characters of the pairs compared at a time; scripts/bench_prepare.py --tune
_PLACES = 1000  # where in the sequence of `factors` the hash begins, away from its other users


def bytes_of(texts: polars.Series) -> tuple[U8, I64]:
    """The texts in UTF-8, one after another, and where each begins, with the end of the last."""
    import polars

    array: ArrowArray = texts.rechunk().to_arrow(compat_level=polars.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    assert offsets is not None
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return text[bounds[0] : bounds[-1]], bounds - bounds[0]


def padded(texts: polars.Series, size: int) -> polars.Series:
    """Short texts filled with NUL to one n-gram, which no other text has."""
    short = (texts != "") & (texts.str.len_chars() < size)
    return texts.zip_with(~short, texts.str.pad_end(size, "\0")) if short.any() else texts


def picked(text: U8, begins: I64, sizes: I64) -> tuple[U8, I64]:
    """Some texts out of a larger one, one after another, and where each begins, with the end of the last."""
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    ends = begins + sizes
    is_apart: Flags = begins[1:] != ends[:-1]  # elsewhere one follows the other
    cuts = np.flatnonzero(is_apart) + 1
    first, last = np.append(0, cuts), np.append(cuts, begins.size) - 1
    if begins.size and not cuts.size:
        return text[begins[0] : ends[-1]], bounds
    if not begins.size:
        return text[:0], bounds
    stretches: Iterator[tuple[int, int]] = zip(begins[first].tolist(), ends[last].tolist(), strict=True)
    return np.concatenate([text[begin:end] for begin, end in stretches]), bounds


def code_points(text: U8, bounds: I64) -> tuple[U8 | U32, I64]:
    """The characters of UTF-8 bytes, and the bounds counted in them."""
    if not text.size or int(text.max()) < 128:
        return text, bounds
    is_inner: Flags = (text & 0xC0) == 0x80  # bytes within a character
    inner = np.flatnonzero(is_inner)
    codes = np.frombuffer(text.tobytes().decode().encode("utf-32-le"), np.uint32)
    return codes, bounds - np.searchsorted(inner, bounds)


def hashes(codes: U8 | U32, size: int) -> U32:
    """A 32-bit hash of the n-gram at each place: its characters, each times an odd number, summed and mixed."""
    wide = codes.astype(np.uint32)
    count = wide.size - size + 1
    odd = factors(_PLACES + size)[_PLACES:]
    sums: U32 = wide[:count] * odd[0]
    for place in range(1, size):
        sums += wide[place : place + count] * odd[place]
    return mixed(sums)


def mixed(values: U32) -> U32:
    """The 32-bit finaliser lowbias32 (Wellons 2018), a bijection."""
    values = values ^ (values >> np.uint32(16))
    values *= np.uint32(0x7FEB352D)
    values ^= values >> np.uint32(15)
    values *= np.uint32(0x846CA68B)
    values ^= values >> np.uint32(16)
    return values


def factors(count: int) -> U32:
    """Odd numbers that look random: splitmix64 (Steele, Lea and Flood 2014) of 1, 2, 3 …"""
    values = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (values >> np.uint64(32)).astype(np.uint32) | np.uint32(1)


def jaccards(text: U8, begins: tuple[I64, I64], sizes: tuple[I64, I64], *, size: int) -> F64:
    """Jaccard similarity of the sets of n-grams of each left text with its right one, in [0, 1]; 0 of two empty ones.

    The texts lie in `text`, padded, in UTF-8, each at its beginning and as long as its size, in bytes. Exact: n-grams
    are compared as what they are, not as hashes. About 40 bytes of memory a character: give it some pairs at a time.
    """
    num_pairs = begins[0].size  # the left texts come first, then the right ones: text P + p is the partner of p
    codes, bounds = code_points(*picked(text, np.concatenate(begins), np.concatenate(sizes)))
    counts = np.maximum(np.diff(bounds) - size + 1, 0)
    grams, num_bits = _packed(codes, size)
    text_of_gram = np.repeat(np.arange(2 * num_pairs), counts)
    place = np.arange(text_of_gram.size) + np.repeat(bounds[:-1] - (np.cumsum(counts) - counts), counts)
    side, pair = np.divmod(text_of_gram.astype(np.uint64), np.uint64(max(num_pairs, 1)))
    # pair, n-gram and side as one number: sorted, an n-gram that both sides have stands twice in a row
    keys: U64 = (pair << np.uint64(num_bits + 1)) | (grams[place] << np.uint64(1)) | side
    keys.sort()
    is_new = np.ones(keys.size, bool)
    is_new[1:] = keys[1:] != keys[:-1]
    keys = keys[is_new]  # sets: each n-gram of a side once
    pair_of_key = (keys >> np.uint64(num_bits + 1)).astype(np.int64)
    total_P = np.bincount(pair_of_key, minlength=num_pairs)
    in_both: Flags = keys[1:] >> np.uint64(1) == keys[:-1] >> np.uint64(1)
    shared_P = np.bincount(pair_of_key[1:][in_both], minlength=num_pairs)
    similarity_P: F64 = shared_P / np.maximum(total_P - shared_P, 1)  # what both have counts twice in the total
    return similarity_P


def runs(counts: I64, limit: int) -> Iterator[slice]:
    """Slices that follow one another, each with counts of about `limit` in all; one count may be more."""
    marks = np.cumsum(counts) // limit
    cuts = np.flatnonzero(np.diff(marks)) + 1
    bounds = [0, *cuts.tolist(), counts.size] if counts.size else [0]
    yield from (slice(*ends) for ends in pairwise(bounds))


def _packed(codes: U8 | U32, size: int) -> tuple[U64, int]:
    """The n-gram at each place as a number of so many bits, equal where and only where the n-grams are."""
    if codes.size < size:
        return np.zeros(0, np.uint64), 1
    seen = np.zeros(int(codes.max()) + 1, bool)
    seen[codes] = True
    width = int(np.count_nonzero(seen)).bit_length()
    letters: U64 = (np.cumsum(seen).astype(np.uint64) * seen)[codes]  # characters numbered from 1: fewer bits each
    count = codes.size - size + 1
    grams, num_bits = letters[:count], width
    for place in range(1, size):
        if num_bits + width > 40:  # room for 2**23 pairs beside it
            grams = np.unique(grams, return_inverse=True)[1].astype(np.uint64)  # numbered: as few bits as can be
            num_bits = int(grams.max()).bit_length()
        grams = (grams << np.uint64(width)) | letters[place : place + count]
        num_bits += width
    return grams, num_bits
