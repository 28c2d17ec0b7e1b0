"""Counts over the rows of one split, taken a table at a time: lengths, targets, repeated inputs, groups, odd rows.

Knows rows only: no ledger, no page, no other split. What stays in memory is 16 bytes a row, and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ftkit.texts.similarity import normalised, text_keys

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

    def add(self, ids: polars.Series, *, keep: int = EXAMPLES) -> None:
        """Count these rows too."""
        self.rows += len(ids)
        self.ids += ids.head(max(keep - len(self.ids), 0)).to_list()


class Tally:
    """Counts of one split; `add` takes its rows in order, `key_arrays` closes it.

    `lengths` by side and unit: a table of each length with its rows and the first id. `shortest` and `longest` have
    id and length of texts, `lightest` id and weight. `targets` is counted where the task has labels. The text of a
    row is its input, or its target where it has no input: rows of plain text have none.
    """

    def __init__(self, *, has_labels: bool) -> None:
        self.num_rows = 0
        self.lengths: dict[tuple[str, str], Table] = {}
        self.shortest: Table | None = None
        self.longest: Table | None = None
        self.lightest: Table | None = None
        self.targets: dict[str, Number] = {}
        self.target_in_input = Number()
        self.empty_history = Number()
        self.low_weight = Number()
        self.samples: list[Table] = []
        self._has_labels = has_labels
        self._input_keys: list[Keys] = []
        self._group_keys: list[Keys] = []

    def add(self, table: Table) -> None:
        """Count the rows of a table with `COLUMNS`."""
        import polars

        table = table.with_columns(polars.col("input", "target").fill_null(""))
        text = polars.when(polars.col("input") == "").then("target").otherwise("input")
        table = table.with_columns(text.alias("text"))
        if self.num_rows < SAMPLE_ROWS:
            sample = table.select("id", polars.col("text").str.head(SAMPLE_CHARS), "target")
            self.samples.append(sample.head(SAMPLE_ROWS - self.num_rows))
        self._add_lengths(table)
        self._add_texts(table)
        if self._has_labels:
            self._add_targets(table)
        self._add_odd_rows(table)
        self._group_keys.append(table["group"].hash().to_numpy())
        self.num_rows += table.height

    def key_arrays(self) -> tuple[Keys, Keys]:
        """A hash of each row's text (with its history), and one of its group. The tally gives them away."""
        import numpy as np

        inputs, groups = (
            np.concatenate([np.zeros(0, np.uint64), *parts]) for parts in (self._input_keys, self._group_keys)
        )
        self._input_keys, self._group_keys = [], []
        return inputs, groups

    @property
    def sample(self) -> Table:
        """Id, text (its first 1,000 characters) and target of the first 5,000 rows."""
        import polars

        empty = polars.DataFrame(schema=dict.fromkeys(("id", "text", "target"), polars.String))
        return polars.concat([empty, *self.samples])

    def _add_lengths(self, table: Table) -> None:
        import polars

        counts = table.select(
            "id",
            *(polars.col(side).str.len_chars().cast(polars.Int64).alias(f"{side} characters") for side in SIDES),
            *(polars.col(side).str.count_matches(r"\S+").cast(polars.Int64).alias(f"{side} words") for side in SIDES),
        )
        for side in SIDES:
            for unit in UNITS:
                own = counts.select("id", polars.col(f"{side} {unit}").alias("length"))
                new = own.group_by("length").agg(
                    polars.len().cast(polars.Int64).alias("rows"), polars.col("id").first()
                )
                self.lengths[side, unit] = _merged(self.lengths.get((side, unit)), new)
        own = table.select("id", polars.col("text").str.len_chars().cast(polars.Int64).alias("length"))
        self.shortest = _best(self.shortest, own, by="length", descending=False)
        self.longest = _best(self.longest, own, by="length", descending=True)

    def _add_texts(self, table: Table) -> None:
        """Keys of texts, and targets whose words stand in the input one after another."""
        import polars

        plain = normalised(table["text"])
        wordless = plain == ""
        key = plain if not wordless.any() else plain.zip_with(~wordless, text_keys(table["text"]))
        turns = polars.col("history").list.eval(polars.element().struct.json_encode()).list.join("\n")
        keyed = table.select(key.alias("key"), turns.fill_null("").alias("turns"))
        self._input_keys.append(keyed.select(polars.struct("key", "turns").hash().alias("hash"))["hash"].to_numpy())
        target = _normalised_once(table["target"])
        padded = polars.select(
            polars.format(" {} ", plain).alias("input"), polars.format(" {} ", target).alias("target")
        )
        within = padded["input"].str.contains(padded["target"], literal=True) & (target != "")
        within &= table["input"] != ""
        self.target_in_input.add(table["id"].filter(within))

    def _add_targets(self, table: Table) -> None:
        import polars

        found = table.group_by("target").agg(polars.len().alias("rows"), polars.col("id").head(FEW).alias("ids"))
        for target, rows, ids in found.iter_rows():
            number = self.targets.setdefault(target, Number())
            number.rows += rows
            number.ids += ids[: FEW - len(number.ids)]

    def _add_odd_rows(self, table: Table) -> None:
        self.empty_history.add(table["id"].filter(table["history"].list.len().fill_null(0) == 0))
        low = (table["weight"] < 1).fill_null(False)
        if low.any():
            self.low_weight.add(table["id"].filter(low))
            light = table.filter(low).select("id", "weight")
            self.lightest = _best(self.lightest, light, by="weight", descending=False)


def _merged(old: Table | None, new: Table) -> Table:
    """Counts of lengths, ascending; of the same length the first id stays."""
    import polars

    both = new if old is None else polars.concat([old, new])
    return both.group_by("length").agg(polars.col("rows").sum(), polars.col("id").first()).sort("length")


def _best(old: Table | None, new: Table, *, by: str, descending: bool) -> Table:
    """The first of both tables when sorted; ties stay in order."""
    import polars

    both = new if old is None else polars.concat([old, new])
    return both.sort(by, descending=descending, maintain_order=True).head(EXAMPLES)


def _normalised_once(texts: polars.Series) -> polars.Series:
    """`normalised`, computed once for equal texts: labels are few."""
    distinct = texts.unique()
    pairs = distinct.to_frame("text").with_columns(normalised(distinct).alias("plain"))
    return texts.to_frame("text").join(pairs, on="text", how="left", maintain_order="left")["plain"]
