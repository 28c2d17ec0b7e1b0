"""Guards: what they must catch, what they must not take for a fault, and where they do not apply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ftkit.answers.prompt import Arm, Prompter
from ftkit.answers.prompting.few_shot import Demonstrating, Demonstration
from ftkit.engine.answerer import Question
from ftkit.errors import DataError
from ftkit.records import Example, Guard, Message
from ftkit.run.fitting import require_no_leak
from ftkit.run.guards import (
    adapter_changes_logits,
    demonstrations_from_train,
    no_test_row_in_train,
    scored_ids_are_trained_ids,
)

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


@pytest.mark.parametrize(
    ("scores", "status", "detail"),
    [
        ([[-1.0, -2.0], [-1.0, -2.5]], "passed", "2 probe scores differ"),
        ([[-1.0, -2.0], [-1.0, -2.0]], "failed", "lora: scores equal the base model's"),
        ([None, [-1.0]], "not_applicable", "needs log-probabilities, which base cannot give"),
        ([[-1.0], None], "not_applicable", "needs log-probabilities, which lora cannot give"),
        ([[], []], "not_applicable", "no valid row fits the context with its target: nothing to compare"),
    ],
)
def test_an_adapter_has_to_change_the_scores_of_its_base(
    scores: list[list[float] | None], status: str, detail: str
) -> None:
    guard = adapter_changes_logits([BASE, LORA], dict(zip((BASE.name, LORA.name), scores, strict=True)))
    assert guard == Guard("adapter_changes_logits", status, detail)  # type: ignore[arg-type]


def test_an_adapter_on_a_quantised_base_is_held_against_that_base() -> None:
    scores: dict[str, list[float] | None] = {BASE.name: [-1.0], BASE_NF4.name: [-1.2], QLORA.name: [-1.2]}
    guard = adapter_changes_logits([BASE, BASE_NF4, QLORA], scores)
    assert (guard.status, guard.detail) == ("failed", "qlora: scores equal the base model's")


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
