"""Plain text: each line, paragraph or file is a row with the column `text`. Ids default to '<file>:<line>'.

Knows no other format and no stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from ftkit.contracts import Batch, Context
from ftkit.prepare.formats.encodings import LONGEST_LINE, NotTextError
from ftkit.prepare.sources import TOO_LONG, Fault, Found, Opened, TextSource, gathered, opened
from ftkit.registry import component

_LARGEST = LONGEST_LINE  # of a paragraph or file: they stand in memory like a line


class Text(TextSource):
    """Files of plain text; blank lines are no rows."""

    unit: Literal["line", "paragraph", "file"] = Field(
        "line", description="what is a row; paragraphs are parted by blank lines"
    )

    endings: ClassVar[tuple[str, ...]] = (".txt", ".text", ".md")


@component
def read(config: Text, ctx: Context) -> Iterator[Batch]:
    """All rows. Line ends within a row become \\n; outer blank lines of a row are left out."""
    files = ((file, opened(config, file, ctx, wanted="text", markup=True)) for file in config.files(ctx))
    units = {"line": _lines, "paragraph": _paragraphs, "file": _file}
    yield from gathered(config, ((file, units[config.unit](text)) for file, text in files), ctx)


def _lines(text: Opened) -> Iterator[Found]:
    for line in text.lines():
        if line.content is None:
            yield line.number, TOO_LONG, 0
        elif line.content.strip():
            yield _row(text, line.number, [line.content])


def _paragraphs(text: Opened) -> Iterator[Found]:
    block = _Block(text)
    for line in text.lines():
        if line.content is None or line.content.strip():
            block.add(line.number, line.content)
        elif block.begin:
            yield block.taken()
    if block.begin:
        yield block.taken()


def _file(text: Opened) -> Iterator[Found]:
    block = _Block(text)
    for line in text.lines():
        if line.content is None or line.content.strip() or block.begin:
            block.add(line.number, line.content)
    if block.begin:
        yield block.taken()


class _Block:
    """Lines on their way into a row. One that is too long is counted, and not held."""

    def __init__(self, text: Opened) -> None:
        self._text = text
        self._reset()

    def _reset(self) -> None:
        self.begin = 0
        self._lines: list[bytes] = []
        self._num_bytes = 0

    def add(self, number: int, line: bytes | None) -> None:
        """Add a line; None is one that is too long."""
        self.begin = self.begin or number
        self._num_bytes += _LARGEST + 1 if line is None else len(line) + 1
        if self._num_bytes <= _LARGEST and line is not None:
            self._lines.append(line)
        else:
            self._lines.clear()

    def taken(self) -> Found:
        """The row of these lines, and an empty block."""
        begin, lines, is_long = self.begin, self._lines, self._num_bytes > _LARGEST
        self._reset()
        return (begin, TOO_LONG, 0) if is_long else _row(self._text, begin, lines)


def _row(text: Opened, begin: int, lines: list[bytes]) -> Found:
    content = b"\n".join(lines).rstrip(b"\n")
    try:
        return begin, {"text": text.text_of(content)}, len(content)
    except NotTextError as error:
        return begin, Fault(str(error)), 0
