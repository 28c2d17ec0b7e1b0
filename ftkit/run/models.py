"""From the recipe's words to the engine's values: the task, the base model, and the models of the arms.

Reads no rows, and loads no weights before it is asked to.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from ftkit.answers.linear import load_linear
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.engine.files import ModelSpec, fetch, identify
from ftkit.engine.load import (
    context_length,
    load,
    load_renderer,
    load_skeleton,
    load_tuned,
    resolve_device,
    resolve_precision,
)
from ftkit.engine.local import LocalModel
from ftkit.engine.train import refuse_several_processes
from ftkit.errors import DataError, MachineError
from ftkit.recipe.schema import Classify, Generate, Recipe, TaskChoice
from ftkit.records import Message
from ftkit.registry import Choice
from ftkit.run.artifacts import Trained
from ftkit.run.base import model_spec
from ftkit.store import digest
from ftkit.training.trainer import method_module

LINEAR = "linear"  # the model of the simple side


@dataclass(frozen=True)
class ArmModel:
    """What answers for arms: the precision it would ship in, and how it is loaded. `spec` is None without a base."""

    spec: ModelSpec | None
    precision: str
    load: Callable[[], Answerer]


def task_spec(task: TaskChoice, labels: Sequence[str]) -> TaskSpec:
    """The task with its labels known and its extractor chosen."""
    options = task.options
    if isinstance(options, Generate):
        return TaskSpec("generate", (), options.max_new_tokens, lambda text: options.extract(text))
    assert isinstance(options, Classify)
    return TaskSpec("classify", tuple(labels), 0, lambda text: text)


def quantization(method: Choice) -> Literal["none", "nf4"]:
    """How a method wants its base: `QUANTIZE` of its file."""
    wanted: Literal["none", "nf4"] = method_module(method).QUANTIZE
    return wanted


def load_local(spec: ModelSpec, ctx: Context) -> LocalModel:
    """The base as an answerer."""
    return LocalModel(load(spec, ctx))


def arm_models(
    recipe: Recipe, trained: Mapping[str, Trained], linear: Path | None, ctx: Context
) -> dict[str, ArmModel]:
    """The models of the arms, by name: the base, the base as a method quantises it, the tuned ones, the linear one."""
    base = model_spec(recipe)
    models = {"base": ArmModel(base, shipped_precision(base, ctx), partial(load_local, base, ctx))}
    specs = {each.label: model_spec(recipe, quantize=quantization(each.method)) for each in recipe.variants}
    for spec in specs.values():
        if spec.quantize != "none":
            models[f"base@{spec.quantize}"] = ArmModel(spec, spec.quantize, partial(load_local, spec, ctx))
    for label, spec in specs.items():
        models[label] = ArmModel(spec, shipped_precision(spec, ctx), partial(_load_tuned, spec, trained[label], ctx))
    if linear is not None and linear.is_dir():
        models[LINEAR] = ArmModel(None, "float64", partial(load_linear, linear))
    return models


def _load_tuned(spec: ModelSpec, trained: Trained, ctx: Context) -> LocalModel:
    return LocalModel(load_tuned(spec, trained.weights, trained.training.kind, ctx))


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


def require(recipe: Recipe, ctx: Context, *, weights: bool = True) -> None:
    """Raise what would be raised later: processes, device, precision, packages, code and model files, chat template,
    and what a method finds in no layer of the model, or could not export.

    Says it where the model has no chat template. Loads the tokenizer and no weights; `weights=False` does not even
    look whether there are any.
    """
    refuse_several_processes()
    resolve_precision(recipe.model.precision, resolve_device(ctx.machine))
    for variant in recipe.variants:
        if quantization(variant.method) != "none" and importlib.util.find_spec("bitsandbytes") is None:
            raise MachineError(f"train.method: {variant.method.name} needs bitsandbytes: pip install bitsandbytes")
    for metric in recipe.evaluate.metrics:
        if metric.options.runs_code:
            metric.options.code_id()
    spec = model_spec(recipe)
    fetch(spec, ctx, weights=weights)
    context_length(spec, ctx)
    for variant in recipe.variants:
        variant.method(load_skeleton(replace(spec, quantize=quantization(variant.method)), ctx))
    has_demonstrations = any(prompt.name != "zero_shot" for prompt in recipe.baseline.prompts)
    note = _template_note(spec, ctx, has_demonstrations=has_demonstrations)
    if note:
        ctx.progress.say(f"{spec.name}: {note}")


def _template_note(spec: ModelSpec, ctx: Context, *, has_demonstrations: bool) -> str:
    """What is to be said of the chat template. Raises DataError where it does not take what prompts are made of."""
    question: Message = {"role": "user", "content": "a"}
    answer: Message = {"role": "assistant", "content": "b"}
    renderer = load_renderer(spec, ctx)
    try:
        renderer.render([question], "b")
        if has_demonstrations:
            renderer.render([question, answer, question], "b")
    except DataError as error:
        raise DataError(f"{spec.name}: {error}") from None
    return renderer.template_note
