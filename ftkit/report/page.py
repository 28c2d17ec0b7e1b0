"""The report: its sections in order, put together to one self-contained HTML page and one Markdown page.
Computes nothing about arms; every section gets the same comparison and lays out its own part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ftkit.contracts import Section
from ftkit.registry import find
from ftkit.report.comparison import Comparison
from ftkit.report.markup import escape, plain
from ftkit.report.page_style import POLICY, STYLE

SECTIONS = (
    "verdict",
    "arms",
    "disagreements",
    "cost",
    "confusion",
    "training",
    "prompts",
    "rows",
    "provenance",
)


@dataclass(frozen=True)
class Page:
    """One report, twice."""

    html: str
    markdown: str


def render(comparison: Comparison) -> Page:
    """Render every section that has something to say. Everything from data is escaped."""
    sections = dict(_sections(comparison))
    name = comparison.recipe.name
    return Page(_html(name, sections), _markdown(name, sections))


def _sections(comparison: Comparison) -> Iterator[tuple[str, Section]]:
    for name in SECTIONS:
        component = find("sections", name)
        section = component.function(component.config_type(), comparison)
        if section.html or section.markdown:
            yield name, section


def _html(name: str, sections: dict[str, Section]) -> str:
    links = "".join(f'<a href="#{key}">{escape(section.title)}</a>' for key, section in sections.items())
    body = "".join(
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{escape(section.title)}</h2>'
        f"{section.html}</section>\n"
        for key, section in sections.items()
    )
    title = escape(f"{name}: is fine-tuning worth it?")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><p class="brand">ftkit</p><h1>{escape(name)}</h1>'
        "<p>Is fine-tuning worth it for this task?</p></header>\n"
        f'<main>{body}</main>\n<nav aria-label="Sections">{links}</nav>\n</body>\n</html>\n'
    )


def _markdown(name: str, sections: dict[str, Section]) -> str:
    parts = [f"# {plain(name)}: is fine-tuning worth it?"]
    parts += [f"## {plain(section.title)}\n\n{section.markdown}" for section in sections.values()]
    return "\n\n".join(parts) + "\n"
