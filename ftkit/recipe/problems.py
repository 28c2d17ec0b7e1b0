"""What is wrong with a recipe, in one line a mistake: place, full key, what was found, the nearest name that is known.

Knows the schema it is given, as pydantic models, and where the keys of the text are; knows no recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ftkit.recipe import words
from ftkit.recipe.yaml_tree import KeyPath, Tree, YamlValue
from ftkit.registry import Config, suggest


def problems(tree: Tree, error: ValidationError, schema: type[Config], *, whole: type[Config]) -> list[str]:
    """A line for each mistake that validating the tree's value as a `schema` found, in the order of the text.

    `whole` is the schema that keys which are not known are looked for in.
    """
    return sorted({_problem(tree, detail, schema, whole) for detail in error.errors()}, key=_by_place)


def _by_place(problem: str) -> tuple[str, list[int]]:
    name, *rest = problem.split(":")
    return name, [int(part) for part in rest[:2] if part.isdigit()]


def _problem(tree: Tree, detail: ErrorDetails, schema: type[Config], whole: type[Config]) -> str:
    """One line for one pydantic error: place, full key, what was found, what to do."""
    path, node, known = _walk(tree.value, detail["loc"], schema)
    key = ".".join(map(str, path)) or "recipe"
    place = tree.place(path)
    if place == f"--set {key}":
        place = "--set"
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        is_key = path[-1:] == (name,)
        at = path[:-1] if is_key else path
        found = words.answer(name, at, known, tree.value, whole) if is_key or name in words.WORDS else None
        hint = _as_list(name, known, detail["loc"]) or (suggest(name, known) if found is None else found.text)
        return f"{place}: {key}: unknown {'key' if is_key else f'name {name!r}'}{hint}"
    if detail["type"] == "missing":
        return f"{place}: {key}: is missing"
    message = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else _lower(detail["msg"])
    if not path:  # a check across blocks names its key itself
        return f"{tree.place(tuple(message.split(':')[0].split('.')))}: {message}"
    what_stands = "" if isinstance(node, (dict, list)) else f", found {node!r}"
    if detail["type"] == "list_type" and isinstance(node, str) and node:
        what_stands += f"; write [{', '.join(_parts(node))}]"
    return f"{place}: {key}: {message}{what_stands}"


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
