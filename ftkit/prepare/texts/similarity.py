"""When two texts are the same or nearly so: Jaccard similarity of character 5-grams of the normalised text.

Texts in, numbers out, and no files but temporary ones; knows nothing of what rows mean. The same result for any hash
seed and any number of threads.
"""

# N texts or things, D of them distinct; two halves of 64 bits make a fingerprint or digest (`halves_N2`)

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ftkit.prepare.texts.normal import BATCH_TEXTS, compact, folded, normalised
from ftkit.prepare.threads import Threads

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.prepare.texts.minhash import NearPairs, Order
    from ftkit.prepare.texts.spool import Spool

    Positions: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]

SHINGLE_CHARS = 5


class Texts(Protocol):
    """Texts that are read in order, a batch at a time; or where `are_keys`, their `text_keys`."""

    @property
    def are_keys(self) -> bool: ...

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[polars.Series]:
        """All texts, from the first, at each call."""
        ...


class Batched(Protocol):
    """What `Column` reads: `rows.Rows`, say."""

    def __len__(self) -> int: ...

    def batches(self, *names: str) -> Iterator[Table]:
        """Some columns of all rows, a batch at a time."""
        ...


class Column:
    """The texts of a column."""

    are_keys = False

    def __init__(self, rows: Batched, name: str) -> None:
        self._rows = rows
        self._name = name

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self) -> Iterator[polars.Series]:
        """One batch for each of the rows'."""
        for table in self._rows.batches(self._name):
            yield table[self._name]


def text_keys(texts: polars.Series) -> polars.Series:
    """Equal for texts that count as the same: the normalised text, or where it has no word, a space and the text.

    '?!' and '…' normalise to the same nothing, and are not the same.
    """
    import polars

    plain = normalised(texts)
    wordless = plain == ""
    if not wordless.any():
        return plain
    own = texts.zip_with(wordless, plain).str.replace_all(r"\s+", " ").str.strip_chars(" ")
    return plain.zip_with(~wordless, polars.select(polars.lit(" ") + own).to_series())


def is_wordless(keys: polars.Series) -> polars.Series:
    """Whether the texts with these `text_keys` have no word."""
    return keys.str.starts_with(" ")


def plain_of(keys: polars.Series) -> polars.Series:
    """`normalised`, of the texts with these `text_keys`."""
    import polars

    wordless = is_wordless(keys)
    return keys.zip_with(~wordless, polars.Series([""])) if wordless.any() else keys


def fingerprints(texts: polars.Series) -> NDArray[np.uint64]:
    """128 bits of each text, as two numbers: equal where the texts are, and at ten million texts nowhere else.

    For this process only, since another version of polars may give others: for what is written, take `digests`.
    """
    import numpy as np

    return np.column_stack([texts.hash(seed).to_numpy() for seed in (1, 2)])


