"""Markup that is left in texts taken from web pages: found, taken out, or only its entities decoded.

Pure: a column of texts in, a column out. Rows without markup are found by one expression and left alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

_ENTITY = r"&#?[0-9A-Za-z]{1,24};"
_GONE = r"<!--[\s\S]*?-->|<script\b[^>]*>[\s\S]*?</script\s*>|<style\b[^>]*>[\s\S]*?</style\s*>|<!doctype\b[^>]*>"
_BLOCKS = (
    "address|article|aside|blockquote|body|caption|dd|div|dl|dt|figcaption|figure|footer|form|h[1-6]|head|header|html|"
    "li|main|nav|ol|option|p|pre|section|select|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINE = (
    "a|abbr|b|big|button|center|cite|code|em|font|i|iframe|img|input|label|link|meta|noscript|q|s|small|span|strike|"
    "strong|sub|sup|svg|u"
)
_VALUE = r"(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+)"
_ATTRIBUTES = rf"(?:\s+[A-Za-z_:][\w:.-]*\s*=\s*{_VALUE})*\s*"
_BREAK = rf"<(?:br|hr){_ATTRIBUTES}/?>|</(?:{_BLOCKS})\s*>"
_TAG = rf"</?(?:{_BLOCKS}|{_INLINE}){_ATTRIBUTES}/?>"
_MARKUP = f"(?i){_GONE}|{_BREAK}|{_TAG}|{_ENTITY}"
_PAGE = rf"(?i)&nbsp;|<br\s*/?>|</(?:{_BLOCKS}|a|span|font)\s*>"
_SEAM = re.compile(r"(</\w+\s*>)(?=<\w)")  # one element ends, the next begins: their words do not run together
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n(?: ?\n)* ?")


def looks_scraped(texts: polars.Series) -> polars.Series:
    """Whether a text holds what web pages are laid out with: line breaks, ends of blocks and links, fixed blanks."""
    return texts.str.contains(_PAGE).fill_null(False)


def without_markup(texts: polars.Series) -> polars.Series:
    """Tags, comments and scripts gone, block ends as line breaks, entities decoded, blanks between words as one."""
    return _where(texts, _MARKUP, _plain)


def unescaped(texts: polars.Series) -> polars.Series:
    """Entities such as `&lt;` decoded, once: `&amp;lt;` becomes `&lt;`."""
    return _where(texts, _ENTITY, _decoded)


def _where(texts: polars.Series, pattern: str, mend: Callable[[str], str]) -> polars.Series:
    places = texts.str.contains(pattern).fill_null(False).arg_true()
    found: list[str] = texts.gather(places).to_list()
    return texts.clone().scatter(places, [mend(text) for text in found]) if found else texts


def _decoded(text: str) -> str:
    return re.sub(_ENTITY, lambda entity: html.unescape(entity[0]), text)


def _plain(text: str) -> str:
    bare = re.sub(_GONE, " ", text, flags=re.IGNORECASE)
    broken = re.sub(_BREAK, "\n", bare, flags=re.IGNORECASE)
    words = re.sub(_TAG, "", _SEAM.sub(r"\1 ", broken), flags=re.IGNORECASE)
    return _BLANK_LINES.sub("\n", _SPACES.sub(" ", _decoded(words).replace("\xa0", " "))).strip()
