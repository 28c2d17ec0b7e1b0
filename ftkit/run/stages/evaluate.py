"""Evaluation: arms are frozen on valid, then, and only then, test is opened and every arm answers the same rows.

The only stage that scores test.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftkit.answers.answering import metric_value, predict, scored
from ftkit.answers.floors import floor_predictions
from ftkit.answers.prompt import Arm
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.load import LoadedModel
from ftkit.engine.score import Request, score
from ftkit.recipe.schema import MetricChoice, TaskChoice
from ftkit.records import Example, Prediction, read_predictions, write_jsonl
from ftkit.registry import Choice, Config
from ftkit.run import guards
from ftkit.run.artifacts import Baseline, Evaluated, Prepared, Trained, write_timing
from ftkit.run.models import ArmModel
from ftkit.store import derive_seed, file_digest, read_json, write_json

VERSION = 1
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
    """Earlier artifacts, and the models of the arms by name: `base`, `base@nf4`, and each method's."""

    prepared: Prepared
    baseline: Baseline
    trained: Mapping[str, Trained]
    models: Mapping[str, ArmModel]


def run(config: EvaluateConfig, inputs: EvaluateInputs, task: TaskSpec, out: Path, ctx: Context) -> Evaluated:
    """Freeze the arms, then score all of them on test. An interrupted run continues with the next arm."""
    started = time.monotonic()
    arms = _arms(inputs)
    chosen = _choose(arms, inputs, config.primary)
    write_json(out / "arms.json", {"arms": [arm.as_json() for arm in arms], "chosen": chosen})
    frozen = file_digest(out / "arms.json")
    ctx.progress.say(f"arms frozen on valid: prompting {chosen['prompting']}, fine-tuned {chosen['fine_tuned']}")

    tests = inputs.prepared.split("test")
    answers, seconds, fingerprints = _answer_all(arms, inputs, task, tests, out=out, ctx=ctx)
    predictions = {name: scored(rows, config.metrics) for name, rows in answers.items()}
    write_jsonl(out / "predictions.jsonl", (row for arm in arms for row in predictions[arm.name]))
    train = inputs.prepared.split("train")
    write_json(out / "floors.json", _floors(config, task, train, tests))
    write_json(
        out / "guards.json",
        [
            guards.adapter_changes_logits(arms, fingerprints),
            guards.no_test_row_in_train(train, tests, identity=config.identity),
            guards.demonstrations_from_train(arms, train),
            guards.arms_frozen_before_test(file_digest(out / "arms.json") == frozen),
            *(guard for trained in inputs.trained.values() for guard in trained.guards),
        ],
    )
    per_arm = {name: {"seconds": value, "rows": len(tests)} for name, value in seconds.items()}
    write_timing(out, {"total": time.monotonic() - started}, arms=per_arm)
    return Evaluated(out)


def _arms(inputs: EvaluateInputs) -> list[Arm]:
    """Base arms first, then each method's; `base@…` arms are there to look at and never chosen."""
    arms = []
    for model, described in inputs.models.items():
        side = "fine_tuned" if model in inputs.trained else "prompting" if model == "base" else "reference"
        prompts = inputs.trained[model].prompts if side == "fine_tuned" else inputs.baseline.prompts
        for name, prompt in prompts.items():
            arms.append(Arm(f"{model}+{name}", model, side, described.precision, prompt))
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
    inputs: EvaluateInputs,
    task: TaskSpec,
    tests: Sequence[Example],
    *,
    out: Path,
    ctx: Context,
) -> tuple[dict[str, list[Prediction]], dict[str, float], dict[str, list[float]]]:
    """Answers, seconds and a fingerprint of the model, by arm; one model in memory at a time."""
    answered = out / "answered"
    answered.mkdir(exist_ok=True)
    for model, described in inputs.models.items():
        missing = [arm for arm in arms if arm.model == model and not (answered / f"{arm.name}.json").exists()]
        if not missing:
            continue
        loaded = described.load()
        for arm in missing:
            ctx.check_stop()
            begun = time.monotonic()
            rows = predict(arm.name, loaded, arm.prompt, task, tests, ctx)
            write_jsonl(answered / f"{arm.name}.jsonl", rows)
            facts = {"seconds": time.monotonic() - begun, "fingerprint": _fingerprint(loaded, inputs, ctx)}
            write_json(answered / f"{arm.name}.json", facts)  # last: says that the rows are complete
        del loaded
    facts_of = {arm.name: read_json(answered / f"{arm.name}.json") for arm in arms}
    return (
        {arm.name: read_predictions(answered / f"{arm.name}.jsonl") for arm in arms},
        {name: float(facts["seconds"]) for name, facts in facts_of.items()},
        {name: list(facts["fingerprint"]) for name, facts in facts_of.items()},
    )


def _fingerprint(loaded: LoadedModel, inputs: EvaluateInputs, ctx: Context) -> list[float]:
    """Scores of the targets of some valid rows under the base's zero-shot prompt: what makes two models comparable."""
    prompt = inputs.baseline.prompts["zero_shot"]
    rows = inputs.prepared.split("valid")[:NUM_PROBES]
    requests = []
    for row in rows:
        rendered = loaded.renderer.render(prompt.messages(row.input, row.history), row.target)
        room = loaded.context_length - len(rendered.target_ids)
        requests.append(Request(rendered.context_ids[:room], [rendered.target_ids]))
    return [scores[0].sum for scores in score(loaded, requests, ctx=ctx, description="probing")]


def _floors(
    config: EvaluateConfig, task: TaskSpec, train: Sequence[Example], tests: Sequence[Example]
) -> dict[str, dict[str, float]]:
    if task.kind != "classify":
        return {}
    floors = floor_predictions(train, tests, seed=derive_seed(config.seed, "evaluate", "floors"))
    return {
        name: {metric.name: metric_value(metric, rows) for metric in config.metrics} for name, rows in floors.items()
    }
