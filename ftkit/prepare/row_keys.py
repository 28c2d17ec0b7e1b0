"""Keys of rows for steps that compare them: texts as compared, numbers of texts, times, the order rows are kept in.

Knows no step and no split. Reads rows batch by batch; of texts numbers stay in memory, 8 to 32 bytes a row.
"""

# N rows; a digest or fingerprint is two numbers of 64 bits, so that those of all rows have the shape (N, 2)

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from ftkit.errors import DataError
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.similarity import digests, fingerprints, text_keys
from ftkit.prepare.threads import Threads
from ftkit.records import Example

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

Keep: TypeAlias = Literal["first", "longest", "newest"]
Normalize: TypeAlias = Literal["words", "case", "none"]
WHAT_COUNTS = "of inputs: NFKC, lower case, words and signs; case: punctuation counts too; none: all counts"
KEYED_ROWS = 8_000  # whose keys are made at a time: one thread's share
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = r"^[+-]?\d+$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


KEY = "key"  # the column of `with_keys`


def with_keys(table: Table) -> Table:
    """Rows with the `text_keys` of what identifies them, for the steps that follow; until a text is changed."""
    return table.with_columns(text_keys(identities(table)).alias(KEY))


def identities(table: Table) -> polars.Series:
    """What identifies each row, to steps, leaks and guards alike: its input behind all that was said before it.

    Each message stands on a line of its own. A row that asks nothing is identified by its target.
    """
    import polars

    said = polars.col("input")
    if "history" in table.columns:
        earlier = polars.col("history").list.eval(polars.element().struct.field("content")).list.join("\n")
        has_history = polars.col("history").list.len() > 0
        said = polars.when(has_history).then(polars.concat_str(earlier, "input", separator="\n")).otherwise("input")
    texts = table.select(said.alias("said"))["said"]
    is_nothing = texts.str.strip_chars() == ""
    return texts.zip_with(~is_nothing, table["target"]) if is_nothing.any() else texts


def example_keys(rows: Sequence[Example]) -> polars.Series:
    """The `text_keys` of what identifies published rows: equal for rows that count as the same."""
    import polars

    message = polars.Struct({"role": polars.String, "content": polars.String})
    columns = {
        "input": polars.Series([row.input for row in rows], dtype=polars.String),
        "target": polars.Series([row.target for row in rows], dtype=polars.String),
        "history": polars.Series([list(row.history) for row in rows], dtype=polars.List(message)),
    }
    return text_keys(identities(polars.DataFrame(columns)))


def answers(table: Table) -> polars.Series:
    """The target of each row; null where that is what identifies it, so that no other answer stands beside it."""
    import polars

    is_asked = polars.col("input").str.strip_chars() != ""
    if "history" in table.columns:
        is_asked |= polars.col("history").list.len() > 0
    if "plain_text" in table.columns:
        is_asked &= ~polars.col("plain_text")
    return table.select(polars.when(is_asked).then("target").alias("target"))["target"]


def answer_columns(rows: Rows) -> list[str]:
    """The columns that say what is asked of rows, and what is answered, see `answers`."""
    return _read_for(rows, "input", "target", "history", "plain_text")


def compared_columns(rows: Rows, normalize: Normalize = "words") -> list[str]:
    """The columns that say whether two rows are the same, see `identities`."""
    is_known = normalize == "words" and KEY in rows.columns
    return [KEY] if is_known else _read_for(rows, "input", "target", "history")


def compared(table: Table, normalize: Normalize) -> polars.Series:
    """What is compared of rows, such that equal texts count as the same."""
    if normalize == "words":
        return table[KEY] if KEY in table.columns else text_keys(identities(table))
    texts = identities(table)
    if normalize == "case":
        plain = texts.str.normalize("NFKC").str.to_lowercase()
        return plain.str.replace_all(r"\s+", " ").str.strip_chars()
    return texts


class Compared:
    """What is compared of all rows, a batch at a time, as texts or as their keys."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns = compared_columns(rows)
        self.are_keys = self._columns == [KEY]

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self) -> Iterator[polars.Series]:
        """One batch for each of the rows'."""
        for batch in self._rows.batches(*self._columns):
            yield batch[KEY] if self.are_keys else identities(batch)


