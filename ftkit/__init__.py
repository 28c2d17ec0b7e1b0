"""ftkit: should I fine-tune, or is a good prompt enough? One recipe answers with evidence.

    from ftkit import Trainer, load_recipe, prepare_rows, run, compare

The names are loaded when they are first used, so that importing ftkit stays fast and without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.recipe.schema import DataRecipe, Recipe, load_data_recipe, load_recipe
    from ftkit.run.pipeline import prepare_rows, run
    from ftkit.run.side_by_side import compare
    from ftkit.training.trainer import Trainer

__all__ = ["DataRecipe", "Recipe", "Trainer", "compare", "load_data_recipe", "load_recipe", "prepare_rows", "run"]

_HOMES = {
    "DataRecipe": "ftkit.recipe.schema",
    "Recipe": "ftkit.recipe.schema",
    "Trainer": "ftkit.training.trainer",
    "compare": "ftkit.run.side_by_side",
    "load_data_recipe": "ftkit.recipe.schema",
    "load_recipe": "ftkit.recipe.schema",
    "prepare_rows": "ftkit.run.pipeline",
    "run": "ftkit.run.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ftkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
