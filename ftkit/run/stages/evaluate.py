"""Evaluation: arms are frozen on valid, then, and only then, test is opened and every arm answers the same rows.

The only stage that scores test.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ftkit.answers.answering import metric_value, predict, scored, target_scores
from ftkit.answers.asking import Asker, emptied
from ftkit.answers.floors import floor_predictions
from ftkit.answers.linear import fit_linear, save_linear
from ftkit.answers.prompt import Arm, Prompter
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer, Question
from ftkit.engine.local import without_adapter
from ftkit.recipe.schema import MetricChoice, TaskChoice
from ftkit.records import Example, Prediction, Side, read_predictions, write_jsonl
from ftkit.registry import Choice, Config
from ftkit.run import guards
from ftkit.run.artifacts import Baseline, Evaluated, Prepared, Trained, write_timing
from ftkit.run.models import LINEAR, ArmModel
from ftkit.store import derive_seed, discard, file_digest, json_bytes, keep_json, kept_json, write_bytes, write_json

VERSION = 4
NUM_PROBES = 4


class EvaluateConfig(Config):
    """What the stage depends on, besides its inputs."""

    task: TaskChoice
    metrics: list[MetricChoice]
    primary: MetricChoice
    seed: int


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
    frozen = _freeze({"arms": [arm.as_json() for arm in arms], "chosen": chosen}, out, ctx)
    ctx.progress.say(f"arms frozen on valid: prompting {chosen['prompting']}, fine-tuned {chosen['fine_tuned']}")

    tests = inputs.prepared.split("test")
    answers = _answer_all(arms, models, inputs, task, tests, frozen=frozen, out=out, ctx=ctx)
    predictions = {name: scored(answered.rows, config.metrics) for name, answered in answers.items()}
    write_jsonl(out / "predictions.jsonl", (row for arm in arms for row in predictions[arm.name]))
    write_jsonl(out / "floors.jsonl", scored(floor_predictions(task, train, tests), config.metrics))
    checks = [
        guards.adapter_changes_logits(arms, {name: answered.probes for name, answered in answers.items()}),
        guards.no_test_row_in_train(train, tests),
        guards.demonstrations_from_train(arms, train),
        guards.arms_frozen_before_test(
            frozen,
            now=file_digest(out / "arms.json"),
            answered_beside={name: answered.arms_sha256 for name, answered in answers.items()},
        ),
        *(guard for trained in inputs.trained.values() for guard in trained.guards),
    ]
    write_json(out / "guards.json", [asdict(each) for each in checks])
    per_arm = {name: {"seconds": answered.seconds, "rows": len(tests)} for name, answered in answers.items()}
    write_timing(out, {"total": time.monotonic() - started}, arms=per_arm)
    return Evaluated(out)


def _fit_linear(config: EvaluateConfig, task: TaskSpec, train: Sequence[Example], folder: Path) -> None:
    """Write the model of the simple side, where the task classifies and train has two labels and a word."""
    shutil.rmtree(folder, ignore_errors=True)
    if task.kind == "classify":
        model = fit_linear(train, seed=derive_seed(config.seed, "evaluate", "linear"))
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
    """The best arm of each side on valid: the prompt that the search ranked first, and the best tuned arm."""
    rows: dict[str, list[Prediction]] = {}
    for trained in inputs.trained.values():
        for row in trained.valid_predictions:
            rows.setdefault(row.arm, []).append(row)
    best = inputs.baseline.prompts.best
    prompting = next(arm.name for arm in arms if arm.side == "prompting" and arm.prompter == best)
    tuned = [arm.name for arm in arms if arm.side == "fine_tuned"]
    return {"prompting": prompting, "fine_tuned": max(tuned, key=lambda name: metric_value(primary, rows[name]))}


def _freeze(arms: Mapping[str, Any], out: Path, ctx: Context) -> str:
    """Write arms.json, before test is opened; its SHA-256.

    Answers of an interrupted run that lie beside other arms are deleted first, and that is said.
    """
    path, answered, content = out / "arms.json", out / "answered", json_bytes(arms)
    if not path.exists() or path.read_bytes() != content:
        if answered.exists():
            ctx.progress.say(
                f"{path}: not the arms that are frozen on valid; what was answered beside it is made again"
            )
            discard(answered)
        write_bytes(path, content)
    return file_digest(path)


@dataclass(frozen=True)
class _Answered:
    """What an arm answered to test, the probe scores of its model, and the SHA-256 of arms.json when it began."""

    rows: list[Prediction]
    seconds: float
    probes: guards.ProbeScores | None
    arms_sha256: str


def _answer_all(
    arms: Sequence[Arm],
    models: Mapping[str, ArmModel],
    inputs: EvaluateInputs,
    task: TaskSpec,
    tests: Sequence[Example],
    *,
    frozen: str,
    out: Path,
    ctx: Context,
) -> dict[str, _Answered]:
    """Answers by arm; one model in memory at a time. Each arm's are kept in `out/answered` with their hash."""
    answered = out / "answered"
    answered.mkdir(exist_ok=True)
    places = {arm.name: answered / str(index) for index, arm in enumerate(arms)}
    done: dict[str, _Answered] = {}
    for model, described in models.items():
        known = {arm.name: _known(arm, places[arm.name], frozen, ctx) for arm in arms if arm.model == model}
        done |= {name: each for name, each in known.items() if each is not None}
        missing = [arm for arm in arms if arm.model == model and arm.name not in done]
        if not missing:
            continue
        answerer = described.load()
        probes = _probe_scores(answerer, inputs, ctx)
        for arm in missing:
            ctx.check_stop()
            beside, begun = file_digest(out / "arms.json"), time.monotonic()
            rows = predict(arm.name, answerer, arm.prompter, task, tests, ctx)
            done[arm.name] = _Answered(rows, time.monotonic() - begun, probes, beside)
            _keep(arm, done[arm.name], places[arm.name])
        del answerer
    return {arm.name: done[arm.name] for arm in arms}


