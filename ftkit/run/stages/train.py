"""Training: one method on the frozen zero-shot wording, the best checkpoint chosen on valid.

Reads train and valid; never opens test. The loop is the engine's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import field_serializer

from ftkit.answers.answering import (
    NORMALIZATIONS,
    label_predictions,
    longest_beginning,
    metric_value,
    predict,
    questions,
    score_labels,
    scored,
)
from ftkit.answers.prompt import Prompt
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.load import LoadedModel
from ftkit.engine.score import Request, score
from ftkit.engine.train import Evaluation, Row
from ftkit.errors import DataError
from ftkit.recipe.schema import MethodChoice, MetricChoice, TaskChoice, Train
from ftkit.records import Example, Prediction, write_jsonl
from ftkit.registry import Config
from ftkit.run import guards
from ftkit.run.artifacts import Prepared, Trained, write_timing
from ftkit.store import derive_seed, write_json
from ftkit.training.trainer import train_settings, tune

VERSION = 1
NUM_PROBES = 8


class TrainConfig(Config):
    """What the stage depends on, besides its inputs: one method of the recipe."""

    task: TaskChoice
    method: MethodChoice
    train: Train
    normalize: list[str]
    max_valid_rows: int
    primary: MetricChoice
    seed: int

    @field_serializer("train")
    def _what_decides(self, train: Train) -> dict[str, Any]:
        """The block with the method's numbers filled in. How often a checkpoint is written changes no result."""
        settings = train_settings(train, self.method, seed=self.seed)
        numbers = {"learning_rate": settings.learning_rate, "weight_decay": settings.weight_decay}
        return {**train.model_dump(mode="json", exclude={"method", "checkpoint_steps"}), **numbers}


@dataclass(frozen=True)
class TrainingRows:
    """Rows as ids, and how many did not fit the context as they were."""

    rows: list[Row]
    num_cut: int
    num_dropped: int


def run(
    config: TrainConfig,
    prepared: Prepared,
    prompts: Mapping[str, Prompt],
    loaded: LoadedModel,
    task: TaskSpec,
    out: Path,
    ctx: Context,
) -> Trained:
    """Tune, keep the best weights, and predict valid with every frozen prompt. Continues from the last checkpoint."""
    started = time.monotonic()
    valid = prepared.split("valid")
    zero_shot = prompts["zero_shot"]
    made = training_rows(loaded, zero_shot, prepared.split("train"), too_long=config.train.too_long, ctx=ctx)
    judged_on = valid[: config.max_valid_rows]
    settings = train_settings(config.train, config.method, seed=derive_seed(config.seed, "train", config.method.name))
    tuned = tune(
        loaded,
        config.method,
        made.rows,
        settings,
        evaluate=lambda model: _judge(config, model, zero_shot, task, judged_on, ctx),
        work_dir=out,
        ctx=ctx,
    )
    fitted_s = time.monotonic() - started
    own_prompts, predictions = _valid_predictions(config, tuned.loaded, prompts, task, valid, ctx)
    write_jsonl(out / "valid_predictions.jsonl", predictions)
    write_json(out / "prompt.json", {name: prompt.as_json() for name, prompt in own_prompts.items()})
    write_json(out / "guards.json", _guards(loaded, zero_shot, task, prepared.split("train"), ctx))
    parameters = list(tuned.loaded.model.parameters())
    write_json(
        out / "training.json",
        {
            "method": config.method.name,
            "kind": tuned.kind,
            "num_rows": len(made.rows),
            "num_cut": made.num_cut,
            "num_dropped": made.num_dropped,
            "num_steps": tuned.fit.num_steps,
            "best_step": tuned.fit.best_step,
            "valid_value": tuned.fit.best_value,
            "num_target_tokens": tuned.fit.num_target_tokens,
            "stopped_early": tuned.fit.stopped_early,
            "learning_rate": settings.learning_rate,
            "num_parameters": sum(each.numel() for each in parameters),
            "num_trainable_parameters": sum(each.numel() for each in parameters if each.requires_grad),
        },
    )
    write_timing(out, {"total": time.monotonic() - started, "fit": fitted_s})
    return Trained(out)


def training_rows(
    loaded: LoadedModel, prompt: Prompt, examples: Sequence[Example], *, too_long: str, ctx: Context
) -> TrainingRows:
    """Rows as the loop takes them. Raises DataError where a target does not fit, or nothing is left."""
    rows, num_cut, num_dropped = [], 0, 0
    with ctx.progress.task("tokenising train", len(examples)) as bar:
        for example in examples:
            row, cut = _training_row(loaded, prompt, example, too_long)
            num_cut += cut and row is not None
            num_dropped += row is None
            rows += [row] if row is not None else []
            bar.advance()
    if num_cut or num_dropped:
        ctx.progress.say(
            f"train: {num_cut} rows cut, {num_dropped} dropped: longer than {loaded.context_length:,} tokens"
        )
    if not rows:
        raise DataError("train: no row fits the model's context (train.too_long in the recipe)")
    return TrainingRows(rows, num_cut, num_dropped)


