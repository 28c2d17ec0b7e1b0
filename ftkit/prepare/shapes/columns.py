"""Input and target stand in columns: named, or put together as "{question}\\n{context}".

Knows no other shape. In a template {name} is the value of a column, {user.name} what stands within the objects of one,
and {{ a brace; nothing else has a meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.beside import unread_beside
from ftkit.prepare.conversation import parse_json, without_nulls
from ftkit.prepare.formats.json_rows import NOT_TEXT, Value
from ftkit.prepare.shapes import ShapeConfig, TextColumn, as_text, is_plain, missing_columns, shaped, text_column
from ftkit.recipe.templates import names_in, pieces
from ftkit.records import dump
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


_NO_TEXT = r"^(?:[\[{]|-?\d[\d.eE+-]*$|true$|false$)"  # what a list, object, number or truth value reads as


class Columns(ShapeConfig):
    """Which column, or which template of columns, is the input, and which the target."""

    input: str = Field("input", description='column, or template: "{question}\\n{context}"')
    target: str = Field("target", description="column, or template")

    wants: ClassVar[str] = "input and target"

    @field_validator("input", "target")
    @classmethod
    def _plain_names(cls, template: str) -> str:
        names_in(template)
        return template

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether both columns are there under their default names."""
        return {"input", "target"} <= set(table.columns)

    def questions(self, table: Table) -> Shaped:
        """The input alone."""
        return shape(self.model_copy(update={"target": self.input}), table)


@component
def shape(config: Columns, table: Table) -> Shaped:
    """Input and target. Within a template a value is as JSON has it, a text as it is; a null is a fault anywhere."""
    unread = unread_beside(table, {*names_in(config.input), *names_in(config.target)})
    table = with_nested(table, config.input, config.target)
    read = [_read(table, getattr(config, use), use) for use in ("input", "target")]
    return replace(shaped(table, read, input=read[0].values, target=read[1].values), unread=unread)


def fill(table: Table, template: str, *, missing: str | None = None) -> polars.Series:
    """A column, or a template with its columns' values put in; null where one of them is null, or `missing` for that.

    Raises DataError where a column is missing or holds no plain values.
    """
    table = with_nested(table, template)
    _require(table, template)
    for name in names_in(template):
        if not is_plain(table.schema[name]):
            raise DataError(f"column {name!r} holds {table.schema[name]}, no plain values, and cannot stand in a text")
    if missing is not None:
        filled = {name: as_text(table, name).fill_null(missing) for name in names_in(template)}
        table = table.with_columns(**filled)
    return _read(table, template, "input").values


def with_nested(table: Table, *templates: str) -> Table:
    """The table with a column for each name such as 'user.text': what stands there within the objects of 'user'."""
    import polars

    for name in {name for template in templates for name in names_in(template)}:
        head, _, path = name.partition(".")
        if name in table.columns or not path or head not in table.columns:
            continue
        value = table[head]
        if value.dtype == polars.String:
            table = _with_entered(table, name)
            continue
        for key in path.split("."):
            known = [each.name for each in value.dtype.fields] if isinstance(value.dtype, polars.Struct) else []
            if key not in known:
                raise missing_columns("input or target", [name], table)
            value = value.struct.field(key)
        table = table.with_columns(value.alias(name))
    return table


def _with_entered(table: Table, name: str) -> Table:
    """The table with what stands in a column of JSON texts; what is no text there is marked so."""
    import polars

    head, _, path = name.partition(".")
    entered = table[head].str.json_path_match(f"$.{path}").alias(name)
    table = table.with_columns(entered)
    is_other = entered.str.contains(_NO_TEXT).fill_null(False)  # or a text that reads so
    if is_other.any():
        found = (_at(text, path.split(".")) for text in table[head].filter(is_other))
        is_other = is_other.scatter(is_other.arg_true(), [not isinstance(each, str) for each in found])
    if not is_other.any():
        return table
    marks = polars.lit(None, polars.List(polars.String)) if NOT_TEXT not in table.columns else polars.col(NOT_TEXT)
    more = polars.concat_list(marks.fill_null([]), polars.lit([name]))
    return table.with_columns(polars.when(is_other).then(more).otherwise(marks).alias(NOT_TEXT))


def _at(text: str, path: Sequence[str]) -> Value:
    value = parse_json(text, "")
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _require(table: Table, template: str) -> None:
    missing = [name for name in names_in(template) if name not in table.columns]
    if missing:
        raise missing_columns("input or target", missing, table)


def _read(table: Table, template: str, use: str) -> TextColumn:
    """A column, or a template with its columns' values put in, where all of them are there."""
    import polars

    _require(table, template)
    if template in names_in(template):
        return text_column(table, template, use=use)
    columns: list[TextColumn] = []
    parts: list[polars.Expr | polars.Series] = []
    for text, name in pieces(template):
        parts.append(polars.lit(text))
        if name is not None:
            columns.append(_within_text(table, name))
            parts.append(columns[-1].values)
    filled = polars.select(polars.concat_str(parts)).to_series()
    return TextColumn(filled, polars.select(polars.coalesce([each.faults for each in columns])).to_series())


def _within_text(table: Table, name: str) -> TextColumn:
    """Values as they stand within a text: lists and objects as JSON; nested columns without their nulls."""
    import polars

    series = table[name]
    if is_plain(series.dtype):
        texts = as_text(table, name)
        texts = texts.zip_with(texts.is_not_null(), series.cast(polars.String))  # what a JSON source had as JSON
    else:
        texts = polars.Series([_as_json(value) for value in series.to_list()], dtype=polars.String)
    is_null = polars.when(series.is_null()).then(polars.lit(f"{name!r} is null; expected a string"))
    faults = is_null.when(texts.is_null()).then(polars.lit(f"{name!r} holds what JSON cannot"))
    return TextColumn(texts, polars.select(faults).to_series())


def _as_json(value: Value) -> str | None:
    try:
        return None if value is None else dump(without_nulls(value))
    except (TypeError, ValueError):  # a date, bytes, an infinite number
        return None
