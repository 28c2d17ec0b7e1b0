"""The search for a prompt: what is tried within its budget, what is left out, and what it says of each."""

from __future__ import annotations

from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.search import prompts_of
from ftkit.contracts import TaskSpec
from ftkit.recipe.schema import Search
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
