"""Training: one variant on its wording, the best checkpoint chosen on valid.

Reads train and valid; never opens test. The loop is the engine's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import field_serializer

from ftkit.answers.answering import (
    NORMALIZATIONS,
    label_predictions,
    metric_value,
    predict,
    score_labels,
    scored,
    target_scores,
)
from ftkit.answers.asking import Asker, learnable, mean_loss
from ftkit.answers.prompt import FrozenPrompts, Prompter
from ftkit.answers.search import worded
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer, Question, Reader
from ftkit.engine.local import LocalModel
from ftkit.engine.train import Evaluation
from ftkit.errors import DataError
from ftkit.recipe.schema import MetricChoice, TaskChoice
from ftkit.recipe.train_block import OwnWording, Train, Variant
from ftkit.records import Example, Guard, Prediction, write_jsonl
from ftkit.registry import Choice, Config
from ftkit.run import guards
from ftkit.run.artifacts import Prepared, Trained, write_timing
from ftkit.store import derive_seed, write_json
from ftkit.training.record import TrainingRecord
from ftkit.training.rows import TrainingRows, training_rows
from ftkit.training.trainer import Tuned, train_settings, tune

VERSION = 4
NUM_PROBES = 8


class TrainConfig(Config):
    """What the stage depends on, besides its inputs: one variant of the recipe."""

    task: TaskChoice
    label: str
    train: Train
    num_rows: int | None
    normalize: list[str]
    max_valid_rows: int
    primary: MetricChoice
    seed: int

    @classmethod
    def of(cls, variant: Variant, **rest: Any) -> TrainConfig:
        """A variant's training; `rest` is what it shares with the others."""
        return cls(label=variant.label, train=variant.train, num_rows=variant.num_rows, seed=variant.seed, **rest)

    @property
    def method(self) -> Choice:
        """What is trained of the model."""
        (method,) = self.train.method
        return method

    @field_serializer("train")
    def _what_decides(self, train: Train) -> dict[str, Any]:
        """The block with the method's numbers filled in. How often a checkpoint is written changes no result."""
        settings = train_settings(train, self.method, seed=self.seed)
        numbers = {"learning_rate": settings.learning_rate, "weight_decay": settings.weight_decay}
        return {**train.model_dump(mode="json", exclude={"variants", "checkpoint_steps"}), **numbers}


@dataclass(frozen=True)
class Judge:
    """How weights are judged on valid: the primary metric and the loss of the targets, under the wording trained."""

    config: TrainConfig
    prompter: Prompter
    task: TaskSpec
    valid: Sequence[Example]
    targets: Sequence[Question]
    ctx: Context

    def __call__(self, tuned: LocalModel) -> Evaluation:
        if self.task.kind == "classify":
            scores = score_labels(tuned, self.prompter, self.task, self.valid, self.ctx)
            rows = label_predictions("tuned", scores, self.task, self.config.normalize[0])
            return Evaluation(metric_value(self.config.primary, rows), scores.target_loss(self.task))
        rows = predict("tuned", tuned, self.prompter, self.task, self.valid, self.ctx)
        targets = target_scores(tuned, self.targets, self.ctx, description="valid loss") or []
        return Evaluation(metric_value(self.config.primary, rows), mean_loss(targets))


def run(
    config: TrainConfig,
    prepared: Prepared,
    frozen: FrozenPrompts,
    base: LocalModel,
    task: TaskSpec,
    out: Path,
    ctx: Context,
) -> Trained:
    """Tune, keep the best weights, and predict valid with the arms' prompts. Continues from the last checkpoint."""
    started = time.monotonic()
    train, valid = prepared.split("train")[: config.num_rows], prepared.split("valid")
    prompter = training_prompt(config.train, frozen, task)
    made = training_rows(base, prompter, train, too_long=config.train.too_long, where="train", ctx=ctx)
    judged_on = valid[: config.max_valid_rows]
    targets = learnable(base, prompter, judged_on, ctx) if task.kind == "generate" else []
    settings = train_settings(config.train, config.method, seed=derive_seed(config.seed, "train", config.label))
    tuned = tune(
        base,
        config.method,
        made.rows,
        settings,
        evaluate=Judge(config, prompter, task, judged_on, targets, ctx),
        work_dir=out,
        ctx=ctx,
    )
    fitted_s = time.monotonic() - started
    prompts, predictions = _valid_predictions(config, tuned.answerer, prompter, frozen, task, valid, ctx)
    write_jsonl(out / "valid_predictions.jsonl", predictions)
    write_json(out / "prompt.json", prompts.as_json())
    write_json(out / "guards.json", [asdict(each) for each in _guards(base, prompter, task, train)])
    record = _record(config, made, tuned, learning_rate=settings.learning_rate)
    write_json(out / "training.json", record.as_json())
    write_timing(out, {"total": time.monotonic() - started, "fit": fitted_s})
    return Trained(out)


