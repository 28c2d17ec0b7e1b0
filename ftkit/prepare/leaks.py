"""Clears valid of test rows, and train of rows that give valid, test or a benchmark away; counts what stood in train.

Knows the splits and the recipe's `data.decontaminate`; which texts match is said by `contamination`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from ftkit.contracts import Marked
from ftkit.errors import DataError
from ftkit.prepare.cleaning import RowStep, events
from ftkit.prepare.cleaning.near_dedup import NearDedup
from ftkit.prepare.passes import Workshop, apply_marks
from ftkit.prepare.row_keys import (
    Compared,
    column_fingerprints,
    compared_fingerprints,
    distinct,
    has_id,
)
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.contamination import Hits, hits
from ftkit.prepare.texts.similarity import Column, Numbered, Texts, numbered, read_plain
from ftkit.recipe.data_block import Data
from ftkit.registry import Choice

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

MAX_SHARED = 0.05  # of valid
SHOWN = 5
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
    """Rows that equal, contain or are near to a held-out row leave: of valid those near to test, of train all.

    Raises DataError where more than `MAX_SHARED` of given valid rows do.
    """
    import polars

    number = work.ledger.begin("decontaminate")
    what = {"valid": "valid row", "test": "test row"} | {name: f"row of data.decontaminate.{name}" for name in against}
    rows, valid, test = splits["train"], splits["valid"], splits["test"]
    held = {"test": test, "valid": valid, **against}
    found = _found(data, held, rows, work)
    standing = _standing(rows, held, found.of_train.is_equalled)
    close = _events(found.of_valid.table, valid, {"test": test}, what)
    _refuse_shared(data, close, len(valid))
    if close.height:
        counted = f"{close.height:,} of {len(valid):,} valid rows"
        work.ctx.progress.say(f"decontaminate: {counted} equal, contain or are near to a test row: they leave valid")
    valid = apply_marks(valid, Marked(close), number, work)
    direct = _events(found.of_train.table, rows, held, what)
    dropped = polars.concat([direct, _of_their_groups(rows, direct["id"], [valid, test])])
    train = apply_marks(rows, Marked(dropped), number, work)
    work.ledger.add(number, len(test), events("flag", polars.Series(dtype=polars.String), ""))
    work.ledger.say(number)
    return Cleared({**splits, "train": train, "valid": valid}, standing)


@dataclass(frozen=True)
class _Found:
    """Valid rows that give test away, and train rows that give any held-out row away."""

    of_valid: Hits
    of_train: Hits


def _found(data: Data, held: Mapping[str, Rows], rows: Rows, work: Workshop) -> _Found:
    """`held` begins with test and valid. An identity of the recipe's own finds more rows, and hides no equal ones."""
    import numpy as np

    def say(split: str, text: str) -> None:
        work.ctx.progress.say(f"decontaminate: of {split}, {text}")

    parts = [*held.values(), rows]
    num_test, num_valid, num_held_out = len(held["test"]), len(held["valid"]), sum(map(len, held.values()))
    threshold = None if _near_rows_are_together(data) and work.is_complete else _threshold(data)
    threads, texts = work.ctx.machine.num_threads, [_identity(part) for part in parts]
    with (
        work.ctx.progress.bar("decontaminate", len(rows)) as bar,
        read_plain(*texts, fold=True, threads=threads) as plain,
    ):
        search = partial(hits, plain, threshold=threshold, threads=threads)
        of_valid = search(num_held_out=num_test, num_texts=num_valid, say=partial(say, "valid"))
        of_train = search(
            num_held_out=num_held_out, num_texts=len(rows), on_progress=bar.advance, say=partial(say, "train")
        )
    if data.decontaminate.identity is None:
        return _Found(of_valid, of_train)
    same = numbered(np.concatenate([compared_fingerprints(part, "words", threads=threads) for part in parts]))
    return _Found(
        _with_equal(of_valid, same, num_held_out=num_test, num_texts=num_valid),
        _with_equal(of_train, same, num_held_out=num_held_out, num_texts=len(rows)),
    )


def _with_equal(found: Hits, same: Numbered, *, num_held_out: int, num_texts: int) -> Hits:
    """What was found, and texts that are `same` as held-out ones, which stand before them."""
    import numpy as np
    import polars

    number = same.number[num_held_out : num_held_out + num_texts]
    first = same.place[number]
    is_equal: NDArray[np.bool_] = first < num_held_out
    places = np.flatnonzero(is_equal)
    columns = {"text": places, "held_out": first[is_equal], "similarity": np.ones(len(places))}
    equal = polars.DataFrame(columns).with_columns(kind=polars.lit("equal"))
    others = found.table.filter(~polars.Series(is_equal).gather(found.table["text"]))
    is_equalled = found.is_equalled | np.isin(same.number[:num_held_out], number[is_equal])
    return Hits(polars.concat([others, equal]).sort("text"), is_equalled)


def _refuse_shared(data: Data, close: Table, num_valid: int) -> None:
    """Valid rows that were dealt may share more: there are no other ones to give."""
    if not isinstance(data.split.valid, Choice) or close.height <= MAX_SHARED * num_valid:
        return
    shown = close.head(SHOWN).select("id", "reason", "kept_id").iter_rows()
    named = "; ".join(f"{name}: {reason}, {kept_id}" for name, reason, kept_id in shown)
    more = "; …" if close.height > SHOWN else ""
    raise DataError(
        f"data.split.valid: {close.height:,} of {num_valid:,} rows give test rows away, and what is chosen on them is "
        f"chosen on test: {named}{more}. Give other rows: up to {MAX_SHARED:.0%} of valid leave it, more are an error"
    )


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
    return compared_fingerprints(rows, "none")


def _of_their_groups(rows: Rows, gone: polars.Series, held: Sequence[Rows]) -> Table:
    """Drop events for other train rows of a group of a given valid or test row; dealt groups are never split."""
    import numpy as np

    groups = np.concatenate([distinct(part, "group") for part in held])
    own = column_fingerprints(rows, "group")[:, 0]
    shared = np.isin(own, groups) & ~has_id(rows, gone).to_numpy()
    ids = rows.take(np.flatnonzero(shared), "id")["id"]
    return events("drop", ids, "of the group of a valid or test row")


def _events(hits: Table, rows: Rows, held: Mapping[str, Rows], what: Mapping[str, str]) -> Table:
    """A drop event for each of the rows found, with the row of `held` that it gives away, part after part."""
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
    return events("drop", ids, reasons, kept_ids=kept["id"], scores=hits["similarity"].round(6))


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
