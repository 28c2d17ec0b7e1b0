"""Evaluation: arms are frozen on valid, then, and only then, test is opened and every arm answers the same rows.

The only stage that scores test.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from ftkit.answers.answering import metric_value, predict, scored, target_scores
from ftkit.answers.asking import Asker, emptied
from ftkit.answers.floors import majority_predictions
from ftkit.answers.linear import fit_linear, save_linear
from ftkit.answers.prompt import Arm, Prompter
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.recipe.schema import MetricChoice, TaskChoice
from ftkit.records import Example, Prediction, Side, read_predictions, write_jsonl
from ftkit.registry import Choice, Config
from ftkit.run import guards
from ftkit.run.artifacts import Baseline, Evaluated, Prepared, Trained, write_timing
from ftkit.run.models import LINEAR, ArmModel
from ftkit.store import derive_seed, file_digest, read_json, write_json

VERSION = 3
NUM_PROBES = 4


class EvaluateConfig(Config):
    """What the stage depends on, besides its inputs."""

    task: TaskChoice
    metrics: list[MetricChoice]
    primary: MetricChoice
    seed: int
    identity: str | None = None


@dataclass(frozen=True)
class EvaluateInputs:
    """Earlier artifacts, and the models of the arms by name. `models` is given the folder of the linear model."""

    prepared: Prepared
    baseline: Baseline
    trained: Mapping[str, Trained]
    models: Callable[[Path], Mapping[str, ArmModel]]


def run(config: EvaluateConfig, inputs: EvaluateInputs, task: TaskSpec, out: Path, ctx: Context) -> Evaluated:
    """Freeze the arms, then score all of them on test. An interrupted run continues with the next arm."""
    started = time.monotonic()
    train = inputs.prepared.split("train")
    _fit_linear(config, task, train, out / "linear")
    models = inputs.models(out / "linear")
    arms = _arms(inputs, models)
    chosen = _choose(arms, inputs, config.primary)
    write_json(out / "arms.json", {"arms": [arm.as_json() for arm in arms], "chosen": chosen})
    frozen = file_digest(out / "arms.json")
    ctx.progress.say(f"arms frozen on valid: prompting {chosen['prompting']}, fine-tuned {chosen['fine_tuned']}")

    tests = inputs.prepared.split("test")
    answers, seconds, fingerprints = _answer_all(arms, models, inputs, task, tests, out=out, ctx=ctx)
    predictions = {name: scored(rows, config.metrics) for name, rows in answers.items()}
    write_jsonl(out / "predictions.jsonl", (row for arm in arms for row in predictions[arm.name]))
    write_json(out / "floors.json", _floors(config, task, train, tests))
    checks = [
        guards.adapter_changes_logits(arms, fingerprints),
        guards.no_test_row_in_train(train, tests, identity=config.identity),
        guards.demonstrations_from_train(arms, train),
        guards.arms_frozen_before_test(file_digest(out / "arms.json") == frozen),
        *(guard for trained in inputs.trained.values() for guard in trained.guards),
    ]
    write_json(out / "guards.json", [asdict(each) for each in checks])
    per_arm = {name: {"seconds": value, "rows": len(tests)} for name, value in seconds.items()}
    write_timing(out, {"total": time.monotonic() - started}, arms=per_arm)
    return Evaluated(out)


def _fit_linear(config: EvaluateConfig, task: TaskSpec, train: Sequence[Example], folder: Path) -> None:
    """Write the model of the simple side, where the task classifies and train has two labels and a word."""
    shutil.rmtree(folder, ignore_errors=True)
    if task.kind == "classify":
        model = fit_linear(train, seed=derive_seed(config.seed, "evaluate", "floors"))
        if model is not None:
            save_linear(model, folder)


def _arms(inputs: EvaluateInputs, models: Mapping[str, ArmModel]) -> list[Arm]:
    """Base arms first, then each variant's, then the simple side; `base@…` arms are never chosen."""
    arms = []
    for model, described in models.items():
        if model == LINEAR:
            words = Prompter(label="words", family="zero_shot")
            arms.append(Arm(LINEAR, model, "simple", described.precision, words))
        elif model in inputs.trained:
            own = inputs.trained[model].prompts
            arms += [Arm(f"{model}+{each.label}", model, "fine_tuned", described.precision, each) for each in own]
        else:
            side: Side = "prompting" if model == "base" else "reference"
            shared = inputs.baseline.prompts.prompts
            arms += [Arm(f"{model}+{each.label}", model, side, described.precision, each) for each in shared]
    return arms