def _training_row(loaded: LoadedModel, prompt: Prompt, example: Example, too_long: str) -> tuple[Row | None, bool]:
    limit = loaded.context_length

    def ids_of(text: str) -> tuple[list[int], list[int]]:
        rendered = loaded.renderer.render(prompt.messages(text, example.history), example.target)
        return rendered.context_ids, rendered.target_ids

    context_ids, target_ids = ids_of(example.input)
    cut = len(context_ids) + len(target_ids) > limit
    if cut and too_long == "error":
        raise DataError(
            f"{example.id}: needs {len(context_ids) + len(target_ids):,} of {limit:,} tokens; "
            "set train.too_long to cut or drop, or shorten the row (clean: length)"
        )
    if cut:
        if too_long == "drop":
            return None, True
        text = longest_beginning(example.input, lambda text: sum(map(len, ids_of(text))) <= limit)
        if text is None:
            raise DataError(
                f"{example.id}: its target of {len(target_ids):,} tokens does not fit the context of {limit:,} "
                "beside the instruction; a target is never cut. Shorten or remove the row"
            )
        context_ids, target_ids = ids_of(text)
    mask = [False] * len(context_ids) + [True] * len(target_ids)
    return Row([*context_ids, *target_ids], mask, example.weight), cut


def _judge(
    config: TrainConfig, tuned: LoadedModel, prompt: Prompt, task: TaskSpec, valid: Sequence[Example], ctx: Context
) -> Evaluation:
    """The primary metric and the loss of the targets on valid, under the wording that is trained."""
    if task.kind == "classify":
        scores = score_labels(tuned, prompt, task, valid, ctx)
        rows = label_predictions("tuned", scores, task, config.normalize[0])
        return Evaluation(metric_value(config.primary, rows), scores.target_loss(task))
    rows = predict("tuned", tuned, prompt, task, valid, ctx)
    return Evaluation(metric_value(config.primary, rows), _target_loss(tuned, prompt, task, valid, ctx))


def _target_loss(tuned: LoadedModel, prompt: Prompt, task: TaskSpec, valid: Sequence[Example], ctx: Context) -> float:
    requests = []
    for question in questions(tuned, prompt, task, valid, ctx):
        example = question.example
        messages = prompt.messages(example.input, example.history)
        target_ids = tuned.renderer.render(messages, example.target).target_ids
        if len(question.context_ids) + len(target_ids) <= tuned.context_length:
            requests.append(Request(question.context_ids, [target_ids]))
    scores = [each[0] for each in score(tuned, requests, ctx=ctx, description="valid loss")]
    return -sum(each.sum for each in scores) / max(sum(each.num_tokens for each in scores), 1)


def _valid_predictions(
    config: TrainConfig,
    tuned: LoadedModel,
    prompts: Mapping[str, Prompt],
    task: TaskSpec,
    valid: Sequence[Example],
    ctx: Context,
) -> tuple[dict[str, Prompt], list[Prediction]]:
    """The frozen prompts with the normalisation that suits the tuned model, and its predictions under them."""
    own, predictions = {}, []
    for name, prompt in prompts.items():
        arm = f"{config.method.name}+{name}"
        if task.kind == "generate":
            own[name] = prompt
            predictions += scored(predict(arm, tuned, prompt, task, valid, ctx), [config.primary])
            continue
        scores = score_labels(tuned, prompt, task, valid, ctx)
        tried = {each: label_predictions(arm, scores, task, each) for each in config.normalize}
        best = max(tried, key=lambda each: (metric_value(config.primary, tried[each]), -NORMALIZATIONS.index(each)))
        own[name] = replace(prompt, normalize=best)
        predictions += scored(tried[best], [config.primary])
    return own, predictions


def _guards(
    loaded: LoadedModel, prompt: Prompt, task: TaskSpec, train: Sequence[Example], ctx: Context
) -> list[dict[str, Any]]:
    """That what is scored is what was trained, on some rows of train."""
    if task.kind != "classify":
        return []
    probes = []
    for question in questions(loaded, prompt, task, train[:NUM_PROBES], ctx):
        messages = prompt.messages(question.example.input, question.example.history)
        probes.append((question, loaded.renderer.render(messages, question.example.target).target_ids))
    return [guards.scored_ids_are_trained_ids(probes, task.labels)]
