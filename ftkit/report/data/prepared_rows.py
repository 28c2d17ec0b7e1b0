"""Reads the folder that prepare wrote, a few megabytes at a time: rows of splits, dropped rows, events of the ledger.

Knows the names of columns, no step and no page.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import DataError
from ftkit.prepare.threads import Threads

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

SPLITS = ("train", "valid", "test")
ROW = ("id", "input", "target")
EVENT = ("id", "step", "action", "reason", "kept_id", "score")
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as it stands in a split, or as it was when a step dropped it. `where` says which: 'train', 'dropped by …'.

    Texts may be cut; `num_input_chars` and `num_target_chars` are those of the whole.
    """

    id: str
    where: str
    input: str
    target: str
    num_input_chars: int
    num_target_chars: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of a JSONL file."""

    path: Path
    lines: bytes

    def table(self, columns: Collection[str]) -> Table:
        """Some columns of the lines. What a line has not is null.

        `history` is a list of role and content, `weight` and `score` are numbers, all else is text. Raises DataError
        where the lines are not JSONL.
        """
        import polars

        schema = {name: _type_of(name) for name in columns}
        if not self.lines:
            return polars.DataFrame(schema=schema)
        try:
            return polars.read_ndjson(io.BytesIO(self.lines), schema=schema)
        except polars.exceptions.ComputeError as error:
            raise DataError(
                f"{self.path}: not what prepare wrote: {error}; delete its folder to have it made anew"
            ) from None


def pieces(path: Path) -> Iterator[Piece]:
    """A JSONL file, a few megabytes at a time, in order; at least one piece. Raises DataError where it is missing."""
    if not path.is_file():
        raise DataError(f"{path}: missing; run prepare again with this version of ftkit")
    with path.open("rb") as file:
        yield Piece(path, file.read(CHUNK_BYTES) + file.readline())
        while lines := file.read(CHUNK_BYTES):
            yield Piece(path, lines + file.readline())


def chunks(path: Path, columns: Collection[str]) -> Iterator[Table]:
    """Some columns of a JSONL file, as tables of a few megabytes, in order."""
    return (piece.table(columns) for piece in pieces(path))


def rows_of(folder: Path, ids: Iterable[str], *, max_chars: int, threads: int = 1) -> dict[str, ShownRow]:
    """The rows with these ids, wherever they are, texts cut to so many characters. Others, such as rows of a benchmark
    or rows that could not be read, are left out.
    """
    import polars

    wanted = polars.Series(sorted(set(ids)), dtype=polars.String)
    by_id: dict[str, ShownRow] = {}
    with Threads(threads) as workers:
        for name in (*SPLITS, "dropped") if len(wanted) else ():
            look = partial(_rows_in, name=name, wanted=wanted, max_chars=max_chars)
            for rows in workers.in_turn(look, pieces(folder / f"{name}.jsonl")):
                by_id |= rows
    return by_id


def _rows_in(piece: Piece, *, name: str, wanted: polars.Series, max_chars: int) -> dict[str, ShownRow]:
    import polars

    table = piece.table(("step", *ROW) if name == "dropped" else ROW)
    here = table.filter(polars.col("id").is_in(wanted.implode()))
    where = polars.format("dropped by {}", "step") if name == "dropped" else polars.lit(name)
    texts = polars.col("input", "target").fill_null("")
    shown = here.select(
        polars.col("id"),
        where.alias("where"),
        texts.str.head(max_chars),
        texts.str.len_chars().name.prefix("chars_of_"),
    )
    return {values[0]: ShownRow(*values) for values in shown.iter_rows()}


def rows_at(folder: Path, split: str, positions: Sequence[int]) -> Table:
    """Id and group of the rows at these positions of a split, which are counted from 0 and ascend."""
    path = folder / f"{split}.jsonl"
    wanted = set(positions)
    with path.open("rb") as file:
        lines = [line for position, line in zip(range(positions[-1] + 1), file, strict=False) if position in wanted]
    return Piece(path, b"".join(lines)).table(("id", "group"))


def _type_of(column: str) -> polars.DataType | type[polars.DataType]:
    import polars

    if column == "history":
        return polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
    return polars.Float64 if column in ("weight", "score") else polars.String
