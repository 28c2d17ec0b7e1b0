"""Where the numbers come from: base model, data, seeds, versions, machine, and the recipe as resolved."""

from __future__ import annotations

import yaml
from markupsafe import Markup

from ftkit.contracts import Section
from ftkit.records import dump
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Html, escape, facts, facts_markdown, fenced, folded

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "numpy",
    "scipy",
    "scikit-learn",
    "polars",
)


class ProvenanceOptions(Config):
    """No options."""


@component
def render(config: ProvenanceOptions, comparison: Comparison) -> Section:
    """Facts as a list, the resolved recipe verbatim."""
    entries = _entries(comparison)
    recipe = yaml.safe_dump(comparison.recipe.resolved(), sort_keys=False, allow_unicode=True)
    html = facts(entries) + folded("The recipe, with every default filled in", Html(f"<pre>{escape(recipe)}</pre>"))
    parts = [
        facts_markdown(entries),
        "The recipe, with every default filled in:",
        fenced(recipe.rstrip(), "yaml"),
    ]
    markdown = "\n\n".join(parts)
    return Section("Provenance", Markup(html), markdown)


def _entries(comparison: Comparison) -> dict[str, Cell]:
    entries: dict[str, Cell] = {"run": comparison.recipe.name, "seed": str(comparison.recipe.seed)}
    model: dict[str, object] = comparison.recipe.model.model_dump(mode="json")
    entries |= {f"base model, {name}": _text(value) for name, value in model.items() if value is not None}
    entries |= {f"sha256 of {name}": value for name, value in comparison.summary.sources.items()}
    return entries | _environments(comparison) | _machine(comparison)


def _environments(comparison: Comparison) -> dict[str, Cell]:
    """Versions and machine that the stages were made with; where stages differ, each with its own."""
    by_fact: dict[str, dict[str, list[str]]] = {}
    for stage, environment in comparison.environments.items():
        packages = environment["packages"]
        facts_of_stage = {name: environment[name] for name in ("ftkit", "python", "processor", "threads", "machine")}
        for name, value in (facts_of_stage | {name: packages.get(name) for name in PACKAGES}).items():
            text = "not installed" if value is None else _text(value)
            by_fact.setdefault(name, {}).setdefault(text, []).append(stage)
    return {
        name: next(iter(values))
        if len(values) == 1
        else ", ".join(f"{text} ({', '.join(stages)})" for text, stages in values.items())
        for name, values in by_fact.items()
    }


def _machine(comparison: Comparison) -> dict[str, Cell]:
    """What the stages wrote down beside their durations."""
    entries: dict[str, Cell] = {}
    for stage, timing in comparison.timings.items():
        entries |= {f"{stage}, {name}": _text(value) for name, value in timing.facts.items()}
    return entries


def _text(value: object) -> str:
    return value if isinstance(value, str) else dump(value)
