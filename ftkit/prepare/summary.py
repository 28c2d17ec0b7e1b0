"""What prepare did and what the splits look like, in numbers: the record `summary.json`, and how it is counted.

Knows no step and no file; reads a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.words import num_words
from ftkit.prepare.threads import Threads
from ftkit.store import JsonRecord

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

SIDES = ("input", "target")
COUNTED_ROWS = 4_000  # at a time: one thread's share


class Lengths(JsonRecord):
    """How long the texts of one split are on one side."""

    characters_mean: float = Field(description="characters, mean over rows")
    characters_max: int = Field(description="characters of the longest text")
    words_mean: float = Field(description="words, mean over rows")
    words_max: int = Field(description="words of the text with most words")


class SideLengths(JsonRecord):
    """Lengths of what goes in and of what should come out."""

    input: Lengths = Field(description="of the inputs, without their history")
    target: Lengths = Field(description="of the targets")


class SplitSummary(JsonRecord):
    """What is in the splits."""

    labels: tuple[str, ...] = Field(description="labels of the task; empty to generate")
    rows: dict[str, int] = Field(description="rows, by split")
    groups: dict[str, int] = Field(description="groups of rows that are never split apart, by split")
    label_counts: dict[str, dict[str, int]] = Field(description="rows of each label, by split")
    lengths: dict[str, SideLengths] = Field(description="lengths of the texts, by split")


class FunnelLine(JsonRecord):
    """One step of prepare: rows that went in, and how many of them each action met (a row counts once)."""

    step: str = Field(description="name of the step")
    rows_in: int = Field(description="rows that the step saw")
    dropped: int = Field(description="rows that went no further")
    changed: int = Field(description="rows that go on with another text")
    flagged: int = Field(description="rows that go on as they are, with an event in the ledger")
    added: int = Field(0, exclude_if=lambda added: not added, description="rows that the step made; left out where 0")

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each action met."""
        return {"dropped": self.dropped, "changed": self.changed, "flagged": self.flagged, "added": self.added}


class Standing(JsonRecord):
    """How many rows of a held-out split stood in train, before train was cleared of them."""

    identical: int = Field(description="rows whose text is a train row's")
    equal: int = Field(description="rows whose text is a train row's after normalising")


class Summary(SplitSummary):
    """`summary.json`: what is in the splits, and what prepare did to get there."""

    funnel: tuple[FunnelLine, ...] = Field(description="the steps, in the order in which they ran")
    stood_in_train: dict[str, Standing] = Field(description="valid and test rows that were in train, by split")
    sources: dict[str, str] = Field(description="content id of each source: SHA-256 of its files, or repository@commit")
    test_sha256: str = Field(description="SHA-256 of the test rows; data.split.test_sha256 of a recipe pins it")


def split_summary(
    splits: Mapping[str, Rows], labels: Sequence[str], groups: Mapping[str, NDArray[np.uint64]], *, threads: int
) -> SplitSummary:
    """Rows, groups, labels and lengths (in characters and in words) of each split.

    `groups` are the `distinct` groups of each split.
    """
    return SplitSummary(
        labels=tuple(labels),
        rows={name: len(rows) for name, rows in splits.items()},
        groups={name: len(some) for name, some in groups.items()},
        label_counts={name: _counts(rows, labels) for name, rows in splits.items()},
        lengths={name: _lengths(rows, threads) for name, rows in splits.items()},
    )


def _counts(rows: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = dict.fromkeys(labels, 0)
    for batch in rows.batches("target") if labels else ():
        own_counts: Iterator[tuple[str, int]] = batch["target"].value_counts().iter_rows()
        for label, count in own_counts:
            counts[label] += count
    return counts


def _lengths(rows: Rows, threads: int) -> SideLengths:
    import polars

    def counted(part: Table) -> Table:
        counts = {f"{side} characters": part[side].str.len_chars() for side in SIDES}
        return polars.DataFrame(counts | {f"{side} words": num_words(part[side]) for side in SIDES})

    with Threads(threads) as workers:
        some = (part for batch in rows.batches(*SIDES) for part in batch.iter_slices(COUNTED_ROWS))
        counts = polars.concat(workers.in_turn(counted, some))
    sides = {side: _lengths_of(counts[f"{side} characters"], counts[f"{side} words"]) for side in SIDES}
    return SideLengths(input=sides["input"], target=sides["target"])


def _lengths_of(characters: polars.Series, words: polars.Series) -> Lengths:
    return Lengths(
        characters_mean=_mean(characters),
        characters_max=_max(characters),
        words_mean=_mean(words),
        words_max=_max(words),
    )


def _mean(counts: polars.Series) -> float:
    return round(float(counts.sum()) / len(counts), 3)


def _max(counts: polars.Series) -> int:
    longest = counts.max()
    assert isinstance(longest, int), longest
    return longest
