"""ftkit: should I fine-tune, or is a good prompt enough? One recipe answers with evidence.

    from ftkit import Trainer, load_recipe, prepare_rows, run, compare

The names are loaded when they are first used, so that importing ftkit stays fast and without torch.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own takes long to import: the command line would hear no signal meanwhile

__all__ = ["DataRecipe", "Recipe", "Trainer", "compare", "load_data_recipe", "load_recipe", "prepare_rows", "run"]

_HOMES = {
    "DataRecipe": "ftkit.recipe.schema",
    "Recipe": "ftkit.recipe.schema",
    "Trainer": "ftkit.training.trainer",
    "compare": "ftkit.run.side_by_side",
    "load_data_recipe": "ftkit.recipe.schema",
    "load_recipe": "ftkit.recipe.schema",
    "prepare_rows": "ftkit.run.pipeline",
    "run": "ftkit.run",  # the room itself, which can be called
}

if TYPE_CHECKING:
    from ftkit.recipe.schema import DataRecipe, Recipe, load_data_recipe, load_recipe
    from ftkit.run.pipeline import prepare_rows, run
    from ftkit.run.side_by_side import compare
    from ftkit.training.trainer import Trainer

    __version__: str
else:  # a type checker that saw __getattr__ would take any name for one of ours

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("ftkit")
        if name not in _HOMES:
            raise AttributeError(f"module 'ftkit' has no attribute {name!r}")
        import importlib

        home = importlib.import_module(_HOMES[name])
        return home if name == "run" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
