"""Guards: checks that must hold before a comparison may be believed. One that fails makes the verdict `invalid`.

They look at rows, prompts and scores that are already there; they compute no score themselves. A guard says what it
needs, and is `not_applicable` where what answered has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftkit.answers.prompt import Arm, shown_turns
from ftkit.engine.answerer import Question
from ftkit.prepare.row_keys import example_keys
from ftkit.records import Example, Guard

SCORES = "log-probabilities"
ROUNDING = 2e-6  # of a score in float32, that adding zeros leaves


def guard(name: str, is_passed: bool, detail: str) -> Guard:
    """A guard that could be checked."""
    return Guard(name, "passed" if is_passed else "failed", detail)


def lacking(name: str, need: str, answerers: Sequence[str]) -> Guard:
    """A guard that does not apply, since these answerers have not what it needs."""
    return Guard(name, "not_applicable", f"needs {need}, which {', '.join(answerers)} cannot give")


@dataclass(frozen=True)
class ProbeScores:
    """Scores of some targets by one model: asked together, each alone, and together without its adapter.

    `without` is None where the model has none.
    """

    together: Sequence[float]
    alone: Sequence[float]
    without: Sequence[float] | None = None

    @property
    def noise(self) -> float:
        """By how much scores differ that are computed in other batches."""
        return max((abs(one - other) for one, other in zip(self.together, self.alone, strict=True)), default=0.0)


def adapter_changes_logits(arms: Sequence[Arm], probes: Mapping[str, ProbeScores | None]) -> Guard:
    """Every tuned model scores the probe rows otherwise than its base does, and by more than rounding does.

    Rounding is what scores of one model differ by in other batches. Needs log-probabilities of both.
    """
    name = "adapter_changes_logits"
    pairs = [(arm, _base_of(arm, arms)) for arm in arms if arm.side == "fine_tuned"]
    found = {arm.name: probes[arm.name] for pair in pairs for arm in pair}
    mute = sorted({arm.model for pair in pairs for arm in pair if found[arm.name] is None})
    if mute:
        return lacking(name, SCORES, mute)
    scores = {arm: each for arm, each in found.items() if each is not None}
    if not all(each.together for each in scores.values()):
        return Guard(name, "not_applicable", "no valid row fits the context with its target: nothing to compare")
    same = sorted({arm.model for arm, base in pairs if _is_its_base(scores[arm.name], scores[base.name])})
    num_probes = max((len(each.together) for each in scores.values()), default=0)
    told = "scores are those of the base model, but for rounding"
    return guard(name, not same, f"{', '.join(same)}: {told}" if same else f"{num_probes} probe scores differ")


def _is_its_base(tuned: ProbeScores, base: ProbeScores) -> bool:
    """Whether what was trained does nothing: the adapter adds nothing at all, or no more than other batches would."""
    if tuned.without is not None and list(tuned.without) == list(tuned.together):
        return True
    changed = max(abs(one - other) for one, other in zip(tuned.together, base.together, strict=True))
    return changed <= 2 * max(tuned.noise, base.noise) + ROUNDING * max(map(abs, base.together))


def _base_of(tuned: Arm, arms: Sequence[Arm]) -> Arm:
    """The base as the tuned model holds it: quantising alone changes scores."""
    bases = [arm for arm in arms if arm.model.partition("@")[0] == "base"]
    return next((arm for arm in bases if arm.precision == tuned.precision), bases[0])


def no_test_row_in_train(train: Sequence[Example], tests: Sequence[Example]) -> Guard:
    """No train row is the same as a test row, by what identifies a row in prepare, and no group is on both sides."""
    seen, asked = example_keys(train), example_keys(tests)
    leaks = [row.id for row, found in zip(tests, asked.is_in(seen.implode()), strict=True) if found]
    leaks += sorted({row.group for row in train} & {row.group for row in tests})
    return guard("no_test_row_in_train", not leaks, f"leaks: {leaks[:5]}" if leaks else "no equal row, no shared group")


def arms_frozen_before_test(frozen: str, *, now: str, answered_beside: Mapping[str, str]) -> Guard:
    """`arms.json` has the bytes (as SHA-256) that were frozen on valid: when each arm began to answer, and now."""
    changed = sorted(arm for arm, seen in answered_beside.items() if seen != frozen)
    changed += ["the end"] if now != frozen else []
    unchanged = f"arms.json is as it was frozen, {len(answered_beside)} arms answered beside it"
    return guard(
        "arms_frozen_before_test", not changed, f"arms.json was another at {changed}" if changed else unchanged
    )


def demonstrations_from_train(arms: Sequence[Arm], train: Sequence[Example]) -> Guard:
    """Every row that a prompt shows is a row of train, word for word."""
    known = {row.id: shown_turns(row) for row in train}
    shown = [pair for arm in arms for pair in arm.prompter.train_rows.items()]
    foreign = [row_id for row_id, turns in shown if known.get(row_id) != turns]
    return guard("demonstrations_from_train", not foreign, f"not in train: {foreign[:5]}" if foreign else "all are")


def scored_ids_are_trained_ids(asked: Sequence[Question], learned: Sequence[Question]) -> Guard:
    """The ids scored for a row's label are the ids trained for it, on the same rows. Needs ids of labels."""
    name = "scored_ids_are_trained_ids"
    if not asked or not all(question.choices_ids for question in asked):
        return Guard(name, "not_applicable", "needs rows with ids of labels; here a text is written, or no row fits")
    wrong = [
        one.example.id
        for one, other in zip(asked, learned, strict=True)
        if [one.choices_ids[one.choices.index(one.example.target)]] != other.choices_ids
    ]
    detail = f"differ for {wrong[:5]}" if wrong else f"equal on {len(asked)} rows"
    return guard(name, not wrong, detail)
