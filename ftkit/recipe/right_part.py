"""As much of a recipe as is right, where some of it is wrong.

Knows the schema it is given, and the places that are wrong; makes no check of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeGuard, TypeVar

from pydantic import TypeAdapter, ValidationError

from ftkit.recipe.places import Place
from ftkit.recipe.train_block import type_of
from ftkit.registry import Choice, Config

AnyConfig = TypeVar("AnyConfig", bound=Config)


@dataclass(frozen=True)
class RightPart(Generic[AnyConfig]):
    """A recipe that lacks what is wrong or has its default there, and the places that are `wrong`."""

    recipe: AnyConfig
    wrong: set[Place]


def right_part(schema: type[AnyConfig], value: Mapping[str, object], wrong: Collection[Place]) -> RightPart[AnyConfig]:
    """The blocks and keys of a recipe's value that no wrong place is, stands in or holds."""
    places = set(wrong)
    return RightPart(_built(schema, value, (), places), places)


def _built(schema: type[Config], value: Mapping[str, object], at: Place, wrong: set[Place]) -> Any:
    right: dict[str, Any] = {}
    for name in schema.model_fields.keys() & value.keys():
        here, kind, inside = (*at, name), schema.model_fields[name].annotation, value[name]
        if not any(place[: len(here)] == here for place in wrong):
            try:
                right[name] = TypeAdapter(type_of(schema.model_fields[name])).validate_python(inside)
            except ValidationError:
                wrong.add(here)
        elif _is_block(kind) and isinstance(inside, dict) and here not in wrong:
            right[name] = _built(kind, inside, here, wrong)
    return schema.model_construct(**right)


def _is_block(kind: Any) -> TypeGuard[type[Config]]:
    return isinstance(kind, type) and issubclass(kind, Config) and not issubclass(kind, Choice)
