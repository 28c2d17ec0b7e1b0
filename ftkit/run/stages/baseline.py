"""The prompting baseline: every prompt of the search judged on valid, the best ones frozen.

Reads train (for demonstrations) and valid; never opens test.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftkit.answers.answering import (
    LabelScores,
    label_predictions,
    longest_prompt,
    metric_value,
    predict,
    score_labels,
    scored,
)
from ftkit.answers.prompt import Prompt
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.load import LoadedModel
from ftkit.errors import DataError
from ftkit.recipe.schema import Baseline as Search
from ftkit.recipe.schema import MetricChoice, TaskChoice
from ftkit.records import Example, Prediction, write_jsonl
from ftkit.registry import Config
from ftkit.run.artifacts import Baseline, Prepared, write_timing
from ftkit.store import derive_seed, read_json, write_json

VERSION = 1


class BaselineConfig(Config):
    """What the stage depends on, besides its inputs."""

    task: TaskChoice
    search: Search
    primary: MetricChoice
    seed: int


@dataclass(frozen=True)
class Candidate:
    """A prompt to try. The same prompt serves every normalisation."""

    index: int
    prompt: Prompt


def run(
    config: BaselineConfig, prepared: Prepared, loaded: LoadedModel, task: TaskSpec, out: Path, ctx: Context
) -> Baseline:
    """Judge all candidates on valid, freeze the best zero-shot and few-shot prompt, predict valid with both.

    A candidate's result is kept in `out/tried` as soon as it is there, so an interrupted search continues.
    Raises DataError where no zero-shot prompt fits the context.
    """
    started = time.monotonic()
    train, valid = prepared.split("train"), prepared.split("valid")
    judged_on = valid[: config.search.max_valid_rows]
    rows = []
    tries = candidates(config, task, train)
    ctx.progress.say(
        f"{len(tries)} prompts, at most {config.search.max_candidates} tried on {len(judged_on)} valid rows"
    )
    for candidate in tries:
        ctx.check_stop()
        rows.append(_tried(config, candidate, loaded, task, judged_on, out=out, ctx=ctx))
    best = {name: _best(rows, name) for name in ("zero_shot", "few_shot")}
    if best["zero_shot"] is None:
        zero_shot = [row for row in rows if row["strategy"] == "zero_shot"]
        details = "; ".join(f"{row['instruction']!r}: {row['detail']}" for row in zero_shot)
        raise DataError(f"baseline: no zero-shot prompt fits the model's context ({details})")
    prompts = {
        name: replace(tries[row["index"]].prompt, normalize=row["normalize"])
        for name, row in best.items()
        if row is not None
    }
    for name, row in best.items():
        if row is not None:
            row["chosen"] = True
            value = f"{config.primary.name} {row['value']:.3f}"
            ctx.progress.say(f"best {name}: {row['label']}, {row['normalize']}, {value}")
    predictions: list[Prediction] = []
    for name, prompt in prompts.items():
        predictions += scored(predict(f"base+{name}", loaded, prompt, task, valid, ctx), [config.primary])
    write_jsonl(out / "candidates.jsonl", rows)
    write_json(out / "prompt.json", {name: prompt.as_json() for name, prompt in prompts.items()})
    write_jsonl(out / "valid_predictions.jsonl", predictions)
    write_timing(out, {"total": time.monotonic() - started})
    return Baseline(out)


def candidates(config: BaselineConfig, task: TaskSpec, train: Sequence[Example]) -> list[Candidate]:
    """All prompts of the search, in the order they are tried: strategies, then their draws, then wordings."""
    prompts = []
    for strategy in config.search.prompts:
        for drawn in strategy(task, train, derive_seed(config.seed, "baseline", strategy.name)):
            for wording in config.search.instructions:
                prompts.append(
                    Prompt(
                        name="few_shot" if drawn.examples else "zero_shot",
                        label=drawn.label,
                        instruction=wording.format(labels=", ".join(task.labels)),
                        demonstrations=tuple((example.input, example.target) for example in drawn.examples),
                        demonstration_ids=tuple(example.id for example in drawn.examples),
                        normalize="sum",
                    )
                )
    return [Candidate(index, prompt) for index, prompt in enumerate(prompts)]


def _tried(
    config: BaselineConfig,
    candidate: Candidate,
    loaded: LoadedModel,
    task: TaskSpec,
    valid: Sequence[Example],
    *,
    out: Path,
    ctx: Context,
) -> dict[str, Any]:
    """The line of candidates.jsonl, from an interrupted run where it has one.

    Demonstrations must leave room for every row. A bare instruction needs room for the answer only: inputs that are too
    long are cut and counted.
    """
    kept = out / "tried" / f"{candidate.index}.json"
    if kept.exists():
        return dict(read_json(kept))
    prompt = candidate.prompt
    row: dict[str, Any] = {
        "index": candidate.index,
        "strategy": prompt.name,
        "label": prompt.label,
        "instruction": prompt.instruction,
        "num_demonstrations": len(prompt.demonstrations),
        "status": "scored",
        "detail": "",
        "values": {},
        "value": None,
        "normalize": None,
        "prompt_tokens_mean": None,
        "chosen": False,
    }
    if candidate.index >= config.search.max_candidates:
        return {**row, "status": "over budget", "detail": f"baseline.max_candidates is {config.search.max_candidates}"}
    needed = longest_prompt(loaded, prompt, task, valid if prompt.demonstrations else [])
    if needed > loaded.context_length:
        detail = f"needs {needed:,} of {loaded.context_length:,} tokens"
        ctx.progress.say(f"{prompt.label}, {prompt.instruction[:60]!r}: does not fit, {detail}")
        return {**row, "status": "does not fit", "detail": detail}
    by_normalization = _predictions(config, prompt, loaded, task, valid, ctx)
    values = {name: metric_value(config.primary, rows) for name, rows in by_normalization.items()}
    best = max(values, key=lambda name: values[name])
    tokens = sum(each.prompt_tokens for each in by_normalization[best]) / len(valid)
    num_cut = sum("input_cut" in each.flags for each in by_normalization[best])
    row["detail"] = f"{num_cut} of {len(valid)} inputs cut to fit" if num_cut else ""
    row |= {"values": values, "value": values[best], "normalize": best, "prompt_tokens_mean": tokens}
    kept.parent.mkdir(exist_ok=True)
    write_json(kept, row)
    return row


def _predictions(
    config: BaselineConfig,
    prompt: Prompt,
    loaded: LoadedModel,
    task: TaskSpec,
    valid: Sequence[Example],
    ctx: Context,
) -> dict[str, list[Prediction]]:
    """Predictions under every normalisation; label scores are computed once for all of them."""
    if task.kind == "generate":
        return {"sum": predict("candidate", loaded, prompt, task, valid, ctx)}
    scores: LabelScores = score_labels(loaded, prompt, task, valid, ctx)
    return {name: label_predictions("candidate", scores, task, name) for name in config.search.normalize}


def _best(rows: Sequence[dict[str, Any]], strategy: str) -> dict[str, Any] | None:
    """The row with the highest valid score; of equals the one with fewer prompt tokens, then the earlier."""
    tried = [row for row in rows if row["strategy"] == strategy and row["status"] == "scored"]
    return max(tried, key=lambda row: (row["value"], -row["prompt_tokens_mean"], -row["index"]), default=None)