def pair_fingerprints(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fingerprints of pairs of texts, from those of either side."""
    import numpy as np

    odd = np.uint64(0x9E3779B97F4A7C15)  # no two left sides give the same for one right side
    pairs: NDArray[np.uint64] = left * odd + right
    return pairs


def digests(texts: polars.Series) -> NDArray[np.uint64]:
    """BLAKE2b of each text, 128 bits as two numbers: the same for ever, at twenty times the price of `fingerprints`."""
    import numpy as np

    strings: Iterator[str] = iter(texts)
    made = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in strings)
    return np.frombuffer(made, np.dtype("<u8")).reshape(-1, 2)


@dataclass(frozen=True)
class Numbered:
    """Things in the order they first stand in: where that is, and for each thing the number of the first like it."""

    place: Positions
    number: Positions

    @property
    def again(self) -> Positions:
        """Where things stand that stood before."""
        import numpy as np

        return np.setdiff1d(np.arange(len(self.number)), self.place, assume_unique=True)


def numbered(halves_N2: NDArray[np.uint64]) -> Numbered:
    """Count what is equal once. `halves_N2` are fingerprints or digests, as two numbers each."""
    import numpy as np

    together = np.lexsort((halves_N2[:, 1], halves_N2[:, 0]))  # stable: the first of equal ones leads
    is_as_before = np.ones(len(halves_N2), bool)
    is_as_before[:1] = False
    for half in (0, 1):
        in_turn = halves_N2[together, half]
        is_as_before[1:] &= in_turn[1:] == in_turn[:-1]
    leads = ~is_as_before
    place_D = together[leads]
    # the distinct ones stand by their fingerprints; they are numbered by where they first stand
    rank_D = np.empty(len(place_D), np.int64)
    rank_D[np.argsort(place_D)] = np.arange(len(place_D))
    number_N = np.empty(len(halves_N2), np.int64)
    number_N[together] = rank_D[np.cumsum(leads) - 1]
    return Numbered(np.sort(place_D), number_N)


def text_key(text: str) -> str:
    """`text_keys` of one text."""
    import polars

    return str(text_keys(polars.Series([text], dtype=polars.String))[0])


@dataclass(frozen=True)
class Plain:
    """Texts as they are compared: normalised, `ngrams.padded`, in UTF-8, one after another in `text`.

    A text is `sizes` bytes long. `distinct`: those that count as the same have one number, see `text_keys`. Where they
    were folded, disguises of a text count as the same too: other accents, look-alike letters, other blanks.
    """

    text: Spool[np.uint8]
    begins: Positions
    sizes: Positions
    distinct: Numbered


@contextmanager
def read_plain(
    *texts: Texts, fold: bool = False, threads: int = 1, on_progress: Callable[[int], object] = int
) -> Iterator[Plain]:
    """Texts, and other texts behind them, read once; what is large lies in a temporary file as long as the context.

    With `fold` they are `folded`. `threads` change nothing but the time. `on_progress` is told how many texts were read
    since. Raises MachineError where the temporary file finds no room.
    """
    import numpy as np

    from ftkit.prepare.texts.spool import Spool

    parts = (
        (batch[begin : begin + BATCH_TEXTS], source.are_keys)
        for source in texts
        for batch in source.batches()
        for begin in range(0, len(batch), BATCH_TEXTS)
    )
    with Spool(np.uint8) as text:
        sizes, halves = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.uint64)]
        with Threads(threads) as workers:
            for some, its_sizes, its_halves in workers.in_turn(partial(_plain, fold=fold), parts):
                text.append(some)
                sizes.append(its_sizes)
                halves.append(its_halves)
                on_progress(len(its_sizes))
        distinct = numbered(np.concatenate(halves))
        halves.clear()
        all_sizes = np.concatenate(sizes)
        yield Plain(text, np.cumsum(all_sizes) - all_sizes, all_sizes, distinct)


def _plain(some: tuple[polars.Series, bool], *, fold: bool) -> tuple[NDArray[np.uint8], Positions, NDArray[np.uint64]]:
    """Of texts, or of their keys."""
    import numpy as np

    from ftkit.prepare.texts.ngrams import bytes_of, padded

    texts, are_keys = some
    keys = texts if are_keys else text_keys(texts)
    plain = plain_of(keys)
    if fold:
        plain = folded(plain)
        keys = keys.zip_with(is_wordless(keys), compact(plain))
    text, bounds = bytes_of(padded(plain, SHINGLE_CHARS))
    return text, np.diff(bounds), fingerprints(keys)


def near_pairs(
    texts: Texts,
    *,
    threshold: float,
    against: Texts | None = None,
    order: Order | None = None,
    threads: int = 1,
) -> NearPairs:
    """Pairs with Jaccard similarity ≥ threshold, ordered by (left, right).

    Pairs are of `texts` among themselves (left < right), or of a text (left) with one of `against` (right). For
    precision, recall and time see `near_plain_pairs`.
    """
    import numpy as np

    from ftkit.prepare.texts.minhash import NearPairs

    both = (texts,) if against is None else (texts, against)
    split = None if against is None else len(texts)
    with read_plain(*both, threads=threads) as plain:
        chosen = np.arange(len(plain.sizes))
        pairs = near_plain_pairs(plain, chosen, threshold=threshold, split=split, order=order, threads=threads)
    return NearPairs(pairs.left, pairs.right - (split or 0), pairs.similarity, pairs.crowded)


def near_plain_pairs(
    plain: Plain,
    chosen: Positions,
    *,
    threshold: float,
    split: int | None = None,
    order: Order | None = None,
    threads: int = 1,
    on_progress: Callable[[int], object] = int,
) -> NearPairs:
    """Near pairs of the chosen texts, by their place among the chosen; with `split` only across it.

    Precision is 1: each candidate is verified. Recall is that of MinHash LSH, ≥ 0.999 in expectation at the
    threshold. Only of the most crowded buckets (more than `minhash.CROWD` texts with much in common) not all pairs are
    formed: there texts are compared with one after another until they are near to one, the first of `order` first.
    Equal texts give a pair each, so choose distinct ones. `on_progress` is told how many were hashed since.
    """
    assert 0 < threshold <= 1, threshold
    from ftkit.prepare.texts import minhash  # numpy is slow to import, and most callers only normalise

    return minhash.near_pairs(
        plain.text,
        plain.begins[chosen],
        plain.sizes[chosen],
        size=SHINGLE_CHARS,
        threshold=threshold,
        split=split,
        order=order,
        threads=threads,
        on_progress=on_progress,
    )


def plain_jaccards(plain: Plain, left: Positions, right: Positions) -> NDArray[np.float64]:
    """Similarity of some texts, each with its partner."""
    import numpy as np

    from ftkit.prepare.texts import ngrams

    similarity_of_runs = [np.zeros(0)]
    for some in ngrams.runs(plain.sizes[left] + plain.sizes[right], ngrams.VERIFY_CHARS):
        begins = plain.begins[left[some]], plain.begins[right[some]]
        sizes = plain.sizes[left[some]], plain.sizes[right[some]]
        similarity_of_runs.append(ngrams.jaccards(plain.text.view(), begins, sizes, size=SHINGLE_CHARS))
    return np.concatenate(similarity_of_runs)


def clusters(pairs: NearPairs, n: int) -> Positions:
    """For each of n texts the smallest position that it is linked to by a chain of pairs."""
    return join(pairs.left, pairs.right, n)


def join(left: Positions, right: Positions, n: int) -> Positions:
    """For each of n things the smallest one that a chain of links, each from left to right, leads to."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(n, n))
    _, labels = connected_components(links, directed=False)
    label_N: NDArray[np.int32] = labels
    _, first, place_N = np.unique(label_N, return_index=True, return_inverse=True)  # the first of each component
    smallest_N: Positions = first[place_N]
    return smallest_N
