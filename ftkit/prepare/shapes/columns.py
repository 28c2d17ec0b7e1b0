"""Input and target stand in columns: named, or put together as "{question}\\n{context}".

Knows no other shape. In a template {name} is the value of a column, {user.name} what stands within the objects of one,
and {{ a brace; nothing else has a meaning.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.shapes import ShapeConfig, missing_column, not_text, shaped, text_column
from ftkit.recipe.templates import names_in, pieces
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


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
    """Input and target. A null is a fault, a number or a list too; within a template a number is as JSON has it."""
    table = with_nested(table, config.input, config.target)
    faults = [fault for template in (config.input, config.target) for fault in _faults(table, template)]
    return shaped(table, faults, input=_fill(table, config.input), target=_fill(table, config.target))


def fill(table: Table, template: str, *, missing: str | None = None) -> polars.Series:
    """A column, or a template with its columns' values put in; null where one of them is null, or `missing` for that.

    Raises DataError where a column is missing or holds no plain values.
    """
    table = with_nested(table, template)
    _require(table, template)
    for name in names_in(template):
        if not _is_plain(table.schema[name]):
            raise DataError(f"column {name!r} holds {table.schema[name]}, no plain values, and cannot stand in a text")
    if missing is not None:
        filled = {name: as_text(table, name).fill_null(missing) for name in names_in(template)}
        table = table.with_columns(**filled)
    return _fill(table, template)


def with_nested(table: Table, *templates: str) -> Table:
    """The table with a column for each name such as 'user.text': what stands there within the objects of 'user'."""
    import polars

    for name in {name for template in templates for name in names_in(template)}:
        head, _, path = name.partition(".")
        if name in table.columns or not path or head not in table.columns:
            continue
        value = table[head]
        if value.dtype == polars.String:
            table = table.with_columns(value.str.json_path_match(f"$.{path}").alias(name))
            continue
        for key in path.split("."):
            known = [each.name for each in value.dtype.fields] if isinstance(value.dtype, polars.Struct) else []
            if key not in known:
                raise missing_column("input or target", name, table)
            value = value.struct.field(key)
        table = table.with_columns(value.alias(name))
    return table


def _require(table: Table, template: str) -> None:
    for name in names_in(template):
        if name not in table.columns:
            raise missing_column("input or target", name, table)


def _faults(table: Table, template: str) -> list[polars.Series]:
    """Why rows have no such text. A number has one in a template, but is none itself."""
    import polars

    _require(table, template)
    reasons = []
    for name in names_in(template):
        faults = text_column(table, name).faults
        if name != template and _is_plain(table.schema[name]):
            is_plain = table[name].is_not_null()
            if table.schema[name] == polars.String:
                is_plain &= ~(not_text(table, name) & table[name].str.contains(r"^[\[{]"))
            faults = polars.select(polars.when(~is_plain).then(faults)).to_series()
        reasons.append(faults)
    return reasons


def _fill(table: Table, template: str) -> polars.Series:
    import polars

    if template in names_in(template):
        return text_column(table, template).values
    columns: list[polars.Series] = []
    parts: list[polars.Expr] = []
    for text, name in pieces(template):
        parts.append(polars.lit(text))
        if name is not None:
            columns.append(as_text(table, name).alias(str(len(parts))))
            parts.append(polars.col(columns[-1].name))
    return polars.DataFrame(columns).select(polars.concat_str(parts)).to_series()


def _is_plain(kind: polars.DataType) -> bool:
    import polars

    named = (polars.String, polars.Categorical, polars.Enum, polars.Boolean, polars.Date, polars.Datetime, polars.Time)
    return kind in named or kind.is_numeric()


def as_text(table: Table, name: str) -> polars.Series:
    """Plain values as texts. A whole number is written without '.0': the type of its column is that of a batch."""
    import polars

    series = table[name]
    if series.dtype.is_float():
        numbers = [None if each is None else json.dumps(each).removesuffix(".0") for each in series]
        return polars.Series(numbers, dtype=polars.String)
    if series.dtype == polars.String:
        return series.str.strip_suffix(".0").zip_with(not_text(table, name), series)
    if not _is_plain(series.dtype):
        return polars.repeat(None, len(series), dtype=polars.String, eager=True)
    return series.cast(polars.String)
