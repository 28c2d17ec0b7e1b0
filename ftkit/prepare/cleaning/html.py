"""Takes markup out of texts that were scraped from web pages, or decodes its entities only.

Knows one row at a time. Code and texts about HTML are markup too: this step is for recipes that ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.mending import Mended, MendingStep, mend_rows, mended
from ftkit.prepare.texts.markup import unescaped, without_markup
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Html(MendingStep):
    """What is done with markup in inputs, and in messages that are no answers.

    strip: tags, comments and scripts go, ends of blocks become line breaks, entities are decoded, blanks become one.

    unescape: entities such as `&amp;` are decoded, tags stay.
    """

    action: Literal["strip", "unescape"] = Field(description="as in {html: {action: strip}}")


@component
def apply(config: Html, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place; a row has an event for each of its columns that changed, which says how."""

    def mend(texts: polars.Series) -> Mended:
        plain = without_markup(texts) if config.action == "strip" else unescaped(texts)
        way = "HTML removed" if config.action == "strip" else "HTML entities decoded"
        return mended(plain, {way: plain != texts})

    return mend_rows(config, table, mend)
