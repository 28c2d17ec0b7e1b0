"""Makes white space regular: no blanks at ends of lines, few blank lines; or one blank between words, or no lines.

Knows one row at a time, and no language. Indentation, and blanks within a line, stay unless a recipe says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.mending import Mended, MendingStep, mend_rows, mended
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

_LINE_BREAK = r"\r\n|[\r\u{85}\u{2028}\u{2029}]"
_BLANK = r"[\s\x1c-\x1f&&[^\n]]"  # a set without line feeds; the ASCII separators are white space to Python


class Whitespace(MendingStep):
    """Which white space stays. All line breaks become line feeds; blank lines around a text go."""

    blanks: Literal["inner", "one"] = Field(
        "inner", description="inner: all but those at ends of lines; one: one between words, and no indentation"
    )
    lines: Literal["keep", "join"] = Field("keep", description="join: all of a text on one line, one blank between")
    max_blank_lines: int = Field(2, ge=0, description="blank lines that may follow each other")


@component
def apply(config: Whitespace, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place, with an event for each column that changed."""

    def mend(texts: polars.Series) -> Mended:
        regular = _regular(texts, config)
        return mended(regular, {"white space made regular": regular != texts})

    return mend_rows(config, table, mend)


def _regular(texts: polars.Series, config: Whitespace) -> polars.Series:
    lines = texts.str.replace_all(_LINE_BREAK, "\n")
    if config.blanks == "one" or config.lines == "join":
        lines = lines.str.replace_all(f"{_BLANK}+", " ").str.replace_all(" ?\n ?", "\n").str.strip_chars(" \n")
    else:
        lines = lines.str.replace_all(f"{_BLANK}+\n", "\n").str.replace(rf"{_BLANK}+\z", "")
        lines = lines.str.strip_chars("\n")
    if config.lines == "join":
        return lines.str.replace_all("\n+", " ")
    most = config.max_blank_lines + 1
    return lines.str.replace_all(f"\n{{{most},}}", "\n" * most)
