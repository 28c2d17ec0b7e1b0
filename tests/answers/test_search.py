"""The search for a prompt: what is tried within its budget, what is left out, and what it says of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftkit.answers.linear import fit_linear
from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.search import Judging, find_best, prompts_of
from ftkit.contracts import Context, TaskSpec
from ftkit.recipe.schema import MetricChoice, Search
from ftkit.records import Example

LABELS = ("login", "refund")
CLASSIFY = TaskSpec("classify", LABELS, 0, lambda text: text)
TRAIN = [Example(f"t{place}", f"text {place}", LABELS[place % 2], f"g{place}") for place in range(6)]


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
    judging = Judging(search, MetricChoice.model_validate("accuracy"), CLASSIFY, TRAIN)
    tried = find_best(prompts_of(search, CLASSIFY, TRAIN, seed=1), judging, answerer, tmp_path / "tried", Context())
    assert [each.status for each in tried.candidates] == statuses
