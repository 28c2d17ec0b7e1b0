"""Repairs mojibake, HTML and surrounding white space of all that is asked and answered (ftfy's defaults).

Knows one row at a time. Rows that cannot need it are found by one expression over the column and left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, events
from ftkit.prepare.texts.repair import repaired
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

_BREAK = r"<(?:br|hr)\s*/?>|</(?:p|div|li|tr|h[1-6]|ul|ol|table|blockquote)\s*>"
_TAG = (
    r"</?(?:html|head|body|p|div|span|b|i|u|s|em|strong|small|big|font|a|ul|ol|li|table|thead|tbody|tr|td|th|h[1-6]|"
    r"blockquote|pre|code|center|sub|sup|img)(?:\s[^<>]*)?/?>"
)
_MARKUP = f"(?i){_BREAK}|{_TAG}"
_SEAM = re.compile(r"(</\w+\s*>)(?=<\w)")  # one element ends, the next begins: their words do not run together
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n(?: ?\n)* ?")


class FixText(RowStep):
    """Repair broken encodings, HTML entities and tags, and surrounding white space.

    Of input and target, and where rows have them, of rejected and history.
    """

    html: Literal["remove", "keep"] = Field(
        "remove", description="tags such as <br> and <b>; only in inputs and other messages that are no answers"
    )


@component
def apply(config: FixText, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place; a row has an event for each of its columns that changed, which says how."""
    import polars

    repaired, changes = table, []
    for column in [name for name in ("input", "target", "rejected", "history") if name in table.columns]:
        if column == "history":
            fixed = _fixed_history(table[column], config)
        else:
            fixed = _fixed(table[column], removes_html=config.html == "remove" and column == "input")
        changes.append(events("change", table["id"].filter(fixed.changed), f"{column}: " + fixed.how))
        repaired = repaired.with_columns(fixed.values.alias(column))
    events_by_column = polars.concat(changes)
    changed = table.select("id").filter(polars.col("id").is_in(events_by_column["id"].implode()))
    return Cleaned(repaired, changed.join(events_by_column, on="id", maintain_order="left_right"))


@dataclass(frozen=True)
class _Fixed:
    """A column repaired, which of its values changed, and how each of those did."""

    values: polars.Series
    changed: polars.Series
    how: polars.Series


def _fixed_history(histories: polars.Series, config: FixText) -> _Fixed:
    """The messages repaired, answers as targets are and others as inputs."""
    import numpy as np
    import polars

    messages = histories.explode(empty_as_null=False, keep_nulls=False).struct.unnest()
    row = np.repeat(np.arange(len(histories)), histories.list.len().fill_null(0).to_numpy())
    messages = messages.with_columns(polars.Series("row", row)).with_row_index("place")
    parts, ways = [], []
    for is_answer in (True, False):
        some = messages.filter((polars.col("role") == "assistant") == is_answer)
        fixed = _fixed(some["content"], removes_html=config.html == "remove" and not is_answer)
        parts.append(some.with_columns(fixed.values.alias("content")))
        ways.append(some.filter(fixed.changed).select("row", "place", how=fixed.how.str.split(", ")))
    mended = (
        polars.concat(parts).sort("place").group_by("row", maintain_order=True).agg(polars.struct("role", "content"))
    )
    how = polars.concat(ways).sort("place").explode("how", empty_as_null=False).group_by("row", maintain_order=True)
    said = how.agg(polars.col("how").unique(maintain_order=True).str.join(", "))
    changed = polars.Series(np.isin(np.arange(len(histories)), said["row"]))
    values = polars.select(row=polars.int_range(len(histories))).join(
        mended, on="row", how="left", maintain_order="left"
    )
    return _Fixed(polars.select(polars.coalesce(values["role"], histories)).to_series(), changed, said["how"])


def _fixed(texts: polars.Series, *, removes_html: bool) -> _Fixed:
    import polars

    characters = repaired(texts)
    fixed = characters.str.strip_chars()
    done = {"characters repaired": characters != texts, "outer white space removed": fixed != characters}
    if removes_html:
        # an entity for a blank is markup too: it stands where text was laid out
        has_markup = texts.str.contains("&nbsp;", literal=True) | fixed.str.contains(_MARKUP)
        places = has_markup.fill_null(False).arg_true()
        fixed = fixed.scatter(places, [_without_tags(text) for text in fixed.gather(places)])
        done["HTML removed"] = has_markup
    changed = (fixed != texts).fill_null(False)
    reasons = [polars.when(did.filter(changed)).then(polars.lit(reason)) for reason, did in done.items()]
    how = polars.select(polars.concat_str(reasons, separator=", ", ignore_nulls=True)).to_series()
    return _Fixed(fixed, changed, how)


def _without_tags(text: str) -> str:
    """Text with tags gone, block ends as line breaks, seams as spaces, entities decoded, blanks as one."""
    import html

    plain = html.unescape(
        re.sub(_TAG, "", _SEAM.sub(r"\1 ", re.sub(_BREAK, "\n", text, flags=re.I)), flags=re.I)
    ).replace("\xa0", " ")
    return _BLANK_LINES.sub("\n", _SPACES.sub(" ", plain)).strip()
