"""The report: its sections in order, put together to one self-contained HTML page and one Markdown page.
Computes nothing about arms; every section gets the same comparison and lays out its own part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ftkit.contracts import Section
from ftkit.registry import find
from ftkit.report.comparison import Comparison
from ftkit.report.markup import plain
from ftkit.report.skeleton import Part, fill_page

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
        section: Section = component.function(component.config_type(), comparison)
        if section.html or section.markdown:
            yield name, section


def _html(name: str, sections: dict[str, Section]) -> str:
    parts = [Part(key, section.title, section.html) for key, section in sections.items()]
    question = "Is fine-tuning worth it for this task?"
    return fill_page(parts, title=f"{name}: is fine-tuning worth it?", heading=name, lead=question)


def _markdown(name: str, sections: dict[str, Section]) -> str:
    parts = [f"# {plain(name)}: is fine-tuning worth it?"]
    parts += [f"## {plain(section.title)}\n\n{section.markdown}" for section in sections.values()]
    return "\n\n".join(parts) + "\n"
