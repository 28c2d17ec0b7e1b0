"""The one place where rows become questions: every prompt strategy, every policy, with and without a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import CHATML, byte_level

from ftkit.answers.asking import Asker, ask_all, learnable, mean_loss
from ftkit.answers.prompt import Prompter, Skipped, shown_turns
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

    def render(self, messages: Sequence[Message], target: str | None = None, tools: str | None = None) -> Rendered:
        self.num_renders += 1
        return super().render(messages, target, tools)


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


SYSTEM: Message = {"role": "system", "content": "Be short."}


def chat(name: str, *contents: str, system: str | None = "Be short.", tools: str | None = None) -> Example:
    """A conversation whose turns are the user's and the assistant's in turn; the last one is the target."""
    history: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    history += [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents[:-2])]
    return Example(name, contents[-2], contents[-1], name, tuple(history), tools=tools)


def few_shot(train: Sequence[Example], k: int) -> Prompter:
    (prompter,) = fit(FewShot(k=[k]), GENERATE, train, 7)
    assert isinstance(prompter, Prompter), prompter
    return prompter.named("few_shot", {}, "")


def test_a_system_turn_that_all_rows_share_stands_once_before_the_demonstrations() -> None:
    prompter = few_shot([chat("t1", "red", "warm"), chat("t2", "blue", "cold")], 2)
    turns = [(turn["role"], turn["content"]) for turn in prompter.messages(chat("R1", "green", "?"))]
    assert turns[0] == ("system", "Be short.") and turns[5:] == [("user", "green")]
    assert sorted([turns[1:3], turns[3:5]]) == [
        [("user", "blue"), ("assistant", "cold")],
        [("user", "red"), ("assistant", "warm")],
    ]


def test_a_demonstration_with_a_history_is_a_whole_conversation() -> None:
    prompter = few_shot([chat("t1", "Hi", "Hello", "red?", "warm", system=None)], 1)
    asked_of = chat("R1", "Hey", "Yes?", "blue?", "cold", system=None)
    assert [turn["content"] for turn in prompter.messages(asked_of)] == [
        *("Hi", "Hello", "red?", "warm"),
        *("Hey", "Yes?", "blue?"),
    ]
    (skipped,) = fit(FewShot(k=[2]), GENERATE, [chat("t1", "a", "b")], 7)
    assert isinstance(skipped, Skipped) and skipped.reason == "train has 1 rows that can be shown"


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ([chat(f"c{n}", "a", "b", system=f"You are {n}.") for n in range(9)], "9 have a system turn or tools of"),
        ([chat(f"c{n}", "a", "b", system=None, tools="[{}]") for n in range(9)], "9 have a system turn or tools of"),
        (
            [Example(f"c{n}", "a", "b", "g", ({"role": "assistant", "content": "Hi!"},)) for n in range(9)],
            "9 begin with an answer",
        ),
    ],
    ids=["systems", "tools", "greetings"],
)
def test_few_shot_is_skipped_where_train_has_too_few_rows_to_show_and_says_why(others: list[Example], why: str) -> None:
    kinds = fit(FewShot(k=[2, 4, 8]), CLASSIFY, [*TRAIN[:4], *others], 7)
    assert [each.label for each in kinds] == [f"few_shot(k={k}, balanced)" for k in (2, 4, 8)]
    assert [len(each.train_rows) for each in kinds if isinstance(each, Prompter)] == [2, 4]
    (skipped,) = (each for each in kinds if isinstance(each, Skipped))
    assert skipped.reason.startswith(f"train has 4 rows that can be shown: {why}")


KINDS_OF_ROWS = {
    "one turn": lambda n: chat(f"t{n}", f"text {n}", LABELS[n % 5], system=None),
    "a shared system turn": lambda n: chat(f"t{n}", f"text {n}", LABELS[n % 5]),
    "systems of their own": lambda n: chat(f"t{n}", f"text {n}", LABELS[n % 5], system=f"You are {n}."),
    "histories": lambda n: chat(f"t{n}", "Hi", f"Hello {n}", f"text {n}", LABELS[n % 5]),
    "some histories": lambda n: chat(f"t{n}", *(("Hi", "Hello") * (n % 3)), f"text {n}", LABELS[n % 5], system=None),
    "tools": lambda n: chat(f"t{n}", f"text {n}", LABELS[n % 5], tools='[{"name": "look"}]'),
    "no input": lambda n: chat(f"t{n}", "", LABELS[n % 5], system=None),
}


@pytest.mark.parametrize("kind", KINDS_OF_ROWS)
@pytest.mark.parametrize("name", names("prompting"))
def test_a_prompt_of_any_strategy_shows_what_its_label_says_or_is_skipped(name: str, kind: str) -> None:
    rows = [KINDS_OF_ROWS[kind](n) for n in range(20)]
    train, new = rows[:-1], rows[-1]
    component = find("prompting", name)
    for made in component.function(component.config_type(), CLASSIFY, train, 7):
        if isinstance(made, Skipped):
            assert kind == "systems of their own" and made.reason.endswith(
                "19 have a system turn or tools of their own"
            )
            continue
        turns = made.messages(new)
        assert [turn["role"] for turn in turns[:-1]].count("system") == (turns[0]["role"] == "system")
        said = [turn["role"] for turn in turns if turn["role"] != "system"]
        assert said == ["user", "assistant"] * (len(said) // 2) + ["user"]
        by_id = {row.id: row for row in train}
        shown = [turn for row_id in made.train_rows for turn in shown_turns(by_id[row_id])]
        assert [turn for turn in turns if turn["role"] != "system"][: len(shown)] == shown
        assert made.label == name or f"k={len(made.train_rows)}" in made.label


# --- tools ---------------------------------------------------------------------------------------


WITH_TOOLS = "{% for tool in tools or [] %}<{{ tool.function.name }}>{% endfor %}" + CHATML
LOOK = '{"type": "function", "function": {"name": "look"}}'


@pytest.mark.parametrize(("tools", "shown"), [(f"[{LOOK}, {LOOK}]", "<look><look>"), (LOOK, "<look>"), (None, "")])
def test_the_tools_of_a_row_reach_the_chat_template_however_it_is_asked(tools: str | None, shown: str) -> None:
    tokenizer = byte_level()
    tokenizer.chat_template = WITH_TOOLS
    knowing = Tokenizing(Renderer(tokenizer), 4_000)
    example = row("Where?", "refund", tools=tools)
    askers = [Asker.of_task(knowing, BARE, each) for each in (CLASSIFY, GENERATE)]
    askers += [Asker.of_targets(knowing, BARE), Asker.of_free_text(knowing, BARE)]
    without = tokenizer.decode(askers[0].ask(row("Where?")).context_ids)
    assert [tokenizer.decode(each.ask(example).context_ids) for each in askers] == [shown + without] * 4
