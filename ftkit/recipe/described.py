"""Keys and components in a user's words: type, default, what it is. Pure: gives text at most 80 characters wide.

Knows pydantic models and their docstrings; no recipe, and no key or component by name.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ftkit.recipe.places import Place, blocks_in
from ftkit.registry import Choice, Component, Config

WIDTH = 80
NAMES = {str: ("text", "texts"), bool: ("true or false", ""), int: ("whole number", "whole numbers")}
NAMES |= {float: ("number", "numbers")}
BOUNDS = {"gt": "above", "ge": "from", "lt": "below", "le": "up to"}


@dataclass(frozen=True)
class Described:
    """A key: its type, its default ('' where there is none to tell, or it is required), and what it is.

    `kind` is that of the components it chooses from, '' where it does not; a block holds keys of its own.
    """

    name: str
    type: str
    default: str
    is_required: bool
    about: str
    kind: str
    is_block: bool

    @property
    def value(self) -> str:
        """What may stand there: type and default."""
        return self.type + (", required" if self.is_required else f", default {self.default}" if self.default else "")

    @property
    def meaning(self) -> str:
        """What may stand there, and what it is."""
        return " — ".join(part for part in (self.value, self.about) if part)


def described(name: str, field: FieldInfo) -> Described:
    """A key in words."""
    blocks = list(blocks_in(field.annotation))
    is_block = any(block.model_fields and not issubclass(block, Choice) for block in blocks)
    return Described(
        name=name,
        type=_in_words(field.annotation, field.metadata),
        default="" if is_block else _default(field),
        is_required=field.is_required(),
        about=field.description or "",
        kind=next((block.kind for block in blocks if issubclass(block, Choice)), ""),
        is_block=is_block,
    )


def keys_of_block(block: type[BaseModel]) -> list[Described]:
    """The keys that stand in a block."""
    return [described(name, field) for name, field in block.model_fields.items()]


def own_blocks(field: FieldInfo) -> list[type[BaseModel]]:
    """The blocks that a key holds, under names of the user's own too; components are described by themselves."""
    inside = [field.annotation, *(get_args(field.annotation) if get_origin(field.annotation) is dict else ())]
    blocks = [block for each in inside for block in blocks_in(each)]
    return [block for block in blocks if not issubclass(block, Choice) or not block.kind]


def about_block(block: type[BaseModel]) -> str:
    """What a block says of itself."""
    return inspect.cleandoc(block.__doc__ or "")


def key_as_text(place: Place, field: FieldInfo) -> str:
    """A key of a recipe: what it is, and the keys that it holds, where those are the recipe's own."""
    key = described(".".join(place), field)
    lines = [key.name]
    if not key.is_block:
        lines += ["", *wrapped(key.meaning)]
    for block in own_blocks(field):
        lines += ["", *block_as_lines(block, place)]
    return "\n".join(lines)


def block_as_lines(block: type[BaseModel], place: Place = ()) -> list[str]:
    """What a block says of itself, and its keys; `place` is where it stands in a recipe."""
    keys = keys_of_block(block)
    about = [] if issubclass(block, Choice) else [*wrapped(about_block(block)), ""]
    inner = [".".join((*place, key.name)) for key in keys if key.is_block]
    more = ["", *wrapped(f"More with `ftkit show`: {', '.join(inner)}")] if inner else []
    return [*about, *(line for key in keys for line in _key_lines(key)), *more]


def component_as_text(component: Component) -> str:
    """What a component does, and each option."""
    lines = [f"{component.kind}/{component.name}", "", *wrapped(component.doc)]
    keys = keys_of_block(component.config_type)
    if keys:
        lines += ["", *block_as_lines(component.config_type)]
    return "\n".join(lines)


def as_list(abouts: Mapping[str, str]) -> list[str]:
    """A line for each name with what it is, wrapped beside the names."""
    width = max(map(len, abouts), default=0)
    lines: list[str] = []
    for name, about in abouts.items():
        lines += _filled(about, first=f"  {name:{width}}  ", rest=" " * (width + 4)).split("\n")
    return lines


def wrapped(text: str) -> list[str]:
    """Paragraphs, of which each is wrapped anew."""
    paragraphs = [_filled(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]
    return "\n\n".join(paragraphs).split("\n") if paragraphs else []


def _filled(text: str, *, first: str = "", rest: str = "") -> str:
    """Wrapped at words; paths and names keep their hyphens."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _key_lines(key: Described) -> list[str]:
    return _filled(f"{key.name}: {key.meaning}", first="  ", rest="    ").split("\n")


def _in_words(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """A type as a user says it, with the limits of its numbers."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(inside[0], (*limits, *inside[1:]))
    if origin in (Union, UnionType):
        return ", or ".join(_in_words(each, limits) for each in inside if each is not type(None))
    if origin is Literal:
        return _one_of(map(_written, inside))
    if origin is list:
        return _list_in_words(inside[0], limits)
    if origin is dict:
        return f"names, each with {_in_words(inside[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Choice):
        return _one_of(annotation.model_fields)
    if annotation in NAMES:
        return NAMES[annotation][0] + (_limits(limits) if annotation is not str else "")
    return "a block" if annotation.model_fields else "no options"


def _list_in_words(item: Any, limits: Sequence[Any]) -> str:
    if _takes_one(limits):
        return f"{_in_words(item)}, or a list of them"
    plain, more = _unwrapped(item)
    if plain in NAMES:
        return f"a list of {NAMES[plain][1]}{_limits(more)}"
    choices = _in_words(item).replace(" or ", ", ")
    return f"a list of {'any of ' * (',' in choices)}{choices}"


def _takes_one(limits: Iterable[Any]) -> bool:
    """Whether a list's field takes one value too (`registry.one_or_more`)."""
    return any(isinstance(each, BeforeValidator) for each in limits)


def _unwrapped(annotation: Any) -> tuple[Any, Sequence[Any]]:
    plain, *limits = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    return plain, limits


def _one_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _limits(limits: Iterable[Any]) -> str:
    """' from 1 to 20', ' above 0 and below 1'."""
    found = [
        f"{word} {getattr(limit, name):.15g}"
        for limit in _flat(limits)
        for name, word in BOUNDS.items()
        if hasattr(limit, name)
    ]
    joined = " and ".join(found)
    return f" {joined}".replace(" and up to", " to" if "from" in joined else " and up to") if found else ""


def _flat(limits: Iterable[Any]) -> Iterator[Any]:
    """Limits, also those that stand in a Field."""
    for each in limits:
        yield from each.metadata if isinstance(each, FieldInfo) else (each,)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value in (None, [], {}):
        return ""
    is_one = _takes_one(field.metadata) and len(value) == 1
    return _written(value[0] if is_one else value)


def _written(value: Any) -> str:
    """A value as a recipe writes it."""
    if isinstance(value, Choice):
        options = value.options.model_dump(exclude_defaults=True)
        return f"{{{value.name}: {_written(options)}}}" if options else value.name
    if isinstance(value, Config):
        return _written(value.model_dump(exclude_defaults=True))
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, str):
        return value if re.fullmatch(r"[A-Za-z_][\w-]*", value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
