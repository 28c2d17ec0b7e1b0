"""JSON lines: one JSON object a line, UTF-8. Ids default to '<file>:<line>'.

Knows no other format and no stage.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.records import read_numbered_jsonl
from ftkit.registry import component
from ftkit.sources import FileSource, check_ids, require_columns

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Jsonl(FileSource):
    """A file with one JSON object a line."""


@component
def read(config: Jsonl, ctx: Context, *, head: int | None = None) -> Table:
    """All rows, or the first `head`. Raises DataError with file:line for a line that does not fit."""
    import polars

    path = config.file(ctx)
    numbers, rows = [], []
    for number, row in islice(read_numbered_jsonl(path), head):
        _check_row(config, path, number, row)
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: there is no row in the file")
    ids = [f"{path.name}:{number}" for number in numbers]
    if config.id is not None:
        ids = [str(row[config.id]) for row in rows]
    check_ids(ids, [f"{path}:{number}" for number in numbers])
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [_column(name, [row.get(name) for row in rows]) for name in names if name != "id"]
    return polars.DataFrame([polars.Series("id", ids), *columns])


def _check_row(config: Jsonl, path: Path, number: int, row: dict[str, Any]) -> None:
    place = f"{path}:{number}"
    require_columns(place, row, config.wanted)
    if config.id is not None and (isinstance(row[config.id], bool) or not isinstance(row[config.id], (str, int))):
        raise DataError(f"{place}: id {config.id!r} is {_shown(row[config.id])}; expected a string or an integer")
    for name in (config.input, config.target):
        if not isinstance(row[name], str):
            raise DataError(f"{place}: {name!r} is {_shown(row[name])}; expected a string: write it in quotes")
    try:
        "".join(value for value in row.values() if isinstance(value, str)).encode()
    except UnicodeEncodeError:
        raise DataError(f"{place}: holds half of a surrogate pair (\\ud800 … \\udfff); no text can hold it") from None


def _column(name: str, values: list[Any]) -> polars.Series:
    """Strings and numbers keep their type; anything else, or a mixture, becomes its JSON text."""
    import polars

    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {str} or (kinds <= {int, float} and all(abs(value) < 2**63 for value in values if value is not None)):
        return polars.Series(name, values, dtype=polars.String if kinds <= {str} else None, strict=False)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return polars.Series(name, texts, dtype=polars.String)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
