"""Reads the folder that prepare wrote, a few megabytes at a time: rows of splits, dropped rows, events of the ledger.

Knows the names of columns, no step and no page.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.contracts import Table

SPLITS = ("train", "valid", "test")
ROW = ("id", "input", "target")
EVENT = ("id", "step", "action", "reason", "kept_id", "score")
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in a split, or as it was when a step dropped it. `where` says which: 'train', 'dropped by …'.

    Texts may be cut; `num_input_chars` and `num_target_chars` are those of the whole.
    """

    id: str
    where: str
    input: str
    target: str
    num_input_chars: int
    num_target_chars: int


def chunks(path: Path, columns: Collection[str]) -> Iterator[Table]:
    """Some columns of a JSONL file, as tables of a few megabytes, in order. What a line has not is null.

    `history` is a list of role and content, `weight` and `score` are numbers, all else is text. Raises DataError where
    the file is missing or is not JSONL.
    """
    import polars

    schema = {name: _type_of(name) for name in columns}
    if not path.is_file():
        raise DataError(f"{path}: missing; run prepare again with this version of ftkit")
    for lines in _whole_lines(path):
        try:
            yield polars.read_ndjson(io.BytesIO(lines), schema=schema)
        except polars.exceptions.ComputeError as error:
            raise DataError(
                f"{path}: not what prepare wrote: {error}; delete its folder to have it made anew"
            ) from None


def rows_of(folder: Path, ids: Iterable[str], *, max_chars: int) -> dict[str, Row]:
    """The rows with these ids, wherever they are, texts cut to so many characters. Others, such as rows of a benchmark
    or rows that could not be read, are left out.
    """
    import polars

    wanted = polars.Series(sorted(set(ids)), dtype=polars.String)
    found: dict[str, Row] = {}
    for name in (*SPLITS, "dropped") if len(wanted) else ():
        for table in chunks(folder / f"{name}.jsonl", ("step", *ROW) if name == "dropped" else ROW):
            here = table.filter(polars.col("id").is_in(wanted.implode()))
            where = polars.format("dropped by {}", "step") if name == "dropped" else polars.lit(name)
            texts = polars.col("input", "target").fill_null("")
            shown = here.select(
                polars.col("id"),
                where.alias("where"),
                texts.str.head(max_chars),
                texts.str.len_chars().name.prefix("chars_of_"),
            )
            found |= {values[0]: Row(*values) for values in shown.iter_rows()}
    return found


def rows_at(folder: Path, split: str, positions: Sequence[int] | NDArray[np.integer[Any]]) -> Table:
    """Id and group of the rows at these positions of a split, counted from 0, in the order of `positions`."""
    import numpy as np
    import polars

    wanted = np.unique(np.asarray(positions, np.int64))
    parts = [polars.DataFrame(schema={"id": polars.String, "group": polars.String})]
    begin = 0
    for table in chunks(folder / f"{split}.jsonl", ("id", "group")) if len(wanted) else ():
        here = wanted[(wanted >= begin) & (wanted < begin + table.height)]
        parts.append(table[here - begin])
        begin += table.height
        if begin > wanted[-1]:
            break
    return polars.concat(parts)[np.searchsorted(wanted, positions)]


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while lines := file.read(CHUNK_BYTES):
            yield lines + file.readline()


def _type_of(column: str) -> Any:
    import polars

    if column == "history":
        return polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
    return polars.Float64 if column in ("weight", "score") else polars.String
