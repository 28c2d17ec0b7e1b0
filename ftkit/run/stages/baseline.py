"""The prompting baseline: every prompt of the search judged on valid, the best ones frozen.

Reads train (for demonstrations) and valid; never opens test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ftkit.answers.answering import predict, scored
from ftkit.answers.search import Judging, find_best, prompts_of
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.recipe.schema import MetricChoice, Search, TaskChoice
from ftkit.records import Prediction, write_jsonl
from ftkit.registry import Config
from ftkit.report.markup import counted
from ftkit.run.artifacts import Baseline, Prepared, write_timing
from ftkit.store import write_json

VERSION = 4


class BaselineConfig(Config):
    """What the stage depends on, besides its inputs."""

    task: TaskChoice
    search: Search
    primary: MetricChoice
    seed: int


def run(
    config: BaselineConfig,
    prepared: Prepared,
    load_base: Callable[[], Answerer],
    task: TaskSpec,
    out: Path,
    ctx: Context,
) -> Baseline:
    """Judge all prompts on valid, freeze the best of each family, answer the rest of valid with each of these.

    A candidate's result is kept in `out/tried` as soon as it is there, so an interrupted search continues.
    Raises DataError where no prompt could be scored.
    """
    started = time.monotonic()
    train, valid = prepared.split("train"), prepared.split("valid")
    judging = Judging(config.search, config.primary, task, valid[: config.search.max_valid_rows])
    prompts = prompts_of(config.search, task, train, seed=config.seed)
    tried_at_most = f"at most {config.search.max_candidates} tried on {counted(len(judging.valid), 'valid row')}"
    ctx.progress.say(f"{counted(len(prompts), 'prompt')}, {tried_at_most}")
    base = load_base()
    result = find_best(prompts, judging, base, out / "tried", ctx)
    predictions: list[Prediction] = []
    for prompter, judged in zip(result.frozen.prompts, result.predictions, strict=True):
        arm, unseen = f"base+{prompter.label}", valid[len(judged) :]
        rows = [replace(each, arm=arm) for each in judged]
        rows += predict(arm, base, prompter, task, unseen, ctx) if unseen else []
        predictions += scored(rows, [config.primary])
    write_jsonl(out / "candidates.jsonl", (each.as_json() for each in result.candidates))
    write_json(out / "prompt.json", result.frozen.as_json())
    write_jsonl(out / "valid_predictions.jsonl", predictions)
    write_timing(out, {"total": time.monotonic() - started})
    return Baseline(out)
