"""The search for the best prompt: every candidate judged on valid, the best of each family kept.

Knows no stage: what a candidate came to is kept in a folder, so that an interrupted search continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ftkit.answers.answering import label_predictions, metric_value, score_labels, written_predictions
from ftkit.answers.asking import Asker
from ftkit.answers.prompt import FrozenPrompts, Normalization, Prompter, Skipped
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.errors import DataError
from ftkit.recipe.schema import Search
from ftkit.records import Example, Prediction
from ftkit.registry import Choice
from ftkit.store import JsonRecord, derive_seed, read_record, write_json


class Candidate(JsonRecord):
    """A line of candidates.jsonl: a prompt of the search, and what it came to on valid."""

    index: int = Field(description="place in the order in which prompts are tried")
    family: str = Field(description="prompt strategy")
    label: str = Field(description="strategy with its options")
    instruction: str = Field(description="wording, labels filled in")
    num_demonstrations: int = Field(description="rows of train that the prompt shows before every question")
    status: Literal["scored", "skipped", "does not fit", "over budget"] = Field("scored", description="why not scored")
    detail: str = Field("", description="the reason, or what was cut, in words")
    values: dict[str, float] = Field({}, description="value of the primary metric by normalisation of label scores")
    value: float | None = Field(None, description="the best of the values")
    normalize: Normalization | None = Field(None, description="the normalisation of the best value")
    prompt_tokens_mean: float | None = Field(None, description="tokens of a question")
    chosen: bool = Field(False, description="whether the prompt was frozen")


@dataclass(frozen=True)
class Judging:
    """What candidates are judged by: rows of valid, the metric that decides, the block of the recipe."""

    search: Search
    primary: Choice
    task: TaskSpec
    valid: Sequence[Example]


@dataclass(frozen=True)
class Found:
    """All candidates, and the prompts that were frozen."""

    candidates: list[Candidate]
    frozen: FrozenPrompts


def prompts_of(search: Search, task: TaskSpec, train: Sequence[Example], *, seed: int) -> list[Prompter | Skipped]:
    """All prompts of the search, in the order they are tried: strategies, then their draws, then wordings.

    What a strategy could not make stands in its place.
    """
    prompts: list[Prompter | Skipped] = []
    for strategy in search.prompts:
        options = strategy.options.model_dump(mode="json")
        for fitted in strategy(task, train, derive_seed(seed, "baseline", strategy.name)):
            if isinstance(fitted, Skipped):
                prompts.append(replace(fitted, family=strategy.name))
                continue
            for wording in search.instructions:
                prompts.append(fitted.named(strategy.name, options, worded(wording, task)))
    return prompts


def worded(wording: str, task: TaskSpec) -> str:
    """A wording of the recipe with the task's labels filled in."""
    return wording.format(labels=", ".join(task.labels))


def listed(prompts: Sequence[Prompter | Skipped], search: Search) -> list[Candidate]:
    """The prompts as candidates that nothing is known of yet, but which were skipped and which are over the budget.

    Only what is tried uses up the budget.
    """
    candidates, num_tried = list[Candidate](), 0
    for index, prompt in enumerate(prompts):
        candidate = Candidate(
            index=index, family=prompt.family, label=prompt.label, instruction="", num_demonstrations=0
        )
        if isinstance(prompt, Skipped):
            candidates.append(candidate.model_copy(update={"status": "skipped", "detail": prompt.reason}))
            continue
        num_tried += 1
        shown: dict[str, Any] = {"instruction": prompt.instruction, "num_demonstrations": len(prompt.train_rows)}
        if num_tried > search.max_candidates:
            shown |= {"status": "over budget", "detail": f"baseline.max_candidates is {search.max_candidates}"}
        candidates.append(candidate.model_copy(update=shown))
    return candidates