def training_prompt(train: Train, frozen: FrozenPrompts, task: TaskSpec) -> Prompter:
    """The prompt that training uses, as `train.wording` has it. Raises DataError where the search found none."""
    own = train.wording.options
    if isinstance(own, OwnWording):
        return Prompter(label="own_wording", family="zero_shot", instruction=worded(own.text, task))
    prompter = frozen.of_family("zero_shot")
    if prompter is None:
        raise DataError(
            "train.wording: no zero-shot prompt fits the model's context; shorten baseline.instructions, or give "
            "train.wording: {instruction: {text: …}}"
        )
    return prompter


def _record(config: TrainConfig, made: TrainingRows, tuned: Tuned, *, learning_rate: float) -> TrainingRecord:
    parameters = list(tuned.answerer.loaded.model.parameters())
    return TrainingRecord(
        variant=config.label,
        method=config.method.name,
        kind=tuned.kind,
        num_rows=len(made.rows),
        num_cut=made.num_cut,
        num_dropped=made.num_dropped,
        num_steps=tuned.fit.num_steps,
        best_step=tuned.fit.best_step,
        valid_value=tuned.fit.best_value,
        num_target_tokens=tuned.fit.num_target_tokens,
        stopped_early=tuned.fit.stopped_early,
        learning_rate=learning_rate,
        num_parameters=sum(each.numel() for each in parameters),
        num_trainable_parameters=sum(each.numel() for each in parameters if each.requires_grad),
    )


def _valid_predictions(
    config: TrainConfig,
    tuned: Answerer,
    trained_under: Prompter,
    frozen: FrozenPrompts,
    task: TaskSpec,
    valid: Sequence[Example],
    ctx: Context,
) -> tuple[FrozenPrompts, list[Prediction]]:
    """The prompts of the variant's arms, with the normalisation that suits the tuned model, and its predictions.

    They are the wording that was trained, and the best frozen prompt of another strategy.
    """
    own, predictions, values = [], list[Prediction](), {}
    for prompter in (trained_under, *_best_other(trained_under, frozen)):
        arm = f"{config.label}+{prompter.label}"
        rows, chosen = _predicted(config, arm, tuned, prompter, task, valid, ctx)
        own.append(chosen)
        values[chosen.label] = metric_value(config.primary, rows)
        predictions += scored(rows, [config.primary])
    ranking = tuple(sorted(values, key=lambda label: -values[label]))
    return FrozenPrompts(tuple(own), ranking), predictions


def _best_other(trained_under: Prompter, frozen: FrozenPrompts) -> list[Prompter]:
    return [each for each in frozen.ranked() if each.family != trained_under.family][:1]


def _predicted(
    config: TrainConfig,
    arm: str,
    tuned: Answerer,
    prompter: Prompter,
    task: TaskSpec,
    valid: Sequence[Example],
    ctx: Context,
) -> tuple[list[Prediction], Prompter]:
    """Predictions of the tuned model, and the prompt with the normalisation that is best on valid."""
    if task.kind == "generate":
        return predict(arm, tuned, prompter, task, valid, ctx), prompter
    scores = score_labels(tuned, prompter, task, valid, ctx)
    tried = {each: label_predictions(arm, scores, task, each) for each in NORMALIZATIONS if each in config.normalize}
    best = max(tried, key=lambda each: metric_value(config.primary, tried[each]))
    return tried[best], prompter.normalized(best)


def _guards(base: Reader, prompter: Prompter, task: TaskSpec, train: Sequence[Example]) -> list[Guard]:
    """That what is scored is what was trained, on some rows of train that fit."""
    if task.kind == "generate":
        return [guards.scored_ids_are_trained_ids([], [])]
    asking, learning = Asker.of_task(base, prompter, task), Asker.of_targets(base, prompter)
    pairs = [(asking.fitted(row, "drop"), learning.fitted(row, "drop")) for row in train[:NUM_PROBES]]
    whole = [(one, other) for one, other in pairs if one is not None and other is not None]
    return [guards.scored_ids_are_trained_ids([one for one, _ in whole], [other for _, other in whole])]
