"""Which texts equal, contain, or are too near to held-out texts, and to which of them.

Pure: texts in, hits out; what happens to a hit is decided elsewhere. All texts stand in a `Plain`,
which takes little memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ftkit.prepare.texts.similarity import Plain, near_plain_pairs, plain_jaccards
from ftkit.prepare.threads import Threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.contracts import Table

    Ints: TypeAlias = NDArray[np.int64]

_NONE, _NEAR, _CONTAINS, _EQUAL = range(4)
KINDS = ("none", "near", "contains", "equal")


def hits(
    plain: Plain,
    *,
    num_held_out: int,
    num_texts: int,
    threshold: float | None,
    threads: int = 1,
    on_progress: Callable[[int], object] = int,
    say: Callable[[str], object] = str,
) -> Hits:
    """What of some texts gives held-out ones away: those are the first ones of `plain`, and these stand behind them.

    The table has one row for each text that does, in their order: text, held_out, similarity, kind. text and held_out
    are positions among their own. kind is the first that fits: equal (after normalising), contains (see
    `containment`), near (Jaccard similarity of character 5-grams ≥ threshold; with None not looked for). Of several
    held-out texts the longest contained or the nearest is named, and of as good ones the first. similarity is that of
    the two texts, 1 where they are equal. `on_progress` is told how many of the texts are done, and `say` where so many
    texts have much in common that not all were compared.
    """
    import numpy as np
    import polars

    place = plain.distinct.place
    held = place[place < num_held_out]
    own = place[len(held) : np.searchsorted(place, num_held_out + num_texts)]  # equal to no held-out or earlier one
    on_progress(num_texts - len(own))
    others = _Hits.none(len(own))
    if threshold is not None:
        num_crowded = _find_near(others, plain, own, held, threshold, threads)
        if num_crowded:
            say(
                f"{num_crowded:,} texts have much in common with a great many others, a template say, and were not "
                "compared with all of them: some near ones may stay; take the template out of what identifies a row"
            )
    _find_contained(others, plain, own, held, threads, on_progress)
    number = plain.distinct.number[num_held_out : num_held_out + num_texts]
    equal: NDArray[np.bool_] = number < len(held)
    of_texts = _Hits.none(num_texts)
    of_texts.set(np.flatnonzero(equal), number[equal], np.ones(np.count_nonzero(equal)), _EQUAL)
    of_texts.take(np.flatnonzero(~equal), others, number[~equal] - len(held))
    hit = np.flatnonzero(of_texts.kind)
    table = polars.DataFrame(
        {
            "text": hit,
            "held_out": held[of_texts.held[hit]],
            "similarity": of_texts.similarity[hit],
            "kind": polars.Series([KINDS[kind] for kind in of_texts.kind[hit].tolist()], dtype=polars.String),
        }
    )
    return Hits(table, np.isin(plain.distinct.number[:num_held_out], number[equal]))


@dataclass(frozen=True)
class Hits:
    """What `hits` found, as its rows, and for each held-out text whether one of the texts equals it."""

    table: Table
    is_equalled: NDArray[np.bool_]


@dataclass(frozen=True)
class _Hits:
    """For each text the held-out one, how near it is, and in which way."""

    held: Ints
    similarity: NDArray[np.float64]
    kind: NDArray[np.uint8]

    @classmethod
    def none(cls, count: int) -> _Hits:
        import numpy as np

        return cls(np.zeros(count, np.int64), np.zeros(count), np.full(count, _NONE, np.uint8))

    def set(self, text: Ints, held: Ints, similarity: NDArray[np.float64], kind: int) -> None:
        self.held[text], self.similarity[text], self.kind[text] = held, similarity, kind

    def take(self, text: Ints, other: _Hits, place: Ints) -> None:
        self.held[text], self.similarity[text] = other.held[place], other.similarity[place]
        self.kind[text] = other.kind[place]


def _find_near(into: _Hits, plain: Plain, own: Ints, held: Ints, threshold: float, threads: int) -> int:
    """Returns the number of texts that were not compared with all that share much with them."""
    import numpy as np

    chosen, split = np.concatenate([own, held]), len(own)
    pairs = near_plain_pairs(plain, chosen, threshold=threshold, split=split, threads=threads)
    order = np.lexsort((pairs.right, -pairs.similarity, pairs.left))
    text, first = np.unique(pairs.left[order], return_index=True)
    into.set(text, pairs.right[order][first] - split, pairs.similarity[order][first], _NEAR)
    return len(pairs.crowded)


def _find_contained(
    into: _Hits, plain: Plain, own: Ints, held: Ints, threads: int, on_progress: Callable[[int], object]
) -> None:
    from ftkit.prepare.texts.containment import CHUNK, Parts
    from ftkit.prepare.texts.ngrams import picked, runs

    text = plain.text.view()
    parts = Parts(*picked(text, plain.begins[held], plain.sizes[held]))

    def search(some: slice) -> tuple[slice, Ints, Ints, NDArray[np.float64]]:
        holds = parts.held_by(*picked(text, plain.begins[own[some]], plain.sizes[own[some]]))
        holder = some.start + holds.text
        return some, holder, holds.part, plain_jaccards(plain, own[holder], held[holds.part])

    with Threads(threads) as workers:
        for some, holder, part, similarity in workers.in_turn(search, runs(plain.sizes[own], CHUNK)):
            into.set(holder, part, similarity, _CONTAINS)
            on_progress(some.stop - some.start)
            plain.text.release()