def row_digests(rows: Rows, key: Callable[[Table], polars.Series], *columns: str) -> NDArray[np.uint64]:
    """`digests` of a text of each row, shape (rows, 2). `key` is given batches of these columns."""
    import numpy as np

    return np.concatenate([digests(key(batch)) for batch in rows.batches(*columns)])


def row_fingerprints(
    rows: Rows, key: Callable[[Table], polars.Series], *columns: str, threads: int = 1
) -> NDArray[np.uint64]:
    """`fingerprints` of a text of each row, shape (rows, 2): to tell what is equal. `key` as for `row_digests`."""
    import numpy as np

    some = (part for batch in rows.batches(*columns) for part in batch.iter_slices(KEYED_ROWS))
    with Threads(threads) as workers:
        of_parts = workers.in_turn(lambda part: fingerprints(key(part)), some)
        return np.concatenate([np.zeros((0, 2), np.uint64), *of_parts])


def column_fingerprints(rows: Rows, column: str) -> NDArray[np.uint64]:
    """`fingerprints` of a column of texts."""
    return row_fingerprints(rows, lambda batch: batch[column], column)


def compared_fingerprints(rows: Rows, normalize: Normalize, *, threads: int = 1) -> NDArray[np.uint64]:
    """`fingerprints` of what is `compared`."""
    columns = compared_columns(rows, normalize)
    return row_fingerprints(rows, lambda batch: compared(batch, normalize), *columns, threads=threads)


def answer_fingerprints(rows: Rows) -> NDArray[np.uint64]:
    """`fingerprints` of the `answers`."""
    return row_fingerprints(rows, answers, *answer_columns(rows))


def has_id(rows: Rows, ids: polars.Series) -> polars.Series:
    """Whether the id of each row is one of some others."""
    import numpy as np
    import polars

    known = fingerprints(ids.unique())
    known = known[np.argsort(known[:, 0])]
    parts = [np.zeros(0, bool)]
    for batch in rows.batches("id") if len(known) else ():
        own = fingerprints(batch["id"])
        # by the first half alone: two ids that share it would hide one another, at ten million with p < 1e-5
        place = np.minimum(np.searchsorted(known[:, 0], own[:, 0]), len(known) - 1)
        parts.append(_equal_rows(known[place], own))
    return polars.Series(np.concatenate(parts) if len(known) else np.zeros(len(rows), bool))


def distinct(rows: Rows, column: str) -> NDArray[np.uint64]:
    """A number for each of the different texts of a column; two of ten million share one with p < 1e-5."""
    import numpy as np

    return np.unique(column_fingerprints(rows, column)[:, 0])


def pairs_of_texts(table: Table) -> polars.Series:
    """Input and target of each row as one text; other pairs give other texts."""
    import polars

    # the length comes first, or an input could borrow the beginning of its target
    joined = polars.format("{}:{}{}", polars.col("input").str.len_bytes(), "input", "target")
    return table.select(joined.alias("pair"))["pair"]


def kept_order(rows: Rows, keep: Keep) -> NDArray[np.int64]:
    """Positions of the rows in the order in which they are kept.

    first: as they stand. longest: more characters of input first. newest: later in the column `time` first, see
    `times`. Ties go by a digest of input and target, then by id, so that the order of the rows decides nothing.
    Raises DataError where there is no column `time`.
    """
    import numpy as np
    import polars

    if keep == "first":
        return np.arange(len(rows))
    if keep == "longest":
        parts = [batch["input"].str.len_chars() for batch in rows.batches("input")]
        sizes = polars.concat(parts)
    elif "time" in rows.columns:
        sizes = times(rows.batches("id", "time"))
    else:
        raise DataError("keep: newest needs to know when a row was made; name that column as data.split.time")
    largest_first = -sizes.to_numpy().astype(np.float64 if sizes.dtype.is_float() else np.int64)
    contents_N2 = row_digests(rows, pairs_of_texts, "input", "target")
    order = np.lexsort((contents_N2[:, 1], contents_N2[:, 0], largest_first))
    # only equality of keys counts from here on, so the bits of a size do as well as the size
    return _ties_by_id(rows, order, np.column_stack([largest_first.view(np.uint64), contents_N2]))


def _read_for(rows: Rows, *columns: str) -> list[str]:
    return [name for name in columns if name in rows.columns]


