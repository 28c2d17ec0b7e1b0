"""The search for a prompt: what is tried within its budget, what is left out, and what it says of each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import byte_level

from ftkit.answers.answering import predict
from ftkit.answers.linear import fit_linear
from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.search import Candidate, Judging, find_best, kept, prompts_of, require_one, sized
from ftkit.contracts import Context, Quiet, TaskSpec
from ftkit.engine.answerer import Completion, ContinuationScore, Question, Sampling, Tokenizing
from ftkit.engine.render import Renderer
from ftkit.errors import DataError
from ftkit.recipe.schema import MetricChoice, Search
from ftkit.records import Example

LABELS = ("login", "refund")
CLASSIFY = TaskSpec("classify", LABELS, 0, lambda text: text)
GENERATE = TaskSpec("generate", (), 20, lambda text: text)
ACCURACY = MetricChoice.model_validate("accuracy")
TRAIN = [Example(f"t{place}", f"text {place}", LABELS[place % 2], f"g{place}") for place in range(6)]


RENDERER = Renderer(byte_level())


@dataclass(frozen=True)
class Undecided(Tokenizing):
    """An answerer with a tokenizer and no weights: every label is as likely, every text is empty."""

    def label_scores(
        self, questions: Sequence[Question], *, ctx: Context, description: str
    ) -> list[list[ContinuationScore]]:
        return [[ContinuationScore(-1.0, 1) for _ in question.choices] for question in questions]

    def complete(
        self, questions: Sequence[Question], sampling: Sampling, *, ctx: Context, description: str, tell: object = None
    ) -> list[Completion]:
        return [Completion("", 0, "end") for _ in questions]


def search_of(*prompts: object, **options: object) -> Search:
    return Search.model_validate({"instructions": ["Sort."], "prompts": list(prompts), **options})


def test_what_a_strategy_could_not_make_stands_in_its_place_with_its_family() -> None:
    prompts = prompts_of(search_of({"few_shot": {"k": [2, 9]}}, "zero_shot"), CLASSIFY, TRAIN, seed=1)
    assert [(type(each), each.family, each.label) for each in prompts if not isinstance(each, Prompter)] == [
        (Skipped, "few_shot", "few_shot(k=9, balanced)")
    ]
    assert [each.family for each in prompts] == ["few_shot", "few_shot", "zero_shot"]


@pytest.mark.parametrize(
    ("max_candidates", "statuses"),
    [(1, ["skipped", "scored", "over budget"]), (2, ["skipped", "scored", "scored"])],
)
def test_what_is_skipped_uses_up_none_of_the_budget(max_candidates: int, statuses: list[str], tmp_path: Path) -> None:
    search = search_of({"few_shot": {"k": 5_000}}, "zero_shot", {"few_shot": {"k": 2}}, max_candidates=max_candidates)
    answerer = fit_linear(TRAIN, seed=1)
    assert answerer is not None
    judging = Judging(search, ACCURACY, CLASSIFY, TRAIN)
    tried = find_best(prompts_of(search, CLASSIFY, TRAIN, seed=1), judging, answerer, tmp_path / "tried", Context())
    assert [each.status for each in tried.candidates] == statuses


def judged(family: str, value: float, label: str = "", tokens: float = 10.0) -> Candidate:
    """A candidate that came to a value on valid."""
    return Candidate(
        index=0,
        family=family,
        label=label or f"{family} {value}",
        instruction="Sort.",
        num_demonstrations=0,
        value=value,
        prompt_tokens_mean=tokens,
    )


def test_the_best_of_each_family_is_kept_and_the_best_on_valid_comes_first() -> None:
    tried = [judged("zero_shot", 0.6), judged("zero_shot", 0.65), judged("few_shot", 0.7), judged("few_shot", 0.4)]
    assert [each.label for each in kept(tried)] == ["few_shot 0.7", "zero_shot 0.65"]


def test_four_prompts_are_kept_and_zero_shot_is_always_among_them() -> None:
    tried = [judged(family, value) for family, value in zip("abcde", (0.9, 0.8, 0.7, 0.6, 0.5), strict=True)]
    assert [each.family for each in kept(tried)] == ["a", "b", "c", "d"]
    assert [each.family for each in kept([judged("zero_shot", 0.1), *tried])] == ["a", "b", "c", "zero_shot"]


def test_a_prompt_is_not_better_for_being_short_where_valid_cannot_tell() -> None:
    # the shorter of two equals wins as often as not
    pairs = [[judged("x", 0.5, f"a{n}", tokens=10), judged("x", 0.5, f"b{n}", tokens=90)] for n in range(200)]
    short = sum(kept(pair)[0].prompt_tokens_mean == 10 for pair in pairs)
    assert 80 < short < 120
    assert all(kept(pair) == kept(pair[::-1]) for pair in pairs)


@st.composite
def rows(draw: st.DrawFn) -> list[Example]:
    """Rows with inputs of any length, some of them behind a history of any length."""
    made = []
    for place in range(draw(st.integers(1, 5))):
        turns = draw(st.sampled_from([0, 0, 2]))
        history = [{"role": role, "content": "w " * draw(st.integers(1, 60))} for role in ("user", "assistant")]
        text = "late " * draw(st.integers(1, 60))
        made.append(Example(f"v{place}", text, LABELS[place % 2], f"v{place}", history=tuple(history[:turns])))  # type: ignore[arg-type]
    return made


@settings(max_examples=40)
@given(
    valid=rows(),
    context_length=st.integers(20, 300),
    k=st.sampled_from([[1], [2, 4], [4, 9]]),
    wordings=st.lists(st.sampled_from(["Sort.", "", "Which of {labels}? " * 4, "long " * 100]), min_size=1, max_size=3),
    max_candidates=st.integers(1, 5),
    task=st.sampled_from([CLASSIFY, GENERATE]),
)
def test_what_is_known_before_a_search_is_what_the_search_says(
    valid: list[Example], context_length: int, k: list[int], wordings: list[str], max_candidates: int, task: TaskSpec
) -> None:
    search = search_of({"few_shot": {"k": k}}, "zero_shot", instructions=wordings, max_candidates=max_candidates)
    prompts, answerer = prompts_of(search, task, TRAIN, seed=1), Undecided(RENDERER, context_length)
    before = sized(prompts, search, task, answerer, valid)
    said = Quiet()
    with tempfile.TemporaryDirectory() as folder:
        try:
            after = find_best(
                prompts, Judging(search, ACCURACY, task, valid), answerer, Path(folder, "tried"), Context(progress=said)
            ).candidates
        except DataError as error:
            with pytest.raises(DataError) as caught:
                require_one(before)
            assert str(caught.value) == str(error)
            return
    require_one(before)
    assert [(each.status, each.detail) for each in before] == [(each.status, each.detail) for each in after]
    unfit = [each.said for each in before if each.status in ("skipped", "does not fit")]
    assert [line for line in said.said if not line.startswith("best ")] == unfit
    for candidate in before:
        prompt = prompts[candidate.index]
        if candidate.status == "scored" and isinstance(prompt, Prompter):
            answered = predict("arm", answerer, prompt, task, valid, Context())
            num_cut = sum("input_cut" in each.flags for each in answered)
            assert candidate.detail == (f"{num_cut} of {len(valid)} inputs cut to fit" if num_cut else "")
