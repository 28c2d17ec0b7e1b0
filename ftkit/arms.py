"""From the recipe's words to the engine's values: the task, the base model, and what a method needs of it.

Loads no weights and reads no rows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Literal

from ftkit.contracts import Context, TaskSpec
from ftkit.engine.files import ModelSpec, fetch, identify
from ftkit.engine.load import resolve_device, resolve_precision
from ftkit.errors import MachineError
from ftkit.recipe import Classify, Generate, Recipe, TaskChoice
from ftkit.registry import Choice
from ftkit.store import digest
from ftkit.trainer import method_module


def task_spec(task: TaskChoice, labels: Sequence[str]) -> TaskSpec:
    """The task with its labels known and its extractor chosen."""
    options = task.options
    if isinstance(options, Generate):
        return TaskSpec("generate", (), options.max_new_tokens, lambda text: options.extract(text))
    assert isinstance(options, Classify)
    return TaskSpec("classify", tuple(labels), 0, lambda text: text)


def model_spec(recipe: Recipe, ctx: Context, *, quantize: Literal["none", "nf4"] = "none") -> ModelSpec:
    """The base model of a recipe."""
    model = recipe.model
    return ModelSpec(
        path=ctx.resolve(model.path) if model.path is not None else None,
        hub=model.hub,
        revision=model.revision,
        precision=model.precision,
        quantize=quantize,
        chat_template_kwargs=model.chat_template_kwargs,
    )


def quantization(method: Choice) -> Literal["none", "nf4"]:
    """How a method wants its base: `QUANTIZE` of its file."""
    wanted: Literal["none", "nf4"] = method_module(method).QUANTIZE
    return wanted


def model_id(spec: ModelSpec, ctx: Context) -> str:
    """Content id of a model as it is loaded: repository, commit and file hashes, precision, quantisation, template."""
    return digest(
        {
            "identity": identify(spec, ctx, cache_path=ctx.cache_dir / "digests.json"),
            "precision": shipped_precision(spec, ctx),
            "compute": resolve_precision(spec.precision, resolve_device(ctx.machine)),
            "chat_template_kwargs": dict(spec.chat_template_kwargs),
        }
    )


def shipped_precision(spec: ModelSpec, ctx: Context) -> str:
    """What the weights are in memory: float32, bfloat16 or nf4."""
    if spec.quantize != "none":
        return spec.quantize
    return resolve_precision(spec.precision, resolve_device(ctx.machine))


def require(recipe: Recipe, ctx: Context) -> None:
    """Raise what loading would raise later: device, precision, missing model files, missing packages."""
    resolve_precision(recipe.model.precision, resolve_device(ctx.machine))
    fetch(model_spec(recipe, ctx), ctx)
    for method in recipe.train.method:
        if quantization(method) != "none" and importlib.util.find_spec("bitsandbytes") is None:
            raise MachineError(f"train.method: {method.name} needs bitsandbytes: pip install bitsandbytes")
