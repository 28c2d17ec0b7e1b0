"""Every field of a recipe, as the schema has them, and two values for each option of a component."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from ftkit.registry import Choice, find, names

VALUES: dict[str, tuple[Any, Any]] = {  # of options whose type does not say what may stand there
    "encoding": (None, "cp1252"),
    "delimiter": (",", ";"),
    "shape": (None, "alpaca"),
    "share": (1.0, 2.0),
    "language.keep": (["en"], ["de", "en"]),
    "max_top_grams": ([0.2, 0.18, 0.16], [0.3, 0.2, 0.1]),
    "max_duplicate_grams": ([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], [0.7, 0.5, 0.4, 0.3, 0.2, 0.1]),
}
BESIDE: dict[str, dict[str, Any]] = {  # options that a component needs, where they are no plain text
    "balance": {"max_per_label": 5},
    "html": {"action": "strip"},
    "language": {"keep": ["en"]},
    "pattern": {"drop": "x"},
    "pattern.keep": {},
    "pattern.drop": {},
    "semantic_dedup": {"model": "x"},
    "semantic_dedup.hub": {},
    "semantic_dedup.revision": {"hub": "x"},
    "xlsx.columns": {"path": "rows", "sheet": "x"},
}


def fields_of(schema: type[BaseModel], path: str = "", seen: set[type[BaseModel]] | None = None) -> Iterator[str]:
    """Every leaf of a schema as a dotted path; a component without options is one itself.

    The components of a kind are gone into where they may first stand; each later place is a leaf.
    """
    seen = set() if seen is None else seen
    for name, info in schema.model_fields.items():
        here = f"{path}.{name}" if path else name
        blocks = list(_blocks(info.annotation))
        if not blocks or float in _parts(info.annotation) or not seen.isdisjoint(blocks):
            yield here
        for block in blocks:
            if block not in seen:
                seen |= {block} if issubclass(block, Choice) else set()
                inner = list(fields_of(block, here, seen))
                yield from inner or [here]


def _blocks(annotation: Any) -> Iterator[type[BaseModel]]:
    yield from (part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel))


def _parts(annotation: Any) -> list[Any]:
    inside = typing.get_args(annotation)
    return [annotation, *(part for each in inside for part in _parts(each))] if inside else [annotation]


def two_of(kind: str, name: str, options: list[str]) -> list[Any]:
    """A component with two values of an option; one without options in place of another. `options` leads to it."""
    if not options:
        return [next(each for each in names(kind) if each != name), name]
    option, *inner = options
    config_type = find(kind, name).config_type
    required = {key: "x" for key, info in config_type.model_fields.items() if info.is_required()}
    beside = BESIDE.get(f"{name}.{option}", BESIDE.get(name, required))
    known = VALUES.get(f"{name}.{option}") or VALUES.get(option)
    values = two_of("shapes", inner[0], inner[1:]) if inner else known or taken(config_type, option, beside)
    return [{name: {**beside, option: value}} for value in values]


def taken(config_type: type[BaseModel], option: str, beside: Mapping[str, Any]) -> list[Any]:
    """The first two values that an option takes, its default before all others."""
    info = config_type.model_fields[option]
    default = [] if info.is_required() else [info.get_default(call_default_factory=True)]
    words = [each for part in _parts(info.annotation) if typing.get_origin(part) is Literal for each in part.__args__]
    found: dict[str, Any] = {}
    for value in [*default, *words, *([word] for word in words), "x", "y", ["x"], ["y"], 1, 2, 0.5, 20, True, False]:
        with suppress(ValidationError):
            found.setdefault(config_type.model_validate({**beside, option: value}).model_dump_json(), value)
    assert len(found) > 1, f"{config_type.__name__}.{option}: give two values in VALUES, what it needs in BESIDE"
    return list(found.values())[:2]
