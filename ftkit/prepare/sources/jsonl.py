"""JSON lines: one JSON object a line, strictly read. Ids default to '<file>:<line>'.

Knows no other format and no stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats.encodings import NotTextError
from ftkit.prepare.formats.json_rows import MalformedError, Strict, kind_of
from ftkit.prepare.formats.openers import SourceFile
from ftkit.prepare.sources import TOO_LONG, Fault, Found, Opened, TextSource, gathered, opened
from ftkit.registry import component


class Jsonl(TextSource):
    """Files with one JSON object a line; blank lines are passed over."""

    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")


@component
def read(config: Jsonl, ctx: Context) -> Iterator[Batch]:
    """All rows. Lists, objects, and what differs in kind from the rest of its column come as JSON text."""
    rows_by_file = ((file, _rows(file, opened(config, file, ctx, wanted="JSON lines"))) for file in config.files(ctx))
    yield from gathered(config, rows_by_file, ctx)


def _rows(file: SourceFile, text: Opened) -> Iterator[Found]:
    parser, is_first = Strict(), True
    for line in text.lines():
        if line.content is None:
            yield line.number, TOO_LONG, 0
            continue
        if not line.content or line.content.isspace():
            continue
        if is_first and line.content.strip() in (b"[", b"{"):
            what = f"begins with {line.content.strip().decode()!r} alone on its line: a JSON document"
            raise DataError(f"{file.path}:{line.number}: {what}, not JSON lines; use the source json")
        is_first = False
        try:
            row = parser.parse(text.text_of(line.content))
        except (NotTextError, MalformedError) as error:
            yield line.number, Fault(str(error)), 0
            continue
        if isinstance(row, dict):
            yield line.number, row, len(line.content)
        else:
            hint = "; if the whole file is one list, use the source json" if isinstance(row, list) else ""
            yield line.number, Fault(f"expected a JSON object, found {kind_of(row)}{hint}"), 0
