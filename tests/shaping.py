"""Rows for a shape, as a JSON source gives them and as nested columns, and what shapes make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars
from hypothesis import strategies as st

from ftkit.contracts import Shaped
from ftkit.prepare.formats.json_rows import table_of
from ftkit.registry import choice_of

TEXTS = st.sampled_from(
    ["", "x", "Hi", "[1", "[]", '["a", "b"]', '[{"role": "user", "content": "x"}]', "null", "\x00", "é"]
)
TALKS = st.lists(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), TEXTS)
)


def from_json(*rows: Mapping[str, Any]) -> polars.DataFrame:
    """Rows as a JSON source gives them: lists and objects as JSON text. Ids are a, b, c, …"""
    columns = dict.fromkeys(name for row in rows for name in row)
    return with_ids(table_of(rows, columns))


def nested(*rows: Mapping[str, Any]) -> polars.DataFrame:
    """Rows as a parquet file or the hub gives them: lists and objects as polars' own."""
    return with_ids(polars.DataFrame(rows, infer_schema_length=None))


def with_ids(table: polars.DataFrame) -> polars.DataFrame:
    return table.with_columns(
        id=polars.Series([chr(97 + number) for number in range(table.height)], dtype=polars.String)
    )


def shape(choice: str | dict[str, Any], table: polars.DataFrame) -> Shaped:
    shaped: Shaped = choice_of("shapes").model_validate(choice)(table)
    return shaped


def both(choice: str | dict[str, Any], *rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The examples of rows, which must be the same from JSON and from nested columns, and no fault."""
    one, other = shape(choice, from_json(*rows)), shape(choice, nested(*rows))
    assert one.faults == other.faults == {}
    assert one.table.equals(other.table)
    return one.table.to_dicts()


def faults(choice: str | dict[str, Any], *rows: Mapping[str, Any]) -> list[str]:
    """The reasons of rows of which none holds an example."""
    shaped = shape(choice, from_json(*rows))
    assert shaped.table.is_empty()
    return list(shaped.faults.values())


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}
