"""Excel workbooks. Ids default to '<file>:<row>', the number that Excel shows beside the row.

Knows no other format and no stage. Needs openpyxl, which the extra `ftkit[xlsx]` brings.
"""

from __future__ import annotations

import importlib
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import ClassVar, Protocol

from pydantic import Field

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError, MachineError
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.formats.openers import SourceFile, refuse_foreign, start_of
from ftkit.prepare.sources import Fault, FileSource, Found, gathered, require_columns
from ftkit.registry import component, suggest

_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")  # how Excel writes what XML cannot hold: _x000D_ is a carriage return
LARGEST = 2 << 30  # bytes of a workbook when unpacked: more is a bomb, or no table for Excel


class Xlsx(FileSource):
    """Workbooks with one record a row of a sheet, the names of the columns first; formulas by their last values."""

    sheet: str | None = Field(None, description="name of the sheet; default: the first one")
    columns: list[str] | None = Field(None, min_length=1, description="names, for a sheet without a header row")

    endings: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm")
    has_header: ClassVar[bool] = True


class _Cell(Protocol):
    """Of openpyxl, which has no types. Blank cells have no coordinate."""

    @property
    def value(self) -> str | float | date | time | timedelta | None: ...

    @property
    def data_type(self) -> str: ...

    @property
    def coordinate(self) -> str: ...


class _Sheet(Protocol):
    @property
    def title(self) -> str: ...

    def reset_dimensions(self) -> None: ...

    def iter_rows(self) -> Iterator[Sequence[_Cell]]: ...


class _Book(Protocol):
    @property
    def worksheets(self) -> list[_Sheet]: ...

    def close(self) -> None: ...


class _Openpyxl(Protocol):
    def load_workbook(self, filename: Path, *, read_only: bool, data_only: bool, keep_links: bool) -> _Book: ...


@component
def read(config: Xlsx, ctx: Context) -> Iterator[Batch]:
    """All rows that are not blank. Dates become ISO 8601 texts; a cell that holds an error is a fault of its row."""
    try:
        openpyxl: _Openpyxl = importlib.import_module("openpyxl")
    except ImportError:
        raise MachineError(
            "the source xlsx needs openpyxl: pip install 'ftkit[xlsx]', or save the sheet as csv"
        ) from None
    rows_by_file = ((file, _rows(config, file, openpyxl, ctx)) for file in config.files(ctx))
    yield from gathered(config, rows_by_file, ctx)


def _rows(config: Xlsx, file: SourceFile, openpyxl: _Openpyxl, ctx: Context) -> Iterator[Found]:
    book = _opened(file, openpyxl)
    try:
        names = config.columns
        for number, cells in _cells(file, _sheet(config, file, book, ctx)):
            values: list[Value] = [cell.value for cell in cells]
            while values and values[-1] in (None, ""):
                values.pop()
            if not values:
                continue
            if names is None:
                names = _header(config, file, number, values)
            else:
                yield number, _row(names, cells, values), sum(len(str(value)) for value in values)
    finally:
        book.close()


def _opened(file: SourceFile, openpyxl: _Openpyxl) -> _Book:
    start = start_of(file.path)
    if not start.startswith(b"PK\x03\x04"):
        refuse_foreign(file.path, start, wanted="an xlsx workbook")
        raise DataError(f"{file.path}: not an xlsx workbook; use the source of its format")
    try:
        with zipfile.ZipFile(file.path) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > LARGEST:
            raise DataError(f"{file.path}: unpacks to {size >> 20:,} MB; save so large a table as csv or parquet")
        return openpyxl.load_workbook(file.path, read_only=True, data_only=True, keep_links=False)
    except DataError:
        raise
    except Exception as error:  # openpyxl lets through whatever its parsers raise
        raise _damaged(file, error) from None


def _sheet(config: Xlsx, file: SourceFile, book: _Book, ctx: Context) -> _Sheet:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if not sheets:
        raise DataError(f"{file.path}: the workbook has no sheet of cells")
    if config.sheet is None:
        name = next(iter(sheets))
        if len(sheets) > 1:
            ctx.progress.say(f"{file.path}: read the sheet {name!r} of {', '.join(map(repr, sheets))} (sheet)")
        return sheets[name]
    if config.sheet not in sheets:
        raise DataError(f"{file.path}: there is no sheet {config.sheet!r}{suggest(config.sheet, sheets)}")
    return sheets[config.sheet]


def _cells(file: SourceFile, sheet: _Sheet) -> Iterator[tuple[int, Sequence[_Cell]]]:
    try:
        sheet.reset_dimensions()  # what a sheet says of its own size is often wrong
        rows = enumerate(sheet.iter_rows(), 1)
        while (numbered := next(rows, None)) is not None:
            yield numbered
    except Exception as error:  # openpyxl lets through whatever its parsers raise
        raise _damaged(file, error) from None


def _damaged(file: SourceFile, error: Exception) -> DataError:
    message = (str(error).splitlines() or [""])[0] or type(error).__name__
    return DataError(
        f"{file.path}: the workbook is damaged or cut off: {message}; open and save it in Excel, or get it again"
    )


def _header(config: Xlsx, file: SourceFile, number: int, values: list[Value]) -> list[str]:
    place = f"{file.path}:{number}"
    names = ["" if value is None else str(_plain(value)) for value in values]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{place}: column {twice[0]!r} stands twice in the header; names must differ")
    require_columns(place, names, [] if config.id is None else [config.id])
    return names


def _row(names: list[str], cells: Sequence[_Cell], values: list[Value]) -> dict[str, Value] | Fault:
    if len(values) > len(names):
        cell = cells[len(values) - 1]
        return Fault(f"cell {cell.coordinate} stands beyond the {len(names)} columns of the header")
    for cell in cells[: len(values)]:
        if cell.data_type == "e" or (isinstance(cell.value, float) and not math.isfinite(cell.value)):
            return Fault(f"cell {cell.coordinate} holds the error {cell.value}")
    values += [None] * (len(names) - len(values))
    return dict(zip(names, map(_plain, values), strict=True))


def _plain(value: Value) -> Value:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return _ESCAPE.sub(_meant, value).replace("\r\n", "\n") if isinstance(value, str) and "_x" in value else value


def _meant(escape: re.Match[str]) -> str:
    """The character that Excel wrote as its number; half of a surrogate pair is none, and stays."""
    code = int(escape[1], 16)
    return escape[0] if 0xD800 <= code < 0xE000 else chr(code)