def _choose(arms: Sequence[Arm], inputs: EvaluateInputs, primary: Choice) -> dict[str, str]:
    """The best arm of each side on valid; within one paired standard error, the one with fewer prompt tokens."""
    rows: dict[str, list[Prediction]] = {}
    for row in inputs.baseline.valid_predictions:
        rows.setdefault(row.arm, []).append(row)
    for trained in inputs.trained.values():
        for row in trained.valid_predictions:
            rows.setdefault(row.arm, []).append(row)
    chosen = {}
    for side in ("prompting", "fine_tuned"):
        names = [arm.name for arm in arms if arm.side == side]
        values = {name: metric_value(primary, rows[name]) for name in names}
        best = max(names, key=lambda name: values[name])
        tied = [name for name in names if _as_good(primary, rows[best], rows[name])]
        chosen[side] = min(tied, key=lambda name: (_mean_tokens(rows[name]), -values[name]))
    return chosen


def _as_good(primary: Choice, best: Sequence[Prediction], other: Sequence[Prediction]) -> bool:
    """Whether `other` is within one standard error of the paired difference; with a corpus metric: whether equal."""
    left, right = primary(best), primary(other)
    if isinstance(left, float) or isinstance(right, float):
        return bool(left == right)
    differences = [a - b for a, b in zip(left, right, strict=True)]
    mean = math.fsum(differences) / len(differences)
    variance = math.fsum((value - mean) ** 2 for value in differences) / max(len(differences) - 1, 1)
    return mean <= math.sqrt(variance / len(differences))


def _mean_tokens(rows: Sequence[Prediction]) -> float:
    return sum(row.prompt_tokens for row in rows) / len(rows)


def _answer_all(
    arms: Sequence[Arm],
    models: Mapping[str, ArmModel],
    inputs: EvaluateInputs,
    task: TaskSpec,
    tests: Sequence[Example],
    *,
    out: Path,
    ctx: Context,
) -> tuple[dict[str, list[Prediction]], dict[str, float], dict[str, list[float] | None]]:
    """Answers, seconds and a fingerprint of the model, by arm; one model in memory at a time."""
    answered = out / "answered"
    answered.mkdir(exist_ok=True)
    places = {arm.name: answered / str(index) for index, arm in enumerate(arms)}
    for model, described in models.items():
        missing = [arm for arm in arms if arm.model == model and not _facts(places[arm.name]).exists()]
        if not missing:
            continue
        answerer = described.load()
        fingerprint = _fingerprint(answerer, inputs, ctx)
        for arm in missing:
            ctx.check_stop()
            begun = time.monotonic()
            rows = predict(arm.name, answerer, arm.prompter, task, tests, ctx)
            write_jsonl(places[arm.name].with_suffix(".jsonl"), rows)
            facts = {"seconds": time.monotonic() - begun, "fingerprint": fingerprint}
            write_json(_facts(places[arm.name]), facts)  # last: says that the rows are complete
        del answerer
    facts_of = {arm.name: read_json(_facts(places[arm.name])) for arm in arms}
    return (
        {arm.name: read_predictions(places[arm.name].with_suffix(".jsonl")) for arm in arms},
        {name: float(facts["seconds"]) for name, facts in facts_of.items()},
        {name: facts["fingerprint"] for name, facts in facts_of.items()},
    )


def _facts(place: Path) -> Path:
    return place.with_suffix(".json")


def _fingerprint(answerer: Answerer, inputs: EvaluateInputs, ctx: Context) -> list[float] | None:
    """Scores of the targets of some valid rows under one prompt, the same for all models; None where there are none."""
    if answerer.renderer is None:
        return None
    asker = Asker.of_targets(answerer, inputs.baseline.prompts.prompts[0])
    fitting = (row for row in inputs.prepared.split("valid") if asker.fits(asker.ask(emptied(row))))
    probes = [question for row in islice(fitting, NUM_PROBES) if (question := asker.fitted(row)) is not None]
    scores = target_scores(answerer, probes, ctx, description="probing")
    return None if scores is None else [each.sum for each in scores]


def _floors(
    config: EvaluateConfig, task: TaskSpec, train: Sequence[Example], tests: Sequence[Example]
) -> dict[str, dict[str, float]]:
    if task.kind != "classify":
        return {}
    rows = majority_predictions(train, tests)
    return {"majority": {metric.name: metric_value(metric, rows) for metric in config.metrics}}
