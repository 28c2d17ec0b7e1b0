"""Arrow data of others as polars tables: checked for damage first, class numbers turned into their names.

Knows no file and no source. A damaged offset would crash the process, and bytes that are no UTF-8 spread unseen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ftkit.errors import DataError
from ftkit.prepare.formats.arrow_types import ArrowArray, ArrowColumn, ArrowSchema, ArrowTable, ArrowType
from ftkit.prepare.formats.json_rows import Value

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

YEARS = "the years 1 to 9999"
_BEGIN, _END = -719_162, 2_932_897  # of these years, in days since 1970
_PER_DAY = {
    "date32": 1,
    "date64": 86_400_000,
    "timestamp[s": 86_400,
    "timestamp[ms": 86_400_000,
    "timestamp[us": 86_400_000_000,
}


@dataclass(frozen=True)
class Sound:
    """The rows of an Arrow table that are not damaged, and a reason for each of the others by its row, from 0."""

    table: ArrowTable
    faults: dict[int, str]


def class_names(schema: ArrowSchema) -> dict[str, list[str]]:
    """Names of the classes of each ClassLabel column, by what the datasets library wrote beside an Arrow schema."""
    try:
        written: Value = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except ValueError:
        return {}
    features = _at(_at(written, "info"), "features")
    names = {name: _at(each, "names") for name, each in _items(features) if _at(each, "_type") == "ClassLabel"}
    return {name: list(map(str, each)) for name, each in names.items() if isinstance(each, list)}


def sound(place: str, table: ArrowTable) -> Sound:
    """The rows without damage. Raises DataError where more than a row is damaged. Call it before anything else: to
    follow a damaged offset would end the process."""
    import pyarrow as pa

    faults: dict[int, str] = {}
    for name in _names(place, table):
        try:
            table[name].validate(full=True)
        except pa.ArrowException as error:
            bad = _not_utf8(table[name])
            if not bad:
                raise DataError(f"{place}: column {name!r} is damaged: {error}; get the file again") from None
            faults |= dict.fromkeys(bad, f"column {name!r} holds bytes that are not UTF-8")
        else:
            faults |= dict.fromkeys(beyond_calendar(table[name]), f"column {name!r} holds a date beyond {YEARS}")
    if not faults:
        return Sound(table, {})
    return Sound(table.filter([row not in faults for row in range(table.num_rows)]), dict(sorted(faults.items())))


def beyond_calendar(column: ArrowColumn) -> list[int]:
    """Rows of a sound column that hold, at any depth, a date or a time of day outside the years 1 to 9999.

    Python has no such date, and polars panics on it.
    """
    rows: list[int] = []
    begin = 0
    for chunk in _chunks(column):
        rows += [begin + row for row in sorted(_beyond(chunk))]
        begin += len(chunk)
    return rows


def _beyond(array: ArrowArray) -> set[int]:
    import pyarrow as pa
    from pyarrow import compute

    kind = str(array.type)
    if "date" not in kind and "timestamp" not in kind:
        return set()
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        parents: list[int] = compute.list_parent_indices(array).to_pylist()
        return {parents[place] for place in _beyond(compute.list_flatten(array))}
    if pa.types.is_struct(array.type):
        fields = range(array.type.num_fields)  # type: ignore[attr-defined]
        return {row for index in fields for row in _beyond(compute.struct_field(array, index))}
    unit = next((unit for name, unit in _PER_DAY.items() if kind.startswith(name)), None)
    if unit is None:
        return set()
    times = compute.cast(array, pa.int32() if unit == 1 else pa.int64())
    spare = 1 if "tz=" in kind else 0  # day: a time zone shifts what stands near the ends
    begin, end = (_BEGIN + spare) * unit, (_END - spare) * unit
    is_beyond = compute.or_(compute.less(times, begin), compute.greater_equal(times, end))
    return {row for row, bad in enumerate(is_beyond.to_pylist()) if bad}


def pieces(table: ArrowTable, *, first: int, rows: int, num_bytes: int) -> Iterator[tuple[int, ArrowTable]]:
    """(first row, piece) of an Arrow table: each of at most so many rows and about so many bytes; the first piece of at
    most `first` rows, where that is not 0."""
    row_bytes = max(table.nbytes // max(table.num_rows, 1), 1)
    step = max(min(rows, num_bytes // row_bytes), 1)
    begin = min(first or step, table.num_rows)
    cuts = [0, *range(begin, table.num_rows, step), table.num_rows]
    for start, end in pairwise(cuts):
        if start < end:
            yield start, table.slice(start, end - start)


def as_polars(place: str, table: ArrowTable, labels: Mapping[str, Sequence[str]]) -> Table:
    """The table in polars: dictionaries become texts, and class numbers their names (null below 0)."""
    import polars

    made = []
    for name in table.column_names:
        try:
            column = polars.Series(name, table[name])
        except (polars.exceptions.PolarsError, polars.exceptions.PanicException, TypeError, ValueError) as error:
            kind = f"column {name!r} is of the type {table.schema.field(name).type}, which cannot be read"
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{place}: {kind}: {first}; leave it out or save it as another type") from None
        if isinstance(column.dtype, (polars.Categorical, polars.Enum)):
            column = column.cast(polars.String)
        if name in labels and column.dtype.is_integer():
            column = _named(place, column, labels[name])
        made.append(column)
    return polars.DataFrame(made)


def _names(place: str, table: ArrowTable) -> list[str]:
    try:
        names = list(table.column_names)
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: the name of a column is damaged: {error}; get the file again") from None
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{place}: column {twice[0]!r} stands twice; names must differ")
    return names


def _named(place: str, column: polars.Series, names: Sequence[str]) -> polars.Series:
    import polars

    largest = column.max()
    if isinstance(largest, int) and largest >= len(names):
        raise DataError(f"{place}: column {column.name!r} has the class {largest}, and names for {len(names)} only")
    texts = polars.Series([*names, None], dtype=polars.String)
    places = column.cast(polars.Int64).fill_null(-1)
    return texts.gather(places.set(places < 0, len(names))).alias(column.name)


def _at(value: Value, key: str) -> Value:
    """What stands under a key, where the value is an object that has it."""
    return value.get(key) if isinstance(value, dict) else None


def _items(value: Value) -> list[tuple[str, Value]]:
    return list(value.items()) if isinstance(value, dict) else []


def _not_utf8(column: ArrowColumn) -> list[int]:
    """Rows of a column of texts whose bytes are not UTF-8; none where it is another column, or damaged otherwise."""
    import pyarrow as pa

    binary: dict[ArrowType, ArrowType] = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
    as_bytes = binary.get(column.type)
    if as_bytes is None:
        return []
    places: list[int] = []
    begin = 0
    for chunk in _chunks(column):
        values = chunk.view(as_bytes)
        try:
            values.validate(full=True)  # offsets too: to follow a damaged one would end the process
        except pa.ArrowException:
            return []
        places += [begin + place for place, value in enumerate(values.to_pylist()) if not _is_utf8(value)]
        begin += len(chunk)
    return places


def _chunks(column: ArrowColumn) -> list[ArrowArray]:
    import pyarrow as pa

    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]  # of a batch one


def _is_utf8(value: bytes | None) -> bool:
    try:
        (value or b"").decode()
    except UnicodeDecodeError:
        return False
    return True
