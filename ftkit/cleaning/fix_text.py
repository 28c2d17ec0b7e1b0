"""Repairs mojibake, HTML and surrounding white space of input and target (ftfy's defaults).

Knows one row at a time. Rows of plain printable ASCII cannot need ftfy and take a fast path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import Config, component

if TYPE_CHECKING:
    from ftkit.contracts import Table

_CANNOT_NEED_REPAIR = re.compile(r"[\t\n\x20-\x25\x27-\x7e]*\Z")  # ASCII but '&' and control characters
_BREAK = re.compile(r"<(?:br|hr)\s*/?>|</(?:p|div|li|tr|h[1-6]|ul|ol|table|blockquote)\s*>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:html|head|body|p|div|span|b|i|u|s|em|strong|small|big|font|a|ul|ol|li|table|thead|tbody|tr|td|th|h[1-6]|"
    r"blockquote|pre|code|center|sub|sup|img)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_SEAM = re.compile(r"(</\w+\s*>)(?=<\w)")  # one element ends, the next begins: their words do not run together
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n(?: ?\n)* ?")


class FixText(Config):
    """Repair broken encodings, HTML entities and tags, and surrounding white space."""

    html: Literal["remove", "keep"] = Field("remove", description="tags such as <br> and <b> in inputs")


@component
def apply(config: FixText, table: Table, ctx: Context) -> Cleaned:
    """Change rows in place; a row whose input changed has an event that says how."""
    import polars

    inputs, events = _fixed(table, "input", _fix_input if config.html == "remove" else _fix)
    targets, target_events = _fixed(table, "target", _fix)
    columns = [polars.Series("input", inputs, polars.String), polars.Series("target", targets, polars.String)]
    return Cleaned(table.with_columns(columns), events + target_events)


def _fixed(table: Table, column: str, fix: Callable[[str], tuple[str, list[str]]]) -> tuple[list[str], list[Event]]:
    texts: list[str] = table[column].to_list()
    events = []
    for position, (name, text) in enumerate(zip(table["id"].to_list(), texts, strict=True)):
        texts[position], changes = fix(text)
        if changes:
            events.append(Event(name, "fix_text", "change", f"{column}: {', '.join(changes)}"))
    return texts, events


def _fix_input(text: str) -> tuple[str, list[str]]:
    fixed, changes = _fix(text)
    if "&nbsp;" in text or ("<" in fixed and (_BREAK.search(fixed) or _TAG.search(fixed))):
        fixed = _without_tags(fixed)
        changes.append("HTML removed")
    return fixed, changes


def _fix(text: str) -> tuple[str, list[str]]:
    changes = []
    fixed = text
    if not _CANNOT_NEED_REPAIR.match(text):
        import ftfy

        fixed = ftfy.fix_text(text)
        if fixed != text:
            changes.append("characters repaired")
    if fixed != fixed.strip():
        fixed = fixed.strip()
        changes.append("outer white space removed")
    return fixed, changes


def _without_tags(text: str) -> str:
    """Text with tags gone, block ends as line breaks, seams as spaces, entities decoded, blanks as one."""
    import html

    plain = html.unescape(_TAG.sub("", _SEAM.sub(r"\1 ", _BREAK.sub("\n", text)))).replace("\xa0", " ")
    return _BLANK_LINES.sub("\n", _SPACES.sub(" ", plain)).strip()
