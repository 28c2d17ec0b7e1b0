"""What is wrong with a recipe, in one line a mistake: place, full key, what was found, the nearest name that is known.

Knows the schema it is given, as pydantic models, and where the keys of the text are; knows no recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ftkit.recipe import words
from ftkit.recipe.across import AcrossError
from ftkit.recipe.places import Place
from ftkit.recipe.yaml_tree import KeyPath, Tree, YamlValue
from ftkit.registry import Config, nearest, suggest


@dataclass(frozen=True)
class Mistake:
    """A line on a mistake, and the places that it leaves open: where it stands, and what seems to be meant."""

    line: str
    places: frozenset[Place]


def mistakes_in(tree: Tree, error: ValidationError, schema: type[Config], *, whole: type[Config]) -> list[Mistake]:
    """What validating the tree's value as a `schema` found; `whole` has the keys that unknown ones may be."""
    found = []
    for detail in error.errors():
        found.append(_mistake(tree, detail, schema, whole))
        if detail["type"] == "extra_forbidden":
            path, node, _ = _walk(tree.value, detail["loc"], schema)
            found += _words_within(tree, path, node, whole)
    return found


def _words_within(tree: Tree, path: KeyPath, node: YamlValue, whole: type[Config]) -> Iterator[Mistake]:
    """Other tools' words within a block that is not known: such a block is another tool's too."""
    for key, value in node.items() if isinstance(node, dict) else ():
        here = (*path, key)
        found = words.answer(key, path, (), tree.value, whole) if key in words.WORDS else None
        if found is not None:
            line = f"{_place(tree, here)}: {'.'.join(map(str, here))}: unknown key{found.text}"
            yield Mistake(line, frozenset({found.place} if found.place else ()))
        yield from _words_within(tree, here, value, whole)


def problems(tree: Tree, found: Iterable[Mistake], across: Iterable[str]) -> list[str]:
    """A line for each mistake, in the order of the text, and of those `across` keys, which begin with one."""
    lines = [*(line for each in found for line in each.line.splitlines()), *(placed(tree, line) for line in across)]
    return sorted(dict.fromkeys(lines), key=_by_place)


def placed(tree: Tree, message: str) -> str:
    """A message that begins with a key, behind the place of that key."""
    key = message.split(":")[0]
    return f"{_place(tree, tuple(int(part) if part.isdecimal() else part for part in key.split('.')))}: {message}"


def _by_place(problem: str) -> tuple[str, list[int]]:
    name, *rest = problem.split(":")
    return name, [int(part) for part in rest[:2] if part.isdigit()]


def _place(tree: Tree, path: KeyPath) -> str:
    place = tree.place(path)
    return "--set" if place == f"--set {'.'.join(map(str, path))}" else place


def _mistake(tree: Tree, detail: ErrorDetails, schema: type[Config], whole: type[Config]) -> Mistake:
    """One pydantic error: place, full key, what was found, what to do."""
    path, node, known = _walk(tree.value, detail["loc"], schema)
    here = tuple(map(str, path))
    start = f"{_place(tree, path)}: {'.'.join(here) or 'recipe'}"
    if detail["type"] == "extra_forbidden":
        hint = _of_unknown(tree, str(detail["loc"][-1]), path, known, detail["loc"], whole)
        return Mistake(f"{start}: unknown {hint.text}", frozenset({here, hint.place or here}))
    if detail["type"] == "missing":
        return Mistake(f"{start}: is missing", frozenset({here}))
    error = detail["ctx"]["error"] if detail["type"] == "value_error" else None
    if isinstance(error, AcrossError):
        return Mistake("\n".join(placed(tree, line) for line in error.found), frozenset({here}))
    message = _lower(detail["msg"]) if error is None else str(error)
    what_stands = "" if isinstance(node, (dict, list)) else f", found {node!r}"
    if detail["type"] == "list_type" and isinstance(node, str) and node:
        what_stands += f"; write [{', '.join(_parts(node))}]"
    return Mistake(f"{start}: {message}{what_stands}", frozenset({here}))


def _of_unknown(
    tree: Tree, name: str, path: KeyPath, known: list[str], loc: Sequence[str | int], whole: type[Config]
) -> words.Answer:
    """What is unknown and what to do, and the place that seems to be meant."""
    is_key = path[-1:] == (name,)
    at = path[:-1] if is_key else path
    found = words.answer(name, at, known, tree.value, whole) if is_key or name in words.WORDS else None
    if found is None:
        near = nearest(name, known)
        means = (*map(str, at), near) if near is not None else ()
        found = words.Answer(_as_list(name, known, loc) or suggest(name, known), means)
    return words.Answer(f"{'key' if is_key else f'name {name!r}'}{found.text}", found.place)


def _as_list(name: str, known: Sequence[str], loc: Sequence[str | int]) -> str:
    """What to say of a text that is a list of known names without its brackets, where a list may stand."""
    parts = _parts(name)
    is_list = len(parts) > 1 and set(parts) <= set(known) and isinstance(loc[-2], int)
    return f"; several are written as a list: [{', '.join(parts)}]" if is_list else ""


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.strip(" ,").split(",")]


def _walk(value: YamlValue, loc: Sequence[str | int], schema: type[BaseModel]) -> tuple[KeyPath, YamlValue, list[str]]:
    """Follow an error's location through the recipe's own values, skipping what only the schema knows.

    Returns the path in the recipe, the value there, and the names known at the last step (for suggestions).
    """
    path: list[str | int] = []
    known: list[str] = []
    for index, part in enumerate(loc):
        known = list(schema.model_fields)
        is_last = index == len(loc) - 1
        if isinstance(value, dict) and (part in value or (is_last and part in known)):
            path.append(part)
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            path.append(part)
            value = value[part]
        schema = _schema_of(schema, part)
    return tuple(path), value, known


def _schema_of(schema: type[BaseModel], part: str | int) -> type[BaseModel]:
    """The model class below `part`: a field's, or the same one where `part` is an index or a union's tag."""
    field = schema.model_fields.get(str(part))
    return schema if field is None else _first_model(field.annotation) or schema


def _first_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    models = (_first_model(argument) for argument in get_args(annotation))
    return next((model for model in models if model is not None), None)


def _lower(message: str) -> str:
    return message[0].lower() + message[1:]
