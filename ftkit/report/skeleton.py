"""The one HTML page that all reports are put into: head, policy, style, header, sections and links to them.
Knows no section. What is not marked as HTML already is escaped; the page loads nothing and runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from ftkit.report.markup import escape
from ftkit.report.page_style import STYLE

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True, slots=True)
class Part:
    """A section of a page. `key` is its id, unique on the page."""

    key: str
    title: str
    html: Markup


def fill_page(parts: Sequence[Part], *, title: str, heading: str, lead: str, more_style: str = "") -> str:
    """The whole page. `lead` stands under the heading, `more_style` is CSS behind that of all pages."""
    style = Markup(STYLE + more_style)
    return _template().render(parts=parts, title=title, heading=heading, lead=lead, style=style)


@cache
def _template() -> Template:
    """Compiled once. Every value goes through our `escape`, which also shows signs that steer or turn text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ftkit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        finalize=escape,
    )
    return environment.get_template("page.html.j2")
