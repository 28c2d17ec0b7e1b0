"""Every key of a schema with its place. Knows pydantic models and no recipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ftkit.registry import Choice

Place: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A key: where it stands, the same with * for names of components, the block it is of, and its field."""

    place: Place
    pattern: Place
    block: type[BaseModel]
    field: FieldInfo

    @property
    def is_inside_component(self) -> bool:
        """Whether it is an option of a component."""
        return "*" in self.pattern

    @property
    def is_component(self) -> bool:
        """Whether it is the name of a component, which is described by itself."""
        return issubclass(self.block, Choice) and bool(self.block.kind)


def keys_of(schema: type[BaseModel]) -> Iterator[Key]:
    """Every key of a schema. Components of a kind are gone into where they may first stand."""
    return _keys(schema, (), (), set())


def _keys(schema: type[BaseModel], at: Place, pattern: Place, seen: set[type[BaseModel]]) -> Iterator[Key]:
    is_choice = issubclass(schema, Choice)
    for name, info in schema.model_fields.items():
        here = (*at, name)
        inner = (*pattern, "*" if is_choice else name)
        yield Key(here, (*pattern, name), schema, info)
        for block in blocks_in(info.annotation):
            if block not in seen:
                seen |= {block} if issubclass(block, Choice) else set()
                yield from _keys(block, here, inner, seen)


def blocks_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models of a field, but those under keys of the user's own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not dict:
        for part in get_args(annotation):
            yield from blocks_in(part)