def _keep(arm: Arm, answered: _Answered, place: Path) -> None:
    """Write answers, then the proof that they are whole."""
    rows = place.with_suffix(".jsonl")
    write_jsonl(rows, answered.rows)
    probes = answered.probes and asdict(answered.probes)
    facts = {"seconds": answered.seconds, "probes": probes, "arms": answered.arms_sha256}
    keep_json(place.with_suffix(".json"), {"arm": arm.name, "rows": file_digest(rows), **facts})


def _known(arm: Arm, place: Path, frozen: str, ctx: Context) -> _Answered | None:
    """What an interrupted run kept of an arm; None where there is nothing, or where it is not what was written."""
    facts, rows = kept_json(place.with_suffix(".json"), ctx.progress.say), place.with_suffix(".jsonl")
    if facts is None:
        return None
    if not rows.is_file() or [facts["arm"], facts["arms"], facts["rows"]] != [arm.name, frozen, file_digest(rows)]:
        ctx.progress.say(f"{rows}: damaged, or beside other arms; made again")
        return None
    probes = facts["probes"] and guards.ProbeScores(**facts["probes"])
    return _Answered(read_predictions(rows), facts["seconds"], probes, facts["arms"])


def _probe_scores(answerer: Answerer, inputs: EvaluateInputs, ctx: Context) -> guards.ProbeScores | None:
    """Scores of the targets of some valid rows under one prompt, the same for all models; None where there are none."""
    if answerer.renderer is None:
        return None
    asker = Asker.of_targets(answerer, inputs.baseline.prompts.prompts[0])
    fitting = (row for row in inputs.prepared.split("valid") if asker.fits(asker.ask(emptied(row))))
    probes = [question for row in islice(fitting, NUM_PROBES) if (question := asker.fitted(row)) is not None]

    def scores_of(questions: Sequence[Question]) -> list[float] | None:
        scores = target_scores(answerer, questions, ctx, description="probing")
        return None if scores is None else [each.sum for each in scores]

    together = scores_of(probes)
    if together is None:
        return None
    alone = [score for probe in probes for score in scores_of([probe]) or []]
    bare = without_adapter(answerer)
    if bare is None:
        return guards.ProbeScores(together, alone)
    with bare:
        return guards.ProbeScores(together, alone, scores_of(probes))
