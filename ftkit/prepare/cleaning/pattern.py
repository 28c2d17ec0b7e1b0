"""Drops rows by a regular expression: those that match it, or those that do not.

Knows one row at a time. Expressions are Rust's, which polars runs in time linear in the text: no look-around, no
back-references, and no text that makes them explode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, drop, flag
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Pattern(RowStep):
    """`drop` rows in which something matches, or `keep` only those; '(?i)' at the start ignores case."""

    drop: str | None = Field(None, description="regular expression of what goes")
    keep: str | None = Field(None, description="regular expression of what stays")
    field: Literal["input", "target", "either"] = Field(
        "input", description="where the expression is looked for; either: in one of both"
    )
    action: Literal["drop", "flag"] = Field("drop", description="flag: such rows stay, and the ledger lists them")

    @field_validator("drop", "keep")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        import polars

        if pattern is None:
            return None
        if pattern == "":
            raise ValueError("an empty regular expression matches every row")
        try:
            polars.Series([""]).str.contains(pattern)
        except polars.exceptions.ComputeError as error:
            why = str(error).partition("\n\nThis error occurred")[0]
            raise ValueError(f"not a regular expression that polars can run: {why}") from None
        return pattern

    @model_validator(mode="after")
    def _one_way(self) -> Pattern:
        if (self.drop is None) == (self.keep is None):
            raise ValueError("expected one of drop and keep, as in {pattern: {drop: 'lorem ipsum'}}")
        return self

    @property
    def expression(self) -> str:
        """The one of `drop` and `keep` that is given."""
        expression = self.keep if self.drop is None else self.drop
        assert expression is not None
        return expression


@component
def apply(config: Pattern, table: Table, ctx: Context) -> Cleaned:
    """Drop (or flag) the rows that match `drop`, or that do not match `keep`, in the field or in either field."""
    import polars

    columns = ("input", "target") if config.field == "either" else (config.field,)
    matches = [polars.col(column).str.contains(config.expression).fill_null(False) for column in columns]
    if config.drop is not None:
        reasons_of_columns = [
            polars.when(match).then(polars.lit(f"{column} matches {config.drop!r}"))
            for column, match in zip(columns, matches, strict=True)
        ]
        reason = polars.coalesce(reasons_of_columns)
    else:
        subject = "neither input nor target matches" if config.field == "either" else f"{config.field} does not match"
        reason = polars.when(~polars.any_horizontal(matches)).then(polars.lit(f"{subject} {config.keep!r}"))
    reasons = table.select(reason=reason)["reason"]
    return drop(table, reasons) if config.action == "drop" else flag(table, reasons)
