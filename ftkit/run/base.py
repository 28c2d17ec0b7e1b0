"""The base that a recipe names: as the engine's value, and whether its files are here. Loads no library of models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ftkit.contracts import Context
from ftkit.engine.files import ModelSpec, look
from ftkit.recipe.schema import Recipe


def model_spec(recipe: Recipe, *, quantize: Literal["none", "nf4"] = "none") -> ModelSpec:
    """The base model of a recipe."""
    model = recipe.model
    return ModelSpec(
        path=Path(model.path) if model.path is not None else None,
        hub=model.hub,
        revision=model.revision,
        precision=model.precision,
        quantize=quantize,
        chat_template_kwargs=model.chat_template_kwargs,
    )


def with_base_found(recipe: Recipe, ctx: Context) -> Recipe:
    """The recipe with the folder of its base as it was found, so that who opens the run later needs no recipe."""
    path = recipe.model.path
    if path is None or (found := recipe.around(ctx).resolve(path)) == ctx.resolve(path):
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"path": str(found)})})


def look_at_files(recipe: Recipe, ctx: Context) -> str:
    """What is to be said of the files that the base and the metrics are made of; '' where all are here.

    Raises MachineError for what is missing. Needs no network.
    """
    for metric in recipe.evaluate.metrics:
        if metric.options.runs_code:
            metric.options.code_id()
    return look(model_spec(recipe), ctx)
