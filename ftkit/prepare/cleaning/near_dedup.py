"""Drops rows nearly equal to a kept row with the same target, and joins the groups of near rows that stay.

Knows a few numbers of each row, and the texts a batch at a time. Similarity is the Jaccard similarity of character
5-grams of the normalised input. Clusters of near rows serve as groups only: a chain joins rows that are far apart.
"""

# N rows, as they stand or (where said) in the order in which they are taken; T distinct texts; V verdicts;
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pydantic import Field

from ftkit.contracts import Context, Marked
from ftkit.prepare.cleaning import TableStep, events
from ftkit.prepare.groups import joined
from ftkit.prepare.row_keys import Compared, Keep, answer_fingerprints, kept_order
from ftkit.prepare.texts.similarity import Numbered, clusters, near_plain_pairs, numbered, read_plain
from ftkit.registry import component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.prepare.rows import Rows
    from ftkit.prepare.texts.minhash import NearPairs

    Ints: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]

SAME = "nearly the same text, and the same target, as a kept row"
CROWDED = "much in common with a great many rows, a template say: not compared with all of them"
SHOWN_CHARS = 60


class NearDedup(TableStep):
    """How near is too near, and which of near rows stays."""

    threshold: float = Field(0.8, ge=0.5, le=1, description="Jaccard similarity of character 5-grams")
    keep: Keep = Field("first", description="of near rows; newest needs data.split.time")


@component
def apply(config: NearDedup, rows: Rows, ctx: Context) -> Marked:
    """Take rows in order: drop one near to a kept row of the same target, flag one near to one of another."""
    import numpy as np
    import polars

    order = kept_order(rows, config.keep)
    judged = _judged(config, rows, order, ctx)
    is_gone_N = np.zeros(len(rows), bool)
    is_gone_N[order[judged.verdicts.row_V[judged.verdicts.is_drop_V]]] = True
    groups = joined(rows, judged.cluster_N, is_gone_N, earliest=config.keep == "first")
    crowded = np.flatnonzero(judged.is_crowded_N & ~is_gone_N)
    not_compared = events("flag", rows.take(crowded, "id")["id"], CROWDED)
    all_events = polars.concat([_events(rows, order, judged.verdicts), not_compared])
    return Marked(all_events, {} if groups is None else {"group": groups}, is_complete=not judged.is_crowded_N.any())


@dataclass(frozen=True)
class _Judged:
    """Verdicts, and of each row as it stands the cluster, and whether it was not compared with all that are like it."""

    verdicts: _Verdicts
    cluster_N: Ints
    is_crowded_N: Flags


def _judged(config: NearDedup, rows: Rows, order: Ints, ctx: Context) -> _Judged:
    import numpy as np

    targets = numbered(answer_fingerprints(rows)).number[order]
    texts, pairs = _near(config, rows, targets, order, ctx)
    num_texts = len(texts.place)
    verdicts = _verdicts(_Neighbours(pairs, num_texts), texts.number[order], targets)
    is_crowded_T = np.zeros(num_texts, bool)
    is_crowded_T[pairs.crowded] = True
    cluster_T = clusters(pairs, num_texts)
    return _Judged(verdicts, cluster_T[texts.number], is_crowded_T[texts.number])


def _near(config: NearDedup, rows: Rows, targets: Ints, order: Ints, ctx: Context) -> tuple[Numbered, NearPairs]:
    """The distinct texts, and near pairs of them. `targets` are those of the rows in `order`."""
    import numpy as np

    from ftkit.prepare.texts.minhash import Order

    threads = ctx.machine.num_threads
    with ctx.progress.bar("near_dedup", 2 * len(rows)) as bar:

        def on_progress(count: int) -> None:
            ctx.check_stop()
            bar.advance(count)

        with read_plain(Compared(rows), threads=threads, on_progress=on_progress) as plain:
            texts = plain.distinct
            on_progress(len(rows) - len(texts.place))
            # the text of a row that is taken early is taken early; each text stands for the target of its first row
            _, first_T = np.unique(texts.number[order], return_index=True)
            pairs = near_plain_pairs(
                plain,
                texts.place,
                threshold=config.threshold,
                order=Order(first_T, targets[first_T]),
                threads=threads,
                on_progress=on_progress,
            )
    if len(pairs.crowded):
        ctx.progress.say(
            f"near_dedup: {len(pairs.crowded):,} texts have much in common with a great many others, a template say, "
            "and were not compared with all of them: some near rows may stay (flagged in the ledger); take the "
            "template out of the input"
        )
    return texts, pairs


class _Neighbours:
    """For each text the texts near to it, the nearest first; `has_some_T` says for which there are any."""

    def __init__(self, pairs: NearPairs, num_texts: int) -> None:
        import numpy as np

        text = np.concatenate([pairs.left, pairs.right])  # each pair from both sides
        similarity = np.concatenate([pairs.similarity, pairs.similarity])
        order = np.lexsort((-similarity, text))
        self._other: Ints = np.concatenate([pairs.right, pairs.left])[order]
        self._similarity: NDArray[np.float64] = similarity[order]
        self._ends: Ints = np.append(0, np.cumsum(np.bincount(text, minlength=num_texts)))
        self.has_some_T: Flags = np.diff(self._ends) > 0

    def of(self, text: int) -> list[tuple[int, float]]:
        """Itself, and those near to it, with their similarity."""
        some = slice(self._ends[text], self._ends[text + 1])
        others = zip(self._other[some].tolist(), self._similarity[some].tolist(), strict=True)
        return [(text, 1.0), *others]


