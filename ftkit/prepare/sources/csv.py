"""Comma-, tab- or otherwise separated values, quoted line breaks included. Ids default to '<file>:<line>'.

Knows no other format and no stage.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats.encodings import LONGEST_LINE, SAMPLE_BYTES, Line, NotTextError
from ftkit.prepare.formats.openers import SourceFile
from ftkit.prepare.sources import TOO_LONG, Fault, Found, Opened, TextSource, gathered, opened, require_columns
from ftkit.registry import component

LONGEST_RECORD = 16 << 20  # characters; a quote that is left open takes in no more
_TOLD = re.compile(rb'"?sep=([\t,;|:])"?(?:\r\n|\r|\n)', re.I)  # the line that tells Excel the delimiter: no record
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


class Csv(TextSource):
    """Files with one record a row, the names of the columns first. All values are texts."""

    delimiter: str = Field("auto", description='between fields, such as ";" or "\\t"; auto: found from the first rows')
    quotes: Literal["auto", "double", "none"] = Field(
        "auto", description="double: fields may stand in double quotes; none: quotation marks are plain characters"
    )
    columns: list[str] | None = Field(None, min_length=1, description="names, for a file without a header line")

    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab")
    has_header: ClassVar[bool] = True

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if value != "auto" and (len(value) != 1 or value in '"\r\n'):
            raise ValueError(f"expected one character or auto, found {value!r}")
        return value


@component
def read(config: Csv, ctx: Context) -> Iterator[Batch]:
    """All rows, as text. A record that does not fit is a fault; the lines that an open quote took in are read again."""
    if csv.field_size_limit() < LONGEST_LINE:
        csv.field_size_limit(LONGEST_LINE)  # of the whole process; Python's own 131,072 is less than a long text
    rows_by_file = (
        (file, _rows(config, file, opened(config, file, ctx, wanted="CSV"), ctx)) for file in config.files(ctx)
    )
    yield from gathered(config, rows_by_file, ctx)


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    quotes: str

    def parse(self, lines: Iterator[str]) -> Iterator[list[str]]:
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.quotes == "none" else csv.QUOTE_MINIMAL
        return csv.reader(lines, delimiter=self.delimiter, quoting=quoting, strict=True)

    @property
    def in_words(self) -> str:
        between = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        return f"fields parted by {between}, " + ("no quoting" if self.quotes == "none" else "double quotes")


def _rows(config: Csv, file: SourceFile, text: Opened, ctx: Context) -> Iterator[Found]:
    told = _TOLD.match(text.start)
    if told is not None and config.delimiter == "auto":
        config = config.model_copy(update={"delimiter": told[1].decode()})
    dialect = _dialect(config, text.start[told.end() :] if told else text.start)
    if dialect != _Dialect(",", "double") and "auto" in (config.delimiter, config.quotes):
        ctx.progress.say(f"{file.path}: {dialect.in_words} (delimiter, quotes of the source fix it)")
    names = config.columns
    if names is not None:
        _check_header(str(file.path), names, config)
    for place, record, size in _Records(
        text, dialect, None if names is None else len(names), skipped=int(told is not None)
    ):
        if isinstance(record, Fault):
            if names is None:
                raise DataError(f"{file.path}:{place}: the header: {record.reason}")
            yield place, record, 0
        elif names is None:
            names = record
            _check_header(f"{file.path}:{place}", names, config)
        else:
            yield place, dict(zip(names, record, strict=True)), size


class _Records:
    """The records of a file by the line where each begins, or why it is none; all have the width of the first."""

    def __init__(self, text: Opened, dialect: _Dialect, width: int | None, *, skipped: int) -> None:
        self._feed = _Feed(text, skipped)
        self._dialect = dialect
        self._reader = dialect.parse(self._feed)
        self._width = width

    def __iter__(self) -> Iterator[tuple[int, list[str] | Fault, int]]:
        while True:
            self._feed.begin()
            try:
                record = next(self._reader, None)
            except csv.Error as error:
                hint = "is a quote left open, or not doubled?" if self._dialect.quotes == "double" else "is it a text?"
                yield self._fault(f"not valid CSV: {error}; {hint}")
            except _TooLongError as error:
                yield error.line, TOO_LONG, 0
            else:
                if record is None:
                    return
                if record:
                    yield self._checked(record)

    def _checked(self, record: list[str]) -> tuple[int, list[str] | Fault, int]:
        if self._feed.problem is not None:
            return (*self._feed.problem, 0)
        self._width = self._width or len(record)
        if len(record) == self._width:
            return self._feed.taken[0][0], record, self._feed.size
        hint = "a quote or a delimiter too many or too few?"
        return self._fault(f"expected {self._width} fields, found {len(record)}: {hint}")

    def _fault(self, reason: str) -> tuple[int, Fault, int]:
        """The fault of the record that was read last. Where a quote took in whole records, they are read again."""
        (begin, _), *rest = self._feed.taken
        if self._feed.problem is not None:
            return (*self._feed.problem, 0)
        if rest and all(self._is_record(line) for _, line in rest):
            self._feed.again(rest)
            reason = f"{reason} The lines up to {rest[-1][0]} that it took in are read as rows of their own"
        elif rest:
            reason = f"{reason} The record goes on to line {rest[-1][0]}"
        return begin, Fault(reason), 0

    def _is_record(self, line: str) -> bool:
        """Whether a line is for certain a record of its own: one that is blank, or has the width and no stray quote."""
        try:
            (record,) = self._dialect.parse(iter([line]))
        except (csv.Error, ValueError):
            return False
        return not record or (len(record) == self._width and all(field.count('"') % 2 == 0 for field in record))


class _TooLongError(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Feed:
    """Lines for csv.reader; `taken` are those of the record under way. Not a generator: it goes on after an error."""

    def __init__(self, text: Opened, skipped: int) -> None:
        self._text = text
        self._lines = islice(text.lines(keep_ends=True), skipped, None)
        self._waiting: deque[tuple[int, str]] = deque()
        self.begin()

    def begin(self) -> None:
        """A new record begins."""
        self.taken: list[tuple[int, str]] = []
        self.size = 0
        self.problem: tuple[int, Fault] | None = None

    def again(self, lines: Sequence[tuple[int, str]]) -> None:
        """Give these lines once more before any other."""
        self._waiting.extendleft(reversed(lines))

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.size > LONGEST_RECORD:
            raise csv.Error(f"a record of more than {LONGEST_RECORD >> 20} MB")
        if self._waiting:
            number, text = self._waiting.popleft()
        else:
            line = next(self._lines)
            number = line.number
            text = self._decoded(line)
        self.taken.append((number, text))
        self.size += len(text)
        return text

    def _decoded(self, line: Line) -> str:
        if line.content is None:
            raise _TooLongError(line.number)
        try:
            return self._text.text_of(line.content)
        except NotTextError as error:  # the fields are still told apart by it, so that the next record begins rightly
            self.problem = self.problem or (line.number, Fault(str(error)))
            return line.content.decode(errors="replace")


def _dialect(config: Csv, start: bytes) -> _Dialect:
    """What the recipe says, or what makes most records of the file's first megabyte as wide as its header."""
    sample = start.decode(errors="replace").splitlines(keepends=True)
    lines = sample[:-1] if len(start) >= SAMPLE_BYTES else sample
    width = None if config.columns is None else len(config.columns)
    delimiter = config.delimiter
    if delimiter == "auto":
        kinds = [_Dialect(each, quotes) for each in DELIMITERS for quotes in _quotes(config, each)]
        best = max(kinds, key=lambda dialect: _fit(dialect, lines, width))  # the first of equals
        delimiter = best.delimiter if _fit(best, lines, width) > 0 else ","
    if config.quotes != "auto":
        return _Dialect(delimiter, config.quotes)
    return _Dialect(delimiter, "none" if _is_unquoted(delimiter, lines, width) else "double")


