"""The run graph, told once: each stage with its name, VERSION, config, what it reads, and its function.

Keys, reuse and hand-over follow from these declarations (`pipeline.py`). Nothing is read here: the recipe decides it
all. Knows which stage reads what; knows nothing of how a stage works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from ftkit.contracts import Context
from ftkit.recipe.schema import DataRecipe, Recipe, TaskChoice
from ftkit.recipe.train_block import Variant
from ftkit.registry import Choice, Config
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.run.fitting import require_room
from ftkit.run.given import Given
from ftkit.run.models import arm_models, load_local, quantization
from ftkit.run.stages import baseline, compare, evaluate, prepare, train
from ftkit.store import stage_key

StageConfig = TypeVar("StageConfig", bound=Config)


@dataclass(frozen=True)
class Stage(Generic[StageConfig]):
    """One stage of one recipe.

    `reads` names contents: `sources/source`, `labels`, `model` and `model@nf4` (the base as it is loaded),
    `code/evaluate` (a metric's script), the name of a stage for all it published, `prepare/train.jsonl` for a file of
    it. `work(config, given, folder, ctx)` writes the files that `publishes` names; it is given what it reads, no more.
    `before(given, ctx)` raises what should be known before the work begins; what several stages share is asked once.
    `blocks` are the blocks of the recipe that the stage is made with, also what changes no result of it.
    """

    name: str
    version: int
    config: StageConfig
    reads: tuple[str, ...]
    work: Callable[[StageConfig, Given, Path, Context], object]
    publishes: frozenset[str]
    blocks: Mapping[str, Any]
    before: Callable[[Given, Context], None] = lambda _given, _ctx: None

    def key(self, ids: Mapping[str, str]) -> str:
        """The stage's key, from the content ids of what it reads."""
        inputs = {name: ids[name] for name in self.reads}
        return stage_key(self.name, self.version, self.config.model_dump(mode="json"), inputs)


def stages_of(recipe: Recipe) -> list[Stage[Any]]:
    """All stages of a recipe, in order."""
    asked = _without_labels(recipe.task)
    seen = ("labels", "prepare/train.jsonl", "prepare/valid.jsonl", *_code([recipe.primary]))
    trainings = [_training(recipe, variant, asked, seen) for variant in recipe.variants]
    trained = tuple(stage.name for stage in trainings)
    return [
        preparing(recipe),
        Stage(
            "baseline",
            baseline.VERSION,
            baseline.BaselineConfig(task=asked, search=recipe.baseline, primary=recipe.primary, seed=recipe.seed),
            reads=(*seen, "model"),
            work=_baseline,
            publishes=Baseline.FILES,
            blocks=_blocks(recipe, "model", "baseline"),
            before=_require_room,
        ),
        *trainings,
        Stage(
            "evaluate",
            evaluate.VERSION,
            evaluate.EvaluateConfig(
                task=asked,
                metrics=recipe.evaluate.metrics,
                primary=recipe.primary,
                seed=recipe.seed,
            ),
            reads=(
                *seen,
                "prepare/test.jsonl",
                *_code(recipe.evaluate.metrics),
                "baseline/prompt.json",
                "baseline/valid_predictions.jsonl",
                "model",
                *trained,
            ),
            work=_evaluate,
            publishes=Evaluated.FILES,
            blocks=_blocks(recipe, "evaluate"),
        ),
        Stage(
            "compare",
            compare.VERSION,
            compare.CompareConfig.of(recipe),
            reads=("prepare", "baseline", *trained, "evaluate", *_code(recipe.evaluate.metrics)),
            work=_compare,
            publishes=Compared.FILES,
            blocks=_blocks(recipe, "compare"),
        ),
    ]


def preparing(recipe: DataRecipe) -> Stage[prepare.PrepareConfig]:
    """The first stage; it needs no model."""
    return Stage(
        "prepare",
        prepare.VERSION,
        prepare.PrepareConfig.of(recipe),
        reads=prepare.reads(recipe.data),
        work=lambda config, given, out, ctx: prepare.run(config, out, ctx, inputs=given.inputs),
        publishes=Prepared.FILES,
        blocks=_blocks(recipe, "data"),
    )


def _training(recipe: Recipe, variant: Variant, asked: TaskChoice, seen: tuple[str, ...]) -> Stage[train.TrainConfig]:
    quantize = quantization(variant.method)
    model = "model" if quantize == "none" else f"model@{quantize}"
    return Stage(
        f"train-{variant.label}",
        train.VERSION,
        train.TrainConfig.of(
            variant,
            task=asked,
            normalize=list(recipe.baseline.normalize),
            max_valid_rows=recipe.baseline.max_valid_rows,
            primary=recipe.primary,
        ),
        reads=(*seen, "baseline/prompt.json", model),
        work=partial(_train, model),
        publishes=Trained.FILES,
        blocks={"train": variant.train.model_dump(mode="json", exclude={"variants"})},
        before=_require_room,
    )


def _require_room(given: Given, ctx: Context) -> None:
    require_room(given.recipe, given.prepared, given.task, ctx)


def _baseline(config: baseline.BaselineConfig, given: Given, out: Path, ctx: Context) -> None:
    baseline.run(config, given.prepared, partial(load_local, given.base("model"), ctx), given.task, out, ctx)


def _train(model: str, config: train.TrainConfig, given: Given, out: Path, ctx: Context) -> None:
    train.run(config, given.prepared, given.baseline.prompts, load_local(given.base(model), ctx), given.task, out, ctx)


def _evaluate(config: evaluate.EvaluateConfig, given: Given, out: Path, ctx: Context) -> None:
    models = partial(arm_models, given.recipe, given.trained, ctx=ctx)
    inputs = evaluate.EvaluateInputs(given.prepared, given.baseline, given.trained, models)
    evaluate.run(config, inputs, given.task, out, ctx)


def _compare(config: compare.CompareConfig, given: Given, out: Path, ctx: Context) -> None:
    inputs = compare.CompareInputs(
        recipe=given.recipe_as_made,
        prepared=given.prepared,
        baseline=given.baseline,
        trained=given.trained,
        evaluated=given.evaluated,
        timings=given.timings,
        environments=given.environments,
    )
    compare.run(config, inputs, out, ctx)


def _blocks(recipe: DataRecipe, *names: str) -> dict[str, Any]:
    return {name: value for name, value in recipe.resolved().items() if name in names}


def _code(metrics: Sequence[Choice]) -> tuple[str, ...]:
    """Names, among contents, of the metrics that are code from elsewhere."""
    return tuple(f"code/{metric.name}" for metric in metrics if metric.options.runs_code)


def _without_labels(task: TaskChoice) -> TaskChoice:
    """The task as the stages behind prepare see it: the labels that were found are a content of their own."""
    return TaskChoice.model_validate("classify") if task.name == "classify" else task