@dataclass(frozen=True)
class _Verdicts:
    """On rows that are near to a kept one: both by their place in the order in which rows are taken."""

    row_V: Ints
    kept_V: Ints
    similarity_V: NDArray[np.float64]
    is_drop_V: Flags


def _verdicts(near: _Neighbours, texts: Ints, targets: Ints) -> _Verdicts:
    """Which rows are dropped or flagged, and for which; `texts` and `targets` are those of each row, by number."""
    import numpy as np

    crowd = np.flatnonzero(near.has_some_T[texts])
    alone = np.flatnonzero(~near.has_some_T[texts])
    one, other = _among_near(near, crowd, texts, targets), _among_equal(alone, texts, targets)
    return _Verdicts(
        np.concatenate([one.row_V, other.row_V]),
        np.concatenate([one.kept_V, other.kept_V]),
        np.concatenate([one.similarity_V, other.similarity_V]),
        np.concatenate([one.is_drop_V, other.is_drop_V]),
    )


def _among_equal(rows: Ints, texts: Ints, targets: Ints) -> _Verdicts:
    """Verdicts on rows whose text is near to itself only: the first of each target is kept."""
    import numpy as np

    _, first, text = np.unique(texts[rows], return_index=True, return_inverse=True)
    both = text * (int(targets.max(initial=0)) + 1) + targets[rows]  # one number for a text with a target
    _, first_with_target, place = np.unique(both, return_index=True, return_inverse=True)
    first, first_with_target = first[text], first_with_target[place]  # from one a text to one a row
    own = np.arange(len(rows))
    is_drop: Flags = first_with_target != own
    differs: Flags = first != own
    hit = is_drop | differs  # the first row of another target is flagged
    kept: Ints = np.where(is_drop, first_with_target, first)
    return _Verdicts(rows[hit], rows[kept[hit]], np.ones(np.count_nonzero(hit)), is_drop[hit])


@dataclass(slots=True)
class _Nearest:
    """The nearest of some kept rows, the earliest of equally near ones."""

    similarity: float = 0.0
    row: int = -1

    def offer(self, similarity: float, row: int) -> None:
        """Take it if it is nearer, or as near and earlier."""
        if similarity > self.similarity or (similarity == self.similarity and row < self.row):
            self.similarity, self.row = similarity, row


def _among_near(near: _Neighbours, rows: Ints, texts: Ints, targets: Ints) -> _Verdicts:
    """Verdicts on rows whose text is near to others, one after another."""
    import numpy as np

    kept: dict[int, list[tuple[int, int]]] = {}
    verdicts: list[tuple[int, int, float, bool]] = []
    numbers: Iterator[tuple[int, int, int]] = zip(
        rows.tolist(), texts[rows].tolist(), targets[rows].tolist(), strict=True
    )
    for row, text, target in numbers:
        same, other = _Nearest(), _Nearest()
        for neighbour, similarity in near.of(text):
            for its_row, its_target in kept.get(neighbour, ()):
                (same if its_target == target else other).offer(similarity, its_row)
        if same.row >= 0:
            verdicts.append((row, same.row, same.similarity, True))
            continue
        if other.row >= 0:
            verdicts.append((row, other.row, other.similarity, False))
        kept.setdefault(text, []).append((row, target))
    rows_judged, rows_kept, similarities, are_drops = zip(*verdicts, strict=True) if verdicts else ((), (), (), ())
    return _Verdicts(
        np.array(rows_judged, np.int64),
        np.array(rows_kept, np.int64),
        np.array(similarities, np.float64),
        np.array(are_drops, np.bool_),
    )


def _events(rows: Rows, in_turn: Ints, verdicts: _Verdicts) -> Table:
    """One event for each verdict, as the rows stand; `in_turn` are their positions in the order they are taken in."""
    import numpy as np
    import polars

    positions = in_turn[verdicts.row_V]
    order = np.argsort(positions)
    kept = rows.take(in_turn[verdicts.kept_V][order], "id", "target")
    by_row = polars.DataFrame(
        {
            "id": rows.take(positions[order], "id")["id"],
            "kept_id": kept["id"],
            "target": kept["target"].str.slice(0, SHOWN_CHARS),
            "score": verdicts.similarity_V[order].round(6),
            "is_drop": verdicts.is_drop_V[order],
        }
    ).with_row_index("place")
    gone, stays = by_row.filter("is_drop"), by_row.filter(~polars.col("is_drop"))
    why = [f"nearly the same text as a kept row, whose target is {target!r}" for target in stays["target"]]
    both = [
        events("drop", gone["id"], SAME, kept_ids=gone["kept_id"], scores=gone["score"]),
        events(
            "flag",
            stays["id"],
            polars.Series(why, dtype=polars.String),
            kept_ids=stays["kept_id"],
            scores=stays["score"],
        ),
    ]
    return polars.concat(both)[polars.concat([gone["place"], stays["place"]]).arg_sort()]