def find_best(
    prompts: Sequence[Prompter | Skipped], judging: Judging, answerer: Answerer, kept_in: Path, ctx: Context
) -> Found:
    """Judge all prompts on valid and freeze the best of each family. Raises DataError where none could be scored."""
    tried = []
    for candidate, prompt in zip(listed(prompts, judging.search), prompts, strict=True):
        ctx.check_stop()
        if isinstance(prompt, Skipped):
            ctx.progress.say(f"{candidate.label}: skipped, {candidate.detail}")
        if isinstance(prompt, Skipped) or candidate.status == "over budget":
            tried.append(candidate)
        else:
            tried.append(_tried(candidate, prompt, judging, answerer, kept_in=kept_in, ctx=ctx))
    families = list(dict.fromkeys(candidate.family for candidate in tried))
    best = [each for each in (_best(tried, family) for family in families) if each is not None]
    if not best:
        details = "; ".join(f"{each.label}, {each.instruction!r}: {each.status}, {each.detail}" for each in tried)
        raise DataError(f"baseline: no prompt could be scored ({details})")
    for each in best:
        value = f"{judging.primary.name} {each.value:.3f}"
        ctx.progress.say(f"best {each.family}: {each.label}, {each.normalize}, {value}")
    ranking = tuple(each.label for each in sorted(best, key=_rank, reverse=True))
    indices = {each.index for each in best}
    candidates = [each.model_copy(update={"chosen": each.index in indices}) for each in tried]
    return Found(candidates, FrozenPrompts(tuple(_frozen(prompts, each) for each in best), ranking))


def _frozen(prompts: Sequence[Prompter | Skipped], candidate: Candidate) -> Prompter:
    prompt = prompts[candidate.index]
    assert isinstance(prompt, Prompter) and candidate.normalize is not None, "only what was scored is frozen"
    return prompt.normalized(candidate.normalize)


def _tried(
    candidate: Candidate, prompter: Prompter, judging: Judging, answerer: Answerer, *, kept_in: Path, ctx: Context
) -> Candidate:
    """What a candidate came to, from an interrupted search where it is there."""
    kept = kept_in / f"{candidate.index}.json"
    if kept.exists():
        return read_record(kept, Candidate)
    judged = _judged(candidate, prompter, judging, answerer, ctx)
    kept_in.mkdir(exist_ok=True)
    write_json(kept, judged.as_json())
    return judged


def _judged(candidate: Candidate, prompter: Prompter, judging: Judging, answerer: Answerer, ctx: Context) -> Candidate:
    """A candidate with its values on valid, or with what it needs where it does not fit.

    Demonstrations must leave room for every row. A bare instruction needs room for the answer only: inputs that are too
    long are cut and counted.
    """
    asker = Asker.of_task(answerer, prompter, judging.task)
    needed = asker.longest(judging.valid if prompter.train_rows else [])
    if answerer.context_length is not None and needed > answerer.context_length:
        detail = f"needs {needed:,} of {answerer.context_length:,} tokens"
        ctx.progress.say(f"{prompter.label}, {prompter.instruction[:60]!r}: does not fit, {detail}")
        return candidate.model_copy(update={"status": "does not fit", "detail": detail})
    predictions = _predictions(prompter, judging, answerer, ctx)
    values = {name: metric_value(judging.primary, rows) for name, rows in predictions.items()}
    best = max(values, key=lambda name: values[name])
    num_cut = sum("input_cut" in each.flags for each in predictions[best])
    return candidate.model_copy(
        update={
            "detail": f"{num_cut} of {len(judging.valid)} inputs cut to fit" if num_cut else "",
            "values": values,
            "value": values[best],
            "normalize": best,
            "prompt_tokens_mean": sum(each.prompt_tokens for each in predictions[best]) / len(judging.valid),
        }
    )


def _predictions(
    prompter: Prompter, judging: Judging, answerer: Answerer, ctx: Context
) -> dict[Normalization, list[Prediction]]:
    """Predictions under every normalisation; label scores are computed once for all of them."""
    task, valid = judging.task, judging.valid
    if task.kind == "generate":
        return {"sum": written_predictions("candidate", answerer, prompter, task, valid, ctx)}
    scores = score_labels(answerer, prompter, task, valid, ctx)
    return {name: label_predictions("candidate", scores, task, name) for name in judging.search.normalize}


def _best(candidates: Sequence[Candidate], family: str) -> Candidate | None:
    scored = [each for each in candidates if each.family == family and each.status == "scored"]
    return max(scored, key=_rank, default=None)


def _rank(candidate: Candidate) -> tuple[float, float, int]:
    """The higher valid score is better; of equals the prompt with fewer tokens, then the earlier one."""
    assert candidate.value is not None and candidate.prompt_tokens_mean is not None, "only what was scored is ranked"
    return candidate.value, -candidate.prompt_tokens_mean, -candidate.index
