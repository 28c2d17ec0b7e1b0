"""The search for the best prompt: every candidate judged on valid, the best of each family kept.

Knows no stage: what a candidate came to is kept in a folder, so that an interrupted search continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ftkit.answers.answering import label_predictions, metric_value, score_labels, written_predictions
from ftkit.answers.asking import Asker, Room
from ftkit.answers.prompt import FrozenPrompts, Normalization, Prompter, Skipped
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer, Reader
from ftkit.errors import DataError
from ftkit.recipe.schema import Search
from ftkit.records import Example, Prediction
from ftkit.registry import Choice
from ftkit.store import JsonRecord, derive_seed, digest, keep_json, kept_json

MAX_KEPT = 4
ALWAYS_KEPT = "zero_shot"


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

    @property
    def said(self) -> str:
        """The candidate and what stands against it, in a line."""
        named = f"{self.label}, {self.instruction[:60]!r}" if self.instruction else self.label
        return ": ".join([named, ", ".join(each for each in (self.status, self.detail) if each)])


@dataclass(frozen=True)
class Judging:
    """What candidates are judged by: rows of valid, the metric that decides, the block of the recipe."""

    search: Search
    primary: Choice
    task: TaskSpec
    valid: Sequence[Example]


@dataclass(frozen=True)
class Found:
    """All candidates, and the prompts that were frozen with what each answered to the rows it was judged by."""

    candidates: list[Candidate]
    frozen: FrozenPrompts
    predictions: list[list[Prediction]]


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


def sized(
    prompts: Sequence[Prompter | Skipped], search: Search, task: TaskSpec, reader: Reader, judged: Sequence[Example]
) -> list[Candidate]:
    """The candidates as the search will have them before anything is scored: what is left of them is tried."""
    candidates = list[Candidate]()
    for candidate, prompt in zip(listed(prompts, search), prompts, strict=True):
        if isinstance(prompt, Prompter) and candidate.status == "scored":
            candidate = _with_room(candidate, Asker.of_task(reader, prompt, task).room(judged))
        candidates.append(candidate)
    return candidates


def in_budget(prompts: Sequence[Prompter | Skipped], search: Search) -> list[Prompter]:
    """The prompts that the search tries."""
    tried = (prompts[each.index] for each in listed(prompts, search) if each.status == "scored")
    return [each for each in tried if isinstance(each, Prompter)]


def find_best(
    prompts: Sequence[Prompter | Skipped], judging: Judging, answerer: Answerer, kept_in: Path, ctx: Context
) -> Found:
    """Judge all prompts on valid and freeze the best of each family. Raises DataError where none could be scored."""
    tried = list[Candidate]()
    answered = dict[int, list[Prediction]]()  # of the best so far
    for candidate, prompt in zip(listed(prompts, judging.search), prompts, strict=True):
        ctx.check_stop()
        if candidate.status == "skipped":
            ctx.progress.say(candidate.said)
        if isinstance(prompt, Prompter) and candidate.status == "scored":
            candidate, predictions = _tried(candidate, prompt, judging, answerer, kept_in=kept_in, ctx=ctx)
            answered[candidate.index] = predictions
        tried.append(candidate)
        answered = {each.index: answered[each.index] for each in kept(tried)}
    require_one(tried)
    best = kept(tried)
    for each in best:
        value = f"{judging.primary.name} {each.value:.3f}"
        ctx.progress.say(f"best {each.family}: {each.label}, {each.normalize}, {value}")
    indices = {each.index for each in best}
    candidates = [each.model_copy(update={"chosen": each.index in indices}) for each in tried]
    in_order = sorted(best, key=lambda each: each.index)
    frozen = FrozenPrompts(tuple(_frozen(prompts, each) for each in in_order), tuple(each.label for each in best))
    return Found(candidates, frozen, [answered[each.index] for each in in_order])


def kept(tried: Sequence[Candidate]) -> list[Candidate]:
    """The best of each family, at most four of them with zero-shot always among them; the best first.

    Few rows of valid cannot tell prompts apart: so each of these, not the best alone, is what fine-tuning has to beat.
    Equals are ordered by a hash of their words, never by their length: shorter is not better.
    """
    best = dict[str, Candidate]()
    for each in sorted((each for each in tried if each.status == "scored"), key=_rank, reverse=True):
        best.setdefault(each.family, each)
    ranked = list(best.values())
    dropped = [each for each in ranked if each.family != ALWAYS_KEPT][MAX_KEPT - (ALWAYS_KEPT in best) :]
    return [each for each in ranked if each not in dropped]


def require_one(candidates: Sequence[Candidate]) -> None:
    """Raise DataError where none of the candidates was scored, or can be."""
    if not any(each.status == "scored" for each in candidates):
        details = "; ".join(f"{each.label}, {each.instruction!r}: {each.status}, {each.detail}" for each in candidates)
        raise DataError(f"baseline: no prompt could be scored ({details})")


def _frozen(prompts: Sequence[Prompter | Skipped], candidate: Candidate) -> Prompter:
    prompt = prompts[candidate.index]
    assert isinstance(prompt, Prompter) and candidate.normalize is not None, "only what was scored is frozen"
    return prompt.normalized(candidate.normalize)


def _tried(
    candidate: Candidate, prompter: Prompter, judging: Judging, answerer: Answerer, *, kept_in: Path, ctx: Context
) -> tuple[Candidate, list[Prediction]]:
    """What a candidate came to, and its answers under the best normalisation; from an interrupted search if there."""
    kept = kept_in / f"{candidate.index}.json"
    known = kept_json(kept, ctx.progress.say)
    if known is not None:
        judged = Candidate.model_validate(known["candidate"])
        if (judged.label, judged.instruction) == (candidate.label, candidate.instruction):
            return judged, [Prediction(**{**row, "flags": tuple(row["flags"])}) for row in known["predictions"]]
    judged, predictions = _judged(candidate, prompter, judging, answerer, ctx)
    kept_in.mkdir(exist_ok=True)
    keep_json(kept, {"candidate": judged.as_json(), "predictions": [asdict(each) for each in predictions]})
    return judged, predictions


def _with_room(candidate: Candidate, room: Room) -> Candidate:
    """A candidate with what is known of its room on valid before it is scored: how many inputs are cut, or no fit."""
    return candidate.model_copy(
        update={"status": "scored" if room.is_enough else "does not fit", "detail": room.detail}
    )


def _judged(
    candidate: Candidate, prompter: Prompter, judging: Judging, answerer: Answerer, ctx: Context
) -> tuple[Candidate, list[Prediction]]:
    """A candidate with its values on valid and its best answers, or with what it needs where it does not fit."""
    sized = _with_room(candidate, Asker.of_task(answerer, prompter, judging.task).room(judging.valid))
    if sized.status == "does not fit":
        ctx.progress.say(sized.said)
        return sized, []
    predictions = _predictions(prompter, judging, answerer, ctx)
    values = {name: metric_value(judging.primary, rows) for name, rows in predictions.items()}
    best = max(values, key=lambda name: values[name])
    known = {
        "values": values,
        "value": values[best],
        "normalize": best,
        "prompt_tokens_mean": sum(each.prompt_tokens for each in predictions[best]) / len(judging.valid),
    }
    return sized.model_copy(update=known), predictions[best]


def _predictions(
    prompter: Prompter, judging: Judging, answerer: Answerer, ctx: Context
) -> dict[Normalization, list[Prediction]]:
    """Predictions under every normalisation; label scores are computed once for all of them."""
    task, valid = judging.task, judging.valid
    if task.kind == "generate":
        return {"sum": written_predictions("candidate", answerer, prompter, task, valid, ctx)}
    scores = score_labels(answerer, prompter, task, valid, ctx)
    return {name: label_predictions("candidate", scores, task, name) for name in judging.search.normalize}


def _rank(candidate: Candidate) -> tuple[float, str]:
    """The higher valid score is better."""
    assert candidate.value is not None, "only what was scored is ranked"
    return candidate.value, digest([candidate.label, candidate.instruction])
