"""Plain text to continue: no input, the whole text is the target.

Knows no other shape. Recognised only where there is no other column: `text` beside `label` is no plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.shapes import ShapeConfig, own_columns, shaped, text_column
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Text(ShapeConfig):
    """The name of the column."""

    column: str = Field("text", description="column of the text")

    wants: ClassVar[str] = "text, and no other column"
    rank: ClassVar[int] = 4

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether there is a text, and nothing else."""
        return own_columns(table) == ["text"]

    def questions(self, table: Table) -> Shaped:
        """Nothing is asked before a text."""
        return shape(self, table)


@component
def shape(config: Text, table: Table) -> Shaped:
    """Input is empty, target is the text."""
    import polars

    config.require(table, "column")
    target = text_column(table, config.column)
    return shaped(table, [target], input=polars.lit(""), target=target.values)
