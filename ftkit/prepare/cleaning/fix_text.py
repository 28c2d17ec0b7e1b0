"""Repairs what is broken in texts: mojibake, surrogates decoded apart, control characters (ftfy's, but no more).

Knows one row at a time. Markup and white space have steps of their own. Rows that cannot need it are found by one
expression over the column and left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import events
from ftkit.prepare.mending import Mended, MendingStep, answers_of, mend_rows, mended
from ftkit.prepare.texts.repair import Also, repaired
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

REPAIRED = "characters repaired"
BROKEN = "characters look broken, and stay; {fix_text: {targets: true}} repairs answers too"


class FixText(MendingStep):
    """Repair broken characters of inputs and of messages that are no answers. What is well-formed stays as it is."""

    also: list[Also] = Field(
        default=[],
        description="more to change: curly quotes become straight, ligatures such as ﬁ and full or half width plain",
    )


@component
def apply(config: FixText, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place, with an event for each column that changed; flag answers that look broken."""
    import polars

    def mend(texts: polars.Series) -> Mended:
        fixed = repaired(texts, config.also)
        return mended(fixed, {REPAIRED: fixed != texts})

    result = mend_rows(config, table, mend)
    if config.targets:
        return result
    flags = [result.events]
    for column, answers in answers_of(table).items():
        is_broken = (repaired(answers) != answers).fill_null(False)
        flags.append(events("flag", table["id"].filter(is_broken), f"{column}: {BROKEN}"))
    by_row = table.select("id").join(polars.concat(flags), on="id", maintain_order="left_right")
    return Cleaned(result.table, by_row)
