"""ftkit: should I fine-tune, or is a good prompt enough? One recipe answers with evidence.

    from ftkit import Trainer, load_recipe, prepare_rows, run, compare

The names are loaded when they are first used, so that importing ftkit stays fast and without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.pipeline import prepare_rows, run
    from ftkit.recipe import DataRecipe, Recipe, load_data_recipe, load_recipe
    from ftkit.stages.compare import compare
    from ftkit.trainer import Trainer

__all__ = ["DataRecipe", "Recipe", "Trainer", "compare", "load_data_recipe", "load_recipe", "prepare_rows", "run"]

_HOMES = {
    "DataRecipe": "ftkit.recipe",
    "Recipe": "ftkit.recipe",
    "Trainer": "ftkit.trainer",
    "compare": "ftkit.stages.compare",
    "load_data_recipe": "ftkit.recipe",
    "load_recipe": "ftkit.recipe",
    "prepare_rows": "ftkit.pipeline",
    "run": "ftkit.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ftkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
