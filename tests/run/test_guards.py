"""Guards: what they must catch, what they must not take for a fault, and where they do not apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import SetUp
from tiny_models import context, loaded_of

from ftkit.answers.prompt import Arm, Prompter
from ftkit.answers.prompting.few_shot import Demonstrating, Demonstration
from ftkit.engine.answerer import ContinuationScore, Question
from ftkit.engine.local import LocalModel, without_adapter
from ftkit.errors import DataError
from ftkit.recipe.schema import MetricChoice
from ftkit.records import Example, Guard, Message, Prediction
from ftkit.run.fitting import require_no_leak
from ftkit.run.guards import (
    ProbeScores,
    adapter_changes_logits,
    arms_frozen_before_test,
    demonstrations_from_train,
    no_test_row_in_train,
    scored_ids_are_trained_ids,
)
from ftkit.store import read_json
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora
from ftkit.verdict.paired import check_predictions, inputs_cut_alike

BARE = Prompter(label="zero_shot", family="zero_shot")
BASE = Arm("base+zero_shot", "base", "prompting", "float32", BARE)
LORA = Arm("lora+zero_shot", "lora", "fine_tuned", "float32", BARE)
BASE_NF4 = Arm("base@nf4+zero_shot", "base@nf4", "reference", "nf4", BARE)
QLORA = Arm("qlora+zero_shot", "qlora", "fine_tuned", "nf4", BARE)


def row(name: str, text: str) -> Example:
    return Example(id=name, input=text, target="x", group=name)


def test_an_input_that_differs_in_case_and_punctuation_only_is_a_leak() -> None:
    guard = no_test_row_in_train([row("a", "Where is it?")], [row("b", "where is IT")])
    assert (guard.status, guard.detail) == ("failed", "leaks: ['b']")


def test_a_group_on_both_sides_is_a_leak() -> None:
    guard = no_test_row_in_train([row("g", "one")], [row("g", "two")])
    assert (guard.status, guard.detail) == ("failed", "leaks: ['g']")


def test_two_smileys_without_a_word_are_not_the_same() -> None:
    assert no_test_row_in_train([row("a", "👍")], [row("b", "👎")]).status == "passed"
    assert no_test_row_in_train([row("a", "👍")], [row("b", " 👍")]).status == "failed"


def test_a_leak_is_an_error_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match=r"no_test_row_in_train: leaks: \['b'\]; run prepare again"):
        require_no_leak([row("a", "Where is it?")], [row("b", "where is IT")])
    require_no_leak([row("a", "Where is it?")], [row("b", "who is it")])


def test_the_last_turn_of_another_conversation_is_no_leak() -> None:
    def talk(name: str, first: str) -> Example:
        return replace(row(name, "Thanks!"), history=(Message(role="user", content=first),))

    assert no_test_row_in_train([talk("a", "My parcel?")], [talk("b", "My money?")]).status == "passed"
    assert no_test_row_in_train([talk("a", "My parcel?")], [talk("b", "my parcel")]).status == "failed"


def test_texts_without_an_input_are_compared() -> None:
    one, other, same = (
        replace(row(name, ""), target=text) for name, text in zip("abc", ("It rains.", "No", "it rains"), strict=True)
    )
    assert no_test_row_in_train([one], [other]).status == "passed"
    assert no_test_row_in_train([one], [same]).status == "failed"


def scored(*scores: float, noise: float = 0.0, without: Sequence[float] | None = None) -> ProbeScores:
    return ProbeScores(scores, [each + noise for each in scores], without)


ROUNDED = "lora: scores are those of the base model, but for rounding"


@pytest.mark.parametrize(
    ("base", "lora", "status", "detail"),
    [
        (scored(-1.0, -2.0), scored(-1.0, -2.5), "passed", "2 probe scores differ"),
        (scored(-1.0, -2.0), scored(-1.0, -2.0), "failed", ROUNDED),
        (scored(-1.0, -2.0), scored(-1.0, -2.0000014), "failed", ROUNDED),
        (scored(-1.0, -2.0, noise=0.03), scored(-1.0, -2.05), "failed", ROUNDED),  # bfloat16, in other batches
        (scored(-1.0, -2.0, noise=0.03), scored(-1.0, -2.1), "passed", "2 probe scores differ"),
        (scored(-1.0), scored(-1.5, without=[-1.5]), "failed", ROUNDED),  # it is the base that differs, not the adapter
        (scored(-1.0), scored(-1.5, without=[-1.0]), "passed", "1 probe scores differ"),
        (None, scored(-1.0), "not_applicable", "needs log-probabilities, which base cannot give"),
        (scored(-1.0), None, "not_applicable", "needs log-probabilities, which lora cannot give"),
        (scored(), scored(), "not_applicable", "no valid row fits the context with its target: nothing to compare"),
    ],
)
def test_an_adapter_has_to_change_the_scores_of_its_base(
    base: ProbeScores | None, lora: ProbeScores | None, status: str, detail: str
) -> None:
    guard = adapter_changes_logits([BASE, LORA], {BASE.name: base, LORA.name: lora})
    assert guard == Guard("adapter_changes_logits", status, detail)  # type: ignore[arg-type]


def test_an_adapter_on_a_quantised_base_is_held_against_that_base() -> None:
    probes = {BASE.name: scored(-1.0), BASE_NF4.name: scored(-1.2), QLORA.name: scored(-1.2)}
    guard = adapter_changes_logits([BASE, BASE_NF4, QLORA], probes)
    assert (guard.status, guard.detail) == ("failed", ROUNDED.replace("lora", "qlora"))


def test_what_a_prompt_shows_has_to_be_a_row_of_train_word_for_word() -> None:
    train = [row("t1", "one"), row("t2", "two")]
    for text, status in (("two", "passed"), ("Two", "failed")):
        shown = [Demonstration.of(row("t2", text))]
        arm = Arm("a", "base", "prompting", "float32", Demonstrating(label="f", demonstrations=shown))
        assert demonstrations_from_train([arm], train).status == status


def test_the_ids_scored_for_a_label_have_to_be_the_ids_that_were_trained() -> None:
    example = Example("r", "text", "b", "r")
    asked = Question(example, [], ("a", "b"), [1], [[5, 2], [6, 2]], False)
    same, other = (Question(example, [], ("b",), [1], [ids], False) for ids in ([6, 2], [6, 7]))
    assert scored_ids_are_trained_ids([asked], [same]).status == "passed"
    assert scored_ids_are_trained_ids([asked], [other]).detail == "differ for ['r']"


def test_a_guard_that_saw_no_row_or_no_ids_does_not_pass() -> None:
    without_ids = Question(Example("r", "text", "b", "r"), [], ("a", "b"), [], [], False)
    assert scored_ids_are_trained_ids([], []).status == "not_applicable"
    assert scored_ids_are_trained_ids([without_ids], [without_ids]).status == "not_applicable"


def test_an_adapter_that_learned_nothing_adds_nothing_to_the_last_bit(tmp_path: Path) -> None:
    loaded = loaded_of()
    trainable = build_lora(Lora(rank=2), loaded)  # every lora_B is zero
    fresh = LocalModel(replace(loaded, model=trainable.model.eval()))
    question = Question(row("a", "text"), [], ("x",), [5, 6, 9], [[8, 2]], False)

    def scores() -> list[list[ContinuationScore]]:
        return fresh.label_scores([question], ctx=context(tmp_path), description="")

    dead = scores()
    bare = without_adapter(fresh)
    assert bare is not None
    with bare:
        assert scores() == dead
    with torch.no_grad():
        for name, parameter in trainable.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.01)
    assert scores() != dead
    assert without_adapter(LocalModel(loaded)) is None


def tampered(**change: Any) -> Guard:
    """What the guards of predictions say of one that was changed."""
    tests = [row("a", "text")]
    right = Prediction("base+zero_shot", "a", "a", "x", "x", "x", {"accuracy": 1.0}, (), 1, 1)
    rows = [right, replace(right, arm="lora+zero_shot", **change)]
    accuracy = MetricChoice.model_validate("accuracy")
    found = check_predictions(tests, rows, arms=[BASE, LORA], metrics=[accuracy])
    return next(each for each in found if each.status == "failed")


def cut_in(tuned: str, prompt: str) -> Guard:
    """What the guard of cut inputs says of two rows, some of them cut in each arm."""
    right = Prediction("", "", "a", "x", "x", "x", {"accuracy": 1.0}, (), 1, 1)
    rows = {
        arm: [replace(right, arm=arm, id=name, flags=("input_cut",) if name in cut else ()) for name in "ab"]
        for arm, cut in (("lora", tuned.split()), ("base", prompt.split()))
    }
    return inputs_cut_alike(rows, tuned="lora", prompts=["base"])


@pytest.mark.parametrize(
    ("tuned", "prompt", "status", "detail"),
    [
        ("", "", "passed", "no input was cut"),
        ("a", "", "passed", "inputs cut, of 2: lora 1, base 0"),
        ("a b", "a b", "passed", "inputs cut, of 2: lora 2, base 2"),
        ("a", "b", "failed", "inputs cut, of 2: lora 1, base 1; no row was read alike by lora and base"),
    ],
)
def test_arms_that_read_no_row_alike_cannot_be_compared(tuned: str, prompt: str, status: str, detail: str) -> None:
    assert cut_in(tuned, prompt) == Guard("inputs_cut_alike", status, detail)  # type: ignore[arg-type]


ROW = row("r", "text")
SHOWN = Demonstrating(label="f", demonstrations=[Demonstration.of(row("t2", "another"))])
ASKED = Question(ROW, [], ("x", "y"), [1], [[5, 2], [6, 2]], False)
PLANTED: dict[str, Callable[[], Guard]] = {
    "adapter_changes_logits": lambda: adapter_changes_logits(
        [BASE, LORA], {BASE.name: scored(-1.0), LORA.name: scored(-1.0)}
    ),
    "no_test_row_in_train": lambda: no_test_row_in_train([row("a", "one")], [row("b", "One")]),
    "arms_frozen_before_test": lambda: arms_frozen_before_test("a", now="a", answered_beside={BASE.name: "b"}),
    "demonstrations_from_train": lambda: demonstrations_from_train([replace(BASE, prompter=SHOWN)], [row("t2", "two")]),
    "scored_ids_are_trained_ids": lambda: scored_ids_are_trained_ids(
        [ASKED], [replace(ASKED, choices=("x",), choices_ids=[[7, 2]])]
    ),
    "one_answer_per_row": lambda: tampered(id="b"),
    "references_agree": lambda: tampered(reference="y", parsed="y"),
    "scores_reproduced": lambda: tampered(scores={"accuracy": 0.0}),
    "inputs_cut_alike": lambda: cut_in("a b", ""),
}


def test_every_guard_of_a_run_has_a_planted_fault_that_it_catches(ran: SetUp) -> None:
    (verdict,) = (ran.folder / "runs").glob("small/compare-*/verdict.json")
    assert {each["name"] for each in read_json(verdict)["guards"]} == PLANTED.keys()
    found = {name: plant() for name, plant in PLANTED.items()}
    assert {name: (each.name, each.status) for name, each in found.items()} == {
        name: (name, "failed") for name in PLANTED
    }
