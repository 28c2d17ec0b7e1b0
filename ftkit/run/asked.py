"""What Python asks for: a recipe as a file, a dict or itself; progress as a person at a terminal would see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ftkit.contracts import Context
from ftkit.errors import RecipeError
from ftkit.recipe.schema import Recipe, load_recipe, parse_recipe
from ftkit.run.terminal import Terminal


def recipe_of(asked: Any, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe, or the one in a file, or of plain values. Raises RecipeError for what is none."""
    if isinstance(asked, Recipe):
        if overrides:
            raise RecipeError("overrides: a recipe that is loaded already takes none; give load_recipe the overrides")
        return asked
    if isinstance(asked, (str, Path)):
        return load_recipe(asked, overrides=overrides)
    if isinstance(asked, Mapping):
        try:
            text = yaml.safe_dump(dict(asked), sort_keys=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise RecipeError(f"recipe: a dict of plain values is expected: {str(error).splitlines()[0]}") from None
        return parse_recipe(text, name="recipe", overrides=overrides)
    raise RecipeError(f"recipe: expected a Recipe, the path of one, or a dict, found {type(asked).__name__}")


@contextmanager
def shown(ctx: Context | None, *, quiet: bool) -> Iterator[Context]:
    """The context that was given; else one whose progress shows on stderr, unless it is to be quiet."""
    if ctx is not None or quiet:
        yield ctx or Context()
        return
    with Terminal().shown() as terminal:
        yield replace(Context(), progress=terminal)
