"""Counts over the rows of one split, some rows at a time: lengths, targets, repeated inputs, groups, odd rows.

Knows rows only: no ledger, no page, no other split. What stays in memory is 16 bytes a row, and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ftkit.prepare.texts.normal import normalised
from ftkit.prepare.texts.similarity import plain_of, text_keys
from ftkit.prepare.texts.words import num_words

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

    Keys: TypeAlias = NDArray[np.uint64]

COLUMNS = ("id", "input", "target", "group", "history", "weight")
SIDES, UNITS = ("input", "target"), ("characters", "words")
EXAMPLES = 20  # rows kept beside one number
FEW = 3  # rows kept beside one of many numbers
SAMPLE_ROWS = 5_000
SAMPLE_CHARS = 1_000


@dataclass
class Number:
    """How many rows, and the ids of the first of them."""

    rows: int = 0
    ids: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, ids: polars.Series) -> Number:
        """Of the rows with these ids."""
        return cls(len(ids), ids.head(EXAMPLES).to_list())

    def add(self, later: Number, *, keep: int = EXAMPLES) -> None:
        """Count rows that follow too."""
        self.rows += later.rows
        self.ids += later.ids[: max(keep - len(self.ids), 0)]


@dataclass
class Tally:
    """Counts of some rows of a split.

    `lengths` by side and unit: a table of each length, in no order, with its rows and the first id. `shortest` and
    `longest` have id and length of texts, `lightest` id and weight. `targets` is counted where the task has labels. The
    text of a row is its input, or its target where it has no input: rows of plain text have none. `sample` has id, text
    (its first 1,000 characters) and target of the first 5,000 rows. Of each row there is a hash of its text (with its
    history) in `input_keys`, and one of its group in `group_keys`.
    """

    num_rows: int
    lengths: dict[tuple[str, str], Table]
    shortest: Table
    longest: Table
    lightest: Table
    targets: dict[str, Number]
    target_in_input: Number
    empty_history: Number
    low_weight: Number
    sample: Table
    input_keys: list[Keys]
    group_keys: list[Keys]

    @classmethod
    def of(cls, table: Table, *, has_labels: bool) -> Tally:
        """Counts of the rows of a table with `COLUMNS`."""
        import polars

        table = table.with_columns(polars.col("input", "target").fill_null(""))
        text = polars.when(polars.col("input") == "").then("target").otherwise("input")
        table = table.with_columns(text.alias("text"))
        lengths = table.select("id", length=_characters(table["text"]))
        is_light = (table["weight"] < 1).fill_null(False)
        keys = text_keys(table["text"])
        return cls(
            num_rows=table.height,
            lengths=_lengths(table),
            shortest=_first(lengths, by="length"),
            longest=_first(lengths, by="length", descending=True),
            lightest=_first(table.filter(is_light).select("id", "weight"), by="weight"),
            targets=_targets(table) if has_labels else {},
            target_in_input=Number.of(table["id"].filter(_has_target(table, plain_of(keys)))),
            empty_history=Number.of(table["id"].filter(table["history"].list.len().fill_null(0) == 0)),
            low_weight=Number.of(table["id"].filter(is_light)),
            sample=table.head(SAMPLE_ROWS).select("id", polars.col("text").str.head(SAMPLE_CHARS), "target"),
            input_keys=[_input_keys(table, keys)],
            group_keys=[table["group"].hash().to_numpy()],
        )

    def add(self, later: Tally) -> None:
        """Count the rows that follow too."""
        import polars

        self.num_rows += later.num_rows
        for kind, counts in later.lengths.items():
            self.lengths[kind] = _merged(polars.concat([self.lengths[kind], counts]))
        self.shortest = _first(polars.concat([self.shortest, later.shortest]), by="length")
        self.longest = _first(polars.concat([self.longest, later.longest]), by="length", descending=True)
        self.lightest = _first(polars.concat([self.lightest, later.lightest]), by="weight")
        for target, number in later.targets.items():
            self.targets.setdefault(target, Number()).add(number, keep=FEW)
        self.target_in_input.add(later.target_in_input)
        self.empty_history.add(later.empty_history)
        self.low_weight.add(later.low_weight)
        if self.sample.height < SAMPLE_ROWS:
            self.sample = polars.concat([self.sample, later.sample]).head(SAMPLE_ROWS)
        self.input_keys += later.input_keys
        self.group_keys += later.group_keys

    def take_input_keys(self) -> Keys:
        """The keys of all rows. The tally gives them away, for they are large."""
        return _taken(self.input_keys)

    def take_group_keys(self) -> Keys:
        """The same of groups."""
        return _taken(self.group_keys)


def _taken(parts: list[Keys]) -> Keys:
    import numpy as np

    keys = np.concatenate(parts)
    parts.clear()
    return keys


def _lengths(table: Table) -> dict[tuple[str, str], Table]:
    """How many rows have each length, by side and unit."""
    import polars

    rows = polars.len().cast(polars.Int64).alias("rows")
    return {
        (side, unit): polars.DataFrame({"length": lengths, "id": table["id"]})
        .group_by("length")
        .agg(rows, polars.col("id").first())
        for side in SIDES
        for unit, lengths in zip(UNITS, (_characters(table[side]), num_words(table[side])), strict=True)
    }


def _characters(texts: polars.Series) -> polars.Series:
    import polars

    return texts.str.len_chars().cast(polars.Int64)


def _merged(counts: Table) -> Table:
    """Counts of lengths; of the same length the first id stays."""
    import polars

    return counts.group_by("length").agg(polars.col("rows").sum(), polars.col("id").first())


def _first(table: Table, *, by: str, descending: bool = False) -> Table:
    """The first rows when sorted; ties stay in order."""
    return table.sort(by, descending=descending, maintain_order=True).head(EXAMPLES)


def _input_keys(table: Table, keys: polars.Series) -> Keys:
    """Hashes of texts as normalised, and of what was said before."""
    import polars

    turns = polars.col("history").list.eval(polars.element().struct.json_encode()).list.join("\n")
    keyed = table.select(keys.alias("key"), turns.fill_null("").alias("turns"))
    hashes: Keys = keyed.select(polars.struct("key", "turns").hash().alias("hash"))["hash"].to_numpy()
    return hashes


def _has_target(table: Table, plain: polars.Series) -> polars.Series:
    """Whether the words of the target stand in the input one after another."""
    import polars

    target = _normalised_once(table["target"])
    padded = polars.select(polars.format(" {} ", plain).alias("input"), polars.format(" {} ", target).alias("target"))
    within = polars.col("input").str.contains(polars.col("target"), literal=True)
    return padded.select(within)["input"] & (target != "") & (table["input"] != "")


def _targets(table: Table) -> dict[str, Number]:
    import polars

    counts = table.group_by("target").agg(polars.len().alias("rows"), polars.col("id").head(FEW).alias("ids"))
    return {target: Number(rows, ids) for target, rows, ids in counts.iter_rows()}


def _normalised_once(texts: polars.Series) -> polars.Series:
    """`normalised`, computed once for equal texts: labels are few."""
    distinct = texts.unique()
    pairs = distinct.to_frame("text").with_columns(normalised(distinct).alias("plain"))
    return texts.to_frame("text").join(pairs, on="text", how="left", maintain_order="left")["plain"]
