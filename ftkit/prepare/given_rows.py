"""Rows that Python hands over: dicts, a data set, a frame. What they are is seen by what they can do: no library of
theirs is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ftkit.errors import DataError

TAKEN = "dicts, a datasets.Dataset, or a pandas, polars or pyarrow table"


def rows_of(given: Any, what: str) -> list[dict[str, Any]]:
    """The rows as dicts. `what` names them in errors. Raises DataError for anything else, and for several splits."""
    if isinstance(given, Mapping):
        if all(hasattr(each, "column_names") for each in given.values()) and given:  # a DatasetDict
            raise DataError(f"{what}: has the splits {', '.join(map(str, given))}; give one of them, as data['train']")
        raise DataError(f"{what}: expected {TAKEN}, found one dict; put rows in a list")
    is_table = _library(given) in ("polars", "pyarrow")  # of which some cannot be iterated
    if isinstance(given, (str, bytes)) or not (is_table or isinstance(given, Iterable)):
        hint = "; a file is a source of a recipe" if isinstance(given, (str, bytes)) else ""
        raise DataError(f"{what}: expected {TAKEN}, found {type(given).__name__}{hint}")
    rows = list(_as_dicts(given))
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{what}[{place}]: is a {type(row).__name__}; expected a dict")
    return [dict(row) for row in rows]


def _as_dicts(given: Any) -> Iterable[Any]:
    library = _library(given)
    if library == "polars":
        return (given.collect() if hasattr(given, "collect") else given).to_dicts()  # type: ignore[no-any-return]
    if library == "pandas":
        return [{str(name): _none(value) for name, value in row.items()} for row in given.to_dict("records")]
    if library == "pyarrow":
        return given.to_pylist()  # type: ignore[no-any-return]
    return given  # type: ignore[no-any-return]


def _library(given: Any) -> str:
    return type(given).__module__.partition(".")[0]


def _none(value: Any) -> Any:
    """pandas writes NaN where a cell is empty."""
    return None if isinstance(value, float) and math.isnan(value) else value
