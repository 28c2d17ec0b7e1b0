"""What stands in the objects of a column beside what a path such as 'user.text' reads of them.

Knows no shape. A column of JSON texts is not parsed row by row: one row for each key that stands anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from ftkit.prepare.conversation import NoExampleError, filled, parse_json
from ftkit.prepare.formats.json_rows import Value

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

MOST_KEYS = 1_000  # of a batch; more are names of things, not of fields
_FILLED_KEY = r'"[^"\\]+"\s*:\s*(?:"[^"]|[^\s"n\[{]|\[\s*[^\]\s]|\{\s*[^}\s])'


def unread_beside(table: Table, paths: Collection[str]) -> set[str]:
    """The paths of what something stands in and nothing reads, where 'a.b' of column 'a' is read, and 'a' is not."""
    import polars

    heads = {path.partition(".")[0] for path in paths if path not in table.columns}
    found: set[str] = set()
    for head in heads - set(paths):
        if head not in table.columns:
            continue
        column = table[head]
        if column.dtype == polars.String:
            found |= {name for text in _with_each_key(column) for name in _in_text(text, head, paths)}
        else:
            found |= set(_in_objects(column, head, paths))
    return found


def _in_objects(column: polars.Series, prefix: str, paths: Collection[str]) -> Iterator[str]:
    import polars

    for each in column.dtype.fields if isinstance(column.dtype, polars.Struct) else ():
        name, values = f"{prefix}.{each.name}", column.struct.field(each.name)
        if any(path.startswith(f"{name}.") for path in paths):
            yield from _in_objects(values, name, paths)
        elif name not in paths and values.null_count() < len(values):
            yield name


def _with_each_key(texts: polars.Series) -> list[str]:
    """For each key the first text in which something stands under it, so that all keys are seen in few texts."""
    import polars

    keys = texts.str.extract_all(_FILLED_KEY).alias("key")
    places = polars.DataFrame([keys, texts.alias("text")]).explode("key", empty_as_null=True).drop_nulls()
    places = places.with_columns(polars.col("key").str.extract(r'^"([^"]+)"'))
    first = places.unique("key", keep="first", maintain_order=True).head(MOST_KEYS)
    return first["text"].unique(maintain_order=True).to_list()


def _in_text(text: str, head: str, paths: Collection[str]) -> Iterator[str]:
    try:
        yield from _in_value(parse_json(text, head), head, paths)
    except NoExampleError:  # a text, not an object
        return


def _in_value(value: Value, prefix: str, paths: Collection[str]) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for key in filled(value):
        name = f"{prefix}.{key}"
        if any(path.startswith(f"{name}.") for path in paths):
            yield from _in_value(value[key], name, paths)
        elif name not in paths:
            yield name
