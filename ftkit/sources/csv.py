"""Comma-separated values in UTF-8, quoted line breaks included. Ids default to '<file>:<line>'.

Knows no other format and no stage.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.registry import component
from ftkit.sources import FileSource, check_ids, require_columns

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Csv(FileSource):
    """A file with one record a row, the names of the columns first."""

    delimiter: str = Field(",", min_length=1, max_length=1, description='between fields; "\\t" for tabs')
    quotes: Literal["double", "none"] = Field("double", description="none: quotation marks are plain characters")
    columns: list[str] | None = Field(None, min_length=1, description="names, for a file without a header line")


@component
def read(config: Csv, ctx: Context, *, head: int | None = None) -> Table:
    """All rows, or the first `head`, as text. Raises DataError with file:line for a malformed record."""
    import polars

    path = config.file(ctx)
    records = _records(config, path)
    if config.columns is None:
        number, names = next(records, (1, []))
    else:
        number, names = 1, config.columns
    _check_header(f"{path}:{number}", names, config)
    numbers, rows = [], []
    for number, record in islice(records, head):
        if len(record) != len(names):
            found = f"found {len(record)}: a quote or a delimiter too many or too few?"
            raise DataError(f"{path}:{number}: expected {len(names)} fields, {found}")
        numbers.append(number)
        rows.append(record)
    if not rows:
        raise DataError(f"{path}: there is no row in the file")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    ids = [f"{path.name}:{number}" for number in numbers] if config.id is None else columns[config.id]
    check_ids(ids, [f"{path}:{number}" for number in numbers])
    return polars.DataFrame({"id": ids, **{name: values for name, values in columns.items() if name != "id"}})


def _records(config: Csv, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line where the record begins, its fields); blank lines are passed over."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if config.quotes == "none" else csv.QUOTE_MINIMAL
    begin = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=config.delimiter, quoting=quoting, strict=True)
            for record in reader:
                if record:
                    yield begin, record
                begin = reader.line_num + 1
    except UnicodeDecodeError as error:
        number = _first_line_not_utf8(path)
        raise DataError(f"{path}:{number}: not UTF-8 ({error.reason}); save as UTF-8") from None
    except csv.Error as error:
        hint = "is a quote left open, or not doubled?" if config.quotes == "double" else "is this a text file?"
        raise DataError(f"{path}:{begin}: not valid CSV: {error}; {hint}") from None


def _first_line_not_utf8(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8-sig")
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} is UTF-8")


def _check_header(place: str, names: list[str], config: Csv) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{place}: column {twice[0]!r} stands twice in the header; names must differ")
    try:
        require_columns(place, names, config.wanted)
    except DataError as error:
        if len(names) == 1 and config.columns is None:
            raise DataError(f"{error}; the header is one field: is the delimiter {config.delimiter!r}?") from None
        raise