def _equal_rows(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which rows of two tables of numbers are the same."""
    equal: NDArray[np.bool_] = (left == right).all(axis=1)
    return equal


def _ties_by_id(rows: Rows, order: NDArray[np.int64], keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The order with rows of equal keys sorted by id; ids are read of these rows only."""
    import numpy as np
    import polars

    ordered = keys[order]
    same = np.zeros(len(order) + 1, bool)
    same[1:-1] = _equal_rows(ordered[1:], ordered[:-1])  # as the one before
    tied = same[:-1] | same[1:]  # as the one before, or as the next one
    places = order[tied]
    runs = np.cumsum(~same[:-1])[tied]  # rows of equal keys have one number
    table = rows.take(places, "id").with_columns(polars.Series("run", runs), polars.Series("place", places))
    order[tied] = table.sort("run", "id")["place"].to_numpy()
    return order


def times(tables: Iterable[Table]) -> polars.Series:
    """The column `time` of all tables as numbers: a later time is a larger one. `id` names a row in errors.

    All values are numbers (seconds since 1970, years, …), or all are ISO 8601 dates and times, which become
    microseconds; without an offset they count as UTC. Raises DataError for anything else, naming the first row.
    """
    import polars

    parts: list[polars.Series] = []
    for table in tables:
        if table.is_empty():
            continue
        values, ids = table["time"], table["id"]
        empty = values.is_null() if values.dtype != polars.String else values.fill_null("").str.strip_chars() == ""
        if empty.any():
            raise DataError(f"{ids.filter(empty)[0]}: has no time; give it one, or drop the row from the source")
        parts.append(_numbers_or_instants(values, ids))
        if parts[0].dtype.is_temporal() != parts[-1].dtype.is_temporal():
            earlier = "dates" if parts[0].dtype.is_temporal() else "numbers"
            raise DataError(f"{ids[0]}: time is {values[0]!r}, and earlier rows have {earlier}; use one of both")
    if not parts:
        return polars.Series("time", [], polars.Int64)
    fractions = any(part.dtype == polars.Float64 for part in parts)
    return polars.concat([part.cast(polars.Float64) if fractions else part.to_physical() for part in parts])


def _numbers_or_instants(values: polars.Series, ids: polars.Series) -> polars.Series:
    """Int64 or Float64, or instants as Datetime in UTC."""
    import polars

    if isinstance(values.dtype, polars.Datetime | polars.Date):
        zone = values.dtype.time_zone if isinstance(values.dtype, polars.Datetime) else None
        plain = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else values
        return plain.cast(polars.Datetime("us"))
    if values.dtype.is_numeric():
        return _as_number(values, values, ids, whole=values.dtype.is_integer())
    texts = values.cast(polars.String).str.strip_chars()
    if texts.str.contains(_NUMBER).all():
        return _as_number(texts, values, ids, whole=bool(texts.str.contains(_WHOLE).all()))
    return _instants(texts, ids)


def _as_number(texts: polars.Series, values: polars.Series, ids: polars.Series, *, whole: bool) -> polars.Series:
    import polars

    numbers = texts.cast(polars.Int64 if whole else polars.Float64, strict=False)
    wrong = numbers.is_null() | ~numbers.is_finite()
    if wrong.any():
        raise DataError(f"{ids.filter(wrong)[0]}: time is {values.filter(wrong)[0]!r}; expected a number of 64 bits")
    return numbers


def _instants(texts: polars.Series, ids: polars.Series) -> polars.Series:
    import numpy as np
    import polars

    named: Iterator[tuple[str, str]] = zip(texts, ids, strict=True)
    micros = np.fromiter((_micros(text, name) for text, name in named), np.int64, count=len(texts))
    return polars.Series(micros).cast(polars.Datetime("us"))


def _micros(text: str, name: str) -> int:
    """Microseconds since 1970 of an ISO 8601 date or time."""
    # Python reads eight digits as a date; among dates they are one, but a number would be a date in another batch
    if re.match(_NUMBER, text) is None:
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            return (aware - _EPOCH) // timedelta(microseconds=1)
    raise DataError(
        f"{name}: time is {text!r}; expected a date or time as 2024-05-31 or 2024-05-31T17:05:00+02:00, "
        "or numbers in all rows"
    )
