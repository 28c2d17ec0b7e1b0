"""Clears train of rows that give valid, test or a benchmark away, and counts the held-out rows that stood in it.

Knows the splits and the recipe's `data.decontaminate`; which texts match is said by `contamination`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from ftkit.contracts import Marked
from ftkit.prepare.cleaning import Action, RowStep, events
from ftkit.prepare.cleaning.near_dedup import NearDedup
from ftkit.prepare.passes import Workshop, apply_marks
from ftkit.prepare.row_keys import (
    Compared,
    column_fingerprints,
    compared_columns,
    distinct,
    has_id,
    row_fingerprints,
    text_compared,
)
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.contamination import hits
from ftkit.prepare.texts.similarity import Column, Texts, numbered, read_plain
from ftkit.recipe.data_block import Data
from ftkit.registry import Choice

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

REASONS = {"equal": "equal to", "contains": "contains", "near": "nearly equal to"}


@dataclass(frozen=True)
class Cleared:
    """The splits, train without what gives held-out rows away, and how many of those stood in train.

    `standing` has, by split, the rows whose identity is the same as a train row's (`identical`), and those whose is
    after normalising (`equal`); before train was cleared.
    """

    splits: dict[str, Rows]
    standing: dict[str, dict[str, int]]


def decontaminated(data: Data, splits: Mapping[str, Rows], against: Mapping[str, Rows], work: Workshop) -> Cleared:
    """Train rows that equal, contain or are near to a held-out row are dropped, such valid rows flagged (by test)."""
    import polars

    threshold = None if _near_rows_are_together(data) and work.is_complete else _threshold(data)
    number = work.ledger.begin("decontaminate")
    what = {"valid": "valid row", "test": "test row"} | {name: f"row of data.decontaminate.{name}" for name in against}
    rows, valid, test = splits["train"], splits["valid"], splits["test"]
    held = {"test": test, "valid": valid, **against}
    num_held_out, threads = sum(map(len, held.values())), work.ctx.machine.num_threads
    texts = [_identity(part) for part in (*held.values(), rows)]
    with (
        work.ctx.progress.bar("decontaminate", len(rows)) as bar,
        read_plain(*texts, fold=True, threads=threads) as plain,
    ):
        search = partial(hits, plain, threshold=threshold, threads=threads, say=work.ctx.progress.say)
        close = search(num_held_out=len(test), num_texts=len(valid))
        given_away = search(num_held_out=num_held_out, num_texts=len(rows), on_progress=bar.advance)
    standing = _standing(rows, held, given_away.is_equalled)
    direct = _events("drop", given_away.table, rows, held, what)
    dropped = polars.concat([direct, _of_their_groups(rows, direct["id"], [valid, test])])
    train = apply_marks(rows, Marked(dropped), number, work)
    work.ledger.add(number, len(valid), _events("flag", close.table, valid, {"test": test}, what))
    work.ledger.add(number, len(test), events("flag", polars.Series(dtype=polars.String), ""))
    work.ledger.say(number)
    return Cleared({**splits, "train": train}, standing)


def _threshold(data: Data) -> float:
    if data.decontaminate.threshold is not None:
        return data.decontaminate.threshold
    chosen = [step.options.threshold for step in data.clean if isinstance(step.options, NearDedup)]
    return min(chosen, default=NearDedup().threshold)


def _near_rows_are_together(data: Data) -> bool:
    """Whether near_dedup joined the groups of all near rows before the split: then no split is near to another.

    Not where a split or a benchmark has rows of its own, where something else than the input identifies a row, or
    where a later step changes texts or makes rows.
    """
    given = [data.split.valid, data.split.test]
    if data.decontaminate.against or data.decontaminate.identity or any(isinstance(each, Choice) for each in given):
        return False
    options = [step.options for step in data.clean]
    places = [
        place
        for place, each in enumerate(options)
        if isinstance(each, NearDedup) and each.threshold <= _threshold(data)
    ]
    makes_rows = any(isinstance(each, RowStep) and each.train_only for each in options)  # they run after the split
    return bool(places) and not makes_rows and not any(isinstance(each, RowStep) for each in options[places[-1] :])


def _identity(rows: Rows) -> Texts:
    return Column(rows, "identity") if "identity" in rows.columns else Compared(rows)


def _identities(rows: Rows) -> NDArray[np.uint64]:
    """Of the texts as they are."""
    if "identity" in rows.columns:
        return column_fingerprints(rows, "identity")
    return row_fingerprints(rows, text_compared, *compared_columns(rows, "none"))


def _of_their_groups(rows: Rows, gone: polars.Series, held: Sequence[Rows]) -> Table:
    """Drop events for other train rows of a group of a given valid or test row; dealt groups are never split."""
    import numpy as np

    groups = np.concatenate([distinct(part, "group") for part in held])
    own = column_fingerprints(rows, "group")[:, 0]
    shared = np.isin(own, groups) & ~has_id(rows, gone).to_numpy()
    ids = rows.take(np.flatnonzero(shared), "id")["id"]
    return events("drop", ids, "of the group of a valid or test row")


def _events(action: Action, hits: Table, rows: Rows, held: Mapping[str, Rows], what: Mapping[str, str]) -> Table:
    """An event for each of the rows found, with what it gives away: a row of `held`, one part of it after another."""
    import numpy as np
    import polars

    places, given_away, begin = hits["held_out"].to_numpy(), [], 0
    for name, part in held.items():
        own = np.flatnonzero((places >= begin) & (places < begin + len(part)))
        ids_of_part = part.take(places[own] - begin, "id")
        given_away.append(ids_of_part.with_columns(polars.Series("row", own), origin=polars.lit(what[name])))
        begin += len(part)
    kept = polars.concat(given_away).sort("row")
    kinds = hits["kind"].replace_strict(REASONS, return_dtype=polars.String)
    reasons = polars.select(polars.format("{} a {}", kinds, kept["origin"])).to_series()
    ids = rows.take(hits["text"].to_numpy(), "id")["id"]
    return events(action, ids, reasons, kept_ids=kept["id"], scores=hits["similarity"].round(6))


def _standing(train: Rows, held: Mapping[str, Rows], is_equalled: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """How many rows of valid and test stand in train, as they are (`identical`) and after normalising (`equal`).

    `is_equalled` says the latter of all held-out rows.
    """
    import numpy as np

    own = numbered(np.concatenate([_identities(part) for part in (train, *held.values())])).number
    is_identical = np.isin(own[len(train) :], own[: len(train)])
    ends = dict(zip(held, accumulate(len(part) for part in held.values()), strict=True))
    standing = {}
    for name in ("valid", "test"):
        some = slice(ends[name] - len(held[name]), ends[name])
        standing[name] = {"identical": int(is_identical[some].sum()), "equal": int(is_equalled[some].sum())}
    return standing
