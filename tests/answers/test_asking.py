"""The one place where rows become questions: every prompt strategy, every policy, with and without a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import byte_level

from ftkit.answers.asking import Asker, ask_all, learnable, mean_loss
from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.prompting.few_shot import FewShot, fit
from ftkit.contracts import Context, Quiet, TaskSpec, TooLong
from ftkit.engine.answerer import ContinuationScore, Question, Tokenizing
from ftkit.engine.render import Rendered, Renderer
from ftkit.errors import DataError
from ftkit.records import Example, Message
from ftkit.registry import find, names

LABELS = ("refund", "refund status", "C++", "−5 °C", "返金")
CLASSIFY = TaskSpec("classify", LABELS, 0, lambda text: text)
GENERATE = TaskSpec("generate", (), 20, lambda text: text)
HISTORY: tuple[Message, ...] = (
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi"},
)
TRAIN = [Example(f"t{place}", f"text {place}", LABELS[place % 5], f"g{place}") for place in range(20)]
BARE = Prompter(label="zero_shot", family="zero_shot", instruction="Sort.")


def reader(context_length: int = 4_000) -> Tokenizing:
    return Tokenizing(Renderer(byte_level()), context_length)


def prompters() -> list[Prompter]:
    """Every strategy's prompts with its default options, under a wording."""
    made: list[Prompter] = []
    for name in names("prompting"):
        component = find("prompting", name)
        fitted = component.function(component.config_type(), CLASSIFY, TRAIN, 7)
        made += [each.named(name, {}, "Sort.") for each in fitted if isinstance(each, Prompter)]
    return made


def row(text: str, target: str = "refund", **more: object) -> Example:
    return Example(id="R1", input=text, target=target, group="g", **more)  # type: ignore[arg-type]


def asked(asker: Asker, example: Example, too_long: TooLong = "cut") -> Question:
    question = asker.fitted(example, too_long)
    assert question is not None
    return question


@pytest.mark.parametrize("prompter", prompters(), ids=lambda prompter: prompter.label)
@pytest.mark.parametrize("history", [(), HISTORY], ids=["one turn", "chat with a system turn"])
def test_what_is_asked_is_what_is_learned_under_every_prompt(prompter: Prompter, history: tuple[Message, ...]) -> None:
    for label in LABELS:
        example = row("Where is it?", label, history=history)
        asking = asked(Asker.of_task(reader(), prompter, CLASSIFY), example)
        learning = asked(Asker.of_targets(reader(), prompter), example)
        assert asking.context_ids == learning.context_ids
        assert [asking.choices_ids[LABELS.index(label)]] == learning.choices_ids


@settings(max_examples=25)
@given(
    text=st.text(max_size=700),
    context_length=st.integers(60, 1_200),
    too_long=st.sampled_from(get_args(TooLong)),
    prompter=st.sampled_from(prompters()),
    task=st.sampled_from([CLASSIFY, GENERATE]),
)
def test_a_question_fits_or_is_said_not_to_and_only_its_input_is_ever_cut(
    text: str, context_length: int, too_long: TooLong, prompter: Prompter, task: TaskSpec
) -> None:
    example = row(text)
    for asker in (
        Asker.of_task(reader(context_length), prompter, task),
        Asker.of_targets(reader(context_length), prompter),
    ):
        whole = asker.ask(example)
        try:
            question = asker.fitted(example, too_long)
        except DataError as error:
            assert str(error).startswith(f"R1: prompt {prompter.label} needs ")
            assert f"the model takes {context_length:,}. " in str(error)
            continue
        if question is None:
            assert too_long == "drop" and asker.needed(whole) > context_length
            continue
        assert asker.needed(question) <= context_length
        assert question.is_cut == (asker.needed(whole) > context_length)
        assert (question.choices_ids, question.example) == (whole.choices_ids, example)


def test_rows_are_counted_as_asked_cut_and_dropped() -> None:
    examples = [row("short"), row("long " * 100), row("short again")]
    asker = Asker.of_targets(reader(120), BARE)
    cut, dropped = (ask_all(asker, examples, Context(), description="", too_long=each) for each in ("cut", "drop"))
    assert (len(cut.questions), cut.num_cut, cut.num_dropped) == (3, 1, 0)
    assert (len(dropped.questions), dropped.num_cut, dropped.num_dropped) == (2, 0, 1)