def _quotes(config: Csv, delimiter: str) -> list[str]:
    return [config.quotes] if config.quotes != "auto" else ["double", "none"] if delimiter in "\t|" else ["double"]


def _is_unquoted(delimiter: str, lines: list[str], width: int | None) -> bool:
    """Whether quotation marks are plain characters. Never with commas; with tabs, where fields begin with a quotation
    mark, and either are no quoted fields or never needed to be."""
    if delimiter not in "\t|":
        return False
    plain, double = _Dialect(delimiter, "none"), _Dialect(delimiter, "double")
    if not any(field.startswith('"') for record in plain.parse(iter(lines)) for field in record):
        return False
    if _fit(plain, lines, width) > _fit(double, lines, width):
        return True
    header = next(plain.parse(iter(lines)))
    is_needed = any(
        sign in field for record in _parsed(double, lines) for field in record for sign in ('"', "\n", "\r", delimiter)
    )
    return not is_needed and not all(field.startswith('"') for field in header)


def _fit(dialect: _Dialect, lines: list[str], width: int | None) -> float:
    """Share of records that have as many fields as the header, or as there are names; 0 where that is one field."""
    records = _parsed(dialect, lines)
    widths = Counter(map(len, records))
    wanted = width or (len(records[0]) if records else 0)
    return widths[wanted] / widths.total() if wanted > 1 else 0.0


def _parsed(dialect: _Dialect, lines: list[str]) -> list[list[str]]:
    """Records of the sample that are not blank; an empty one for each that is malformed."""
    records: list[list[str]] = []
    reader = dialect.parse(iter(lines))  # it goes on behind a malformed record
    while True:
        try:
            records += [record for record in reader if record]
            return records
        except csv.Error:
            records.append([])


def _check_header(place: str, names: list[str], config: Csv) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{place}: column {twice[0]!r} stands twice in the header; names must differ")
    try:
        require_columns(place, names, [] if config.id is None else [config.id])
    except DataError as error:
        if len(names) == 1 and config.columns is None:
            raise DataError(f"{error}; the header is one field: what parts the fields? (delimiter)") from None
        raise
