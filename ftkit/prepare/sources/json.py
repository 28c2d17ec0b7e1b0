"""A JSON document: a list of rows, or one nested under keys. Ids default to '<file>:<line>'.

Knows no other format and no stage. Rows that share a line are counted: '<file>:<line>:2' is the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats.json_document import BrokenError, Element, elements
from ftkit.prepare.formats.json_rows import Value, kind_of
from ftkit.prepare.formats.openers import SourceFile
from ftkit.prepare.sources import Fault, Found, Opened, TextSource, gathered, opened
from ftkit.registry import component


class Json(TextSource):
    """Files with a list of objects, or of lists of values, which `columns` names."""

    rows: str | None = Field(
        None, min_length=1, description="where the list stands, such as data.train; default: outermost"
    )
    columns: list[str] | None = Field(
        None, min_length=1, description='names, for rows that are lists; default: "0", "1" …'
    )

    endings: ClassVar[tuple[str, ...]] = (".json",)


@component
def read(config: Json, ctx: Context) -> Iterator[Batch]:
    """All rows, in bounded memory. Lists, objects, and what differs in kind from its column come as JSON text."""
    rows_by_file = ((file, _rows(config, file, opened(config, file, ctx, wanted="JSON"))) for file in config.files(ctx))
    yield from gathered(config, rows_by_file, ctx)


def _rows(config: Json, file: SourceFile, text: Opened) -> Iterator[Found]:
    path = config.rows.split(".") if config.rows is not None else []
    line, count, as_row = 0, 0, _AsRow(config, file)
    try:
        for element in elements(text.blocks, path=path):
            count = count + 1 if element.line == line else 1
            line = element.line
            yield line if count == 1 else f"{line}:{count}", as_row(element), element.num_chars
    except BrokenError as error:
        raise DataError(f"{file.path}:{error.line}: {error}") from None


class _AsRow:
    """Rows are all objects, all lists of one length, or all strings: as the first one is."""

    def __init__(self, config: Json, file: SourceFile) -> None:
        self._names = config.columns
        self._file = file
        self._first: dict[str, Value] | list[Value] | str | None = None

    def __call__(self, element: Element) -> dict[str, Value] | Fault:
        value = element.value
        if element.problem:
            return Fault(element.problem)
        if self._first is None:
            if not isinstance(value, (dict, list, str)):
                return Fault(f"expected an object, a list or a string, found {kind_of(value)}")
            self._begin(element.line, value)
        if type(value) is not type(self._first):
            return Fault(f"found {kind_of(value)}; expected {kind_of(self._first)}, as the first row is")
        if isinstance(value, dict):
            return value
        values = value if isinstance(value, list) else [value]
        assert self._names is not None
        if len(values) != len(self._names):
            return Fault(f"expected {len(self._names)} values ({', '.join(self._names)}), found {len(values)}")
        return dict(zip(self._names, values, strict=True))

    def _begin(self, line: int, value: dict[str, Value] | list[Value] | str) -> None:
        self._first = value
        if isinstance(value, dict):
            if self._names is not None:
                place = f"{self._file.path}:{line}"
                raise DataError(f"{place}: rows are objects, which name their values; leave columns of the source out")
        elif self._names is None:
            self._names = [str(place) for place in range(len(value) if isinstance(value, list) else 1)]
