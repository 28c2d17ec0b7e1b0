"""Repairs mojibake, HTML and surrounding white space of input and target (ftfy's defaults).

Knows one row at a time. Rows that cannot need it are found by one expression over the column and left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.cleaning import RowStep, events
from ftkit.contracts import Cleaned, Context
from ftkit.registry import component
from ftkit.texts.repair import repaired

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
    """Repair broken encodings, HTML entities and tags, and surrounding white space."""

    html: Literal["remove", "keep"] = Field("remove", description="tags such as <br> and <b> in inputs")


@component
def apply(config: FixText, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place; a row whose input or target changed has an event for it that says how."""
    import polars

    repaired, changes = table, []
    for column, removes_html in (("input", config.html == "remove"), ("target", False)):
        texts, how = _fixed(table[column], removes_html=removes_html)
        other = (texts != table[column]).fill_null(False)
        changes.append(events("change", table["id"].filter(other), f"{column}: " + how.filter(other)))
        repaired = repaired.with_columns(texts.alias(column))
    return Cleaned(repaired, table.select("id").join(polars.concat(changes), on="id", maintain_order="left_right"))


def _fixed(texts: polars.Series, *, removes_html: bool) -> tuple[polars.Series, polars.Series]:
    """The texts repaired, and how: empty where nothing was done."""
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
    reasons = [polars.when(did).then(polars.lit(reason)) for reason, did in done.items()]
    how = polars.concat_str(reasons, separator=", ", ignore_nulls=True)
    return fixed, polars.select(how).to_series()


def _without_tags(text: str) -> str:
    """Text with tags gone, block ends as line breaks, seams as spaces, entities decoded, blanks as one."""
    import html

    plain = html.unescape(
        re.sub(_TAG, "", _SEAM.sub(r"\1 ", re.sub(_BREAK, "\n", text, flags=re.I)), flags=re.I)
    ).replace("\xa0", " ")
    return _BLANK_LINES.sub("\n", _SPACES.sub(" ", plain)).strip()