def test_a_row_that_may_not_be_too_long_is_named_with_its_tokens() -> None:
    said = r"^R1: prompt zero_shot needs 423 tokens, 2 of them for the answer; the model takes 120\. Shorten the row"
    with pytest.raises(DataError, match=said):
        Asker.of_targets(reader(120), BARE).fitted(row("long " * 100, "x"), "error")


def test_a_valid_row_whose_target_never_fits_is_in_no_loss_and_said() -> None:
    said = Quiet()
    examples = [row("a", "b"), row("a", "long " * 100)]
    questions = learnable(reader(120), BARE, examples, Context(progress=said))
    assert [question.example.target for question in questions] == ["b"]
    assert said.said == ["valid: 1 targets do not fit the context and are in no loss"]


class Tallying(Renderer):
    """A renderer that knows how often it was asked."""

    num_renders = 0

    def render(self, messages: Sequence[Message], target: str | None = None) -> Rendered:
        self.num_renders += 1
        return super().render(messages, target)


def test_a_valid_row_that_fits_is_rendered_once_for_its_loss() -> None:
    renderer = Tallying(byte_level())
    examples = [row(f"text {place}", "refund") for place in range(5)]
    assert len(learnable(Tokenizing(renderer, 4_000), BARE, examples, Context())) == 5
    assert renderer.num_renders == 5


def test_a_row_that_fits_nowhere_is_said_to_be_long_by_its_history() -> None:
    chat = row("Where?", "x", history=(*HISTORY[:2], {"role": "assistant", "content": "long " * 100}))
    said = (
        r"^R1: prompt zero_shot needs \d+ tokens even with an empty input, 2 of them for the answer, "
        r"4\d\d of them for the 3 turns of the row's history; the model takes 120\. "
        r"Shorten the row's history or drop the row; else "
    )
    with pytest.raises(DataError, match=said):
        Asker.of_targets(reader(120), BARE).fitted(chat)


class Counting:
    """A reader without a tokenizer: it knows how many words a conversation has, or not even that."""

    renderer = None

    def __init__(self, context_length: int | None) -> None:
        self.context_length = context_length

    def count(self, messages: Sequence[Message]) -> int | None:
        return None if self.context_length is None else sum(len(turn["content"].split()) for turn in messages)


def test_without_a_tokenizer_messages_are_asked_and_cut_by_what_the_reader_counts() -> None:
    asker = Asker.of_task(Counting(30), BARE, GENERATE)
    question = asked(asker, row("one two three four five six seven eight nine ten eleven twelve"))
    assert (question.context_ids, question.choices_ids, question.is_cut) == ([], [], True)
    assert question.messages[-1]["content"].split()[:3] == ["Sort.", "one", "two"]
    assert asker.needed(question) == 30
    assert not asked(Asker.of_task(Counting(None), BARE, GENERATE), row("word " * 999)).is_cut


def test_without_a_tokenizer_what_is_read_is_not_said_to_be_for_the_answer() -> None:
    chat = row("one", history=({"role": "user", "content": "word " * 40}, {"role": "assistant", "content": "Hi"}))
    said = (
        "R1: prompt zero_shot needs 62 tokens even with an empty input, 20 of them for the answer, "  # 42 words and 20
        "41 of them for the 2 turns of the row's history; the model takes 30. "
    )
    with pytest.raises(DataError) as caught:
        Asker.of_task(Counting(30), BARE, GENERATE).fitted(chat)
    assert str(caught.value).startswith(said)


def test_the_mean_loss_is_over_tokens_and_needs_one() -> None:
    assert mean_loss([ContinuationScore(-4.0, 2), ContinuationScore(-2.0, 4)]) == 1.0
    with pytest.raises(DataError, match="no row has a target"):
        mean_loss([])


# --- a prompt is what its name says --------------------------------------------------------------


def test_few_shot_is_skipped_where_train_has_too_few_rows_to_show() -> None:
    chats = [row(f"text {place}", history=HISTORY) for place in range(9)]
    kinds = fit(FewShot(k=[2, 4, 8]), CLASSIFY, [*TRAIN[:4], *chats], 7)
    assert [each.label for each in kinds] == [f"few_shot(k={k}, balanced)" for k in (2, 4, 8)]
    assert [len(each.train_rows) for each in kinds if isinstance(each, Prompter)] == [2, 4]
    (skipped,) = (each for each in kinds if isinstance(each, Skipped))
    assert skipped.reason == "train has 4 rows that can be shown (without a history)"
