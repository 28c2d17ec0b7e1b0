"""Makes white space regular: one blank between words, no blanks around lines, few blank lines, or no lines at all.

Knows one row at a time, and no language: in code, the indentation goes too (choose `field: input` there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, events
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

_LINE_BREAK = r"\r\n|[\r\u{85}\u{2028}\u{2029}]"
_BLANKS = r"[\s\x1c-\x1f&&[^\n]]+"  # a set without line feeds; the ASCII separators are white space to Python


class Whitespace(RowStep):
    """Which white space stays. All line breaks become line feeds; outer white space goes."""

    lines: Literal["keep", "join"] = Field("keep", description="join: all of a text on one line")
    max_blank_lines: int = Field(1, ge=0, description="blank lines that may follow each other")
    field: Literal["input", "target", "either"] = "either"


@component
def apply(config: Whitespace, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place, with an event for each input or target that changed."""
    import polars

    regular, changes = table, []
    for column in ("input", "target") if config.field == "either" else (config.field,):
        texts = table.select(_regular(polars.col(column), config))[column]
        other = (texts != table[column]).fill_null(False)
        changes.append(events("change", table["id"].filter(other), f"{column}: white space made regular"))
        regular = regular.with_columns(texts)
    return Cleaned(regular, table.select("id").join(polars.concat(changes), on="id", maintain_order="left_right"))


def _regular(text: polars.Expr, config: Whitespace) -> polars.Expr:
    lines = text.str.replace_all(_LINE_BREAK, "\n").str.replace_all(_BLANKS, " ")
    lines = lines.str.replace_all(" ?\n ?", "\n").str.strip_chars(" \n")
    if config.lines == "join":
        return lines.str.replace_all("\n+", " ")
    most = config.max_blank_lines + 1
    return lines.str.replace_all(f"\n{{{most},}}", "\n" * most)
