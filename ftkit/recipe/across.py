"""Mistakes between the keys of a recipe: each check names the keys it reads, and is made where none of them is wrong.

Knows the keys of the blocks; is given a recipe, or as much of one as is right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.recipe.places import Place
from ftkit.registry import Choice, names, suggest

if TYPE_CHECKING:
    from ftkit.recipe.schema import DataRecipe, Recipe
    from ftkit.recipe.train_block import WordingChoice


class AcrossError(ValueError):
    """Keys that do not go together; a line for each mistake, which begins with a key."""

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n".join(found))
        self.found = found


@dataclass(frozen=True)
class Check:
    """Finds mistakes between the keys that it `reads`."""

    reads: tuple[Place, ...]
    mistakes: Callable[..., Iterator[str]]

    def can_be_made(self, blocks: Collection[str], wrong: Collection[Place]) -> bool:
        """Whether these blocks have all that is read, and no place that is wrong is, holds or stands in such a key."""
        is_there = all(key[0] in blocks for key in self.reads)
        return is_there and not any(_touch(key, place) for key in self.reads for place in wrong)


def mistakes_across(recipe: DataRecipe, wrong: Collection[Place] = ()) -> list[str]:
    """What does not go together in a recipe, of which these places are `wrong` in themselves."""
    made = [check for check in CHECKS if check.can_be_made(type(recipe).model_fields, wrong)]
    return [line for check in made for line in check.mistakes(recipe)]


def _touch(one: Place, other: Place) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _one_model(recipe: Recipe) -> Iterator[str]:
    if (recipe.model.path is None) == (recipe.model.hub is None):
        yield "model: give either path or hub"
    elif recipe.model.revision is not None and recipe.model.hub is None:
        yield "model.revision: belongs to hub; a path has none"


def _split_has_what_it_needs(recipe: DataRecipe) -> Iterator[str]:
    split = recipe.data.split
    if split.by.name == "kfold" and isinstance(split.test, Choice):
        yield "data.split: by: kfold deals the test rows; leave out test, which names rows of its own"
    if split.by.name == "time" and split.time is None:
        yield "data.split: by: time needs to know when a row was made; name that column as split.time"


def _newest_is_known(recipe: DataRecipe) -> Iterator[str]:
    for place, step in enumerate(recipe.data.clean):
        if recipe.data.split.time is None and getattr(step.options, "keep", None) == "newest":
            needs = "needs to know when a row was made; name that column as data.split.time"
            yield f"data.clean.{place}: {step.name}: keep: newest {needs}"


def _some_rows_stay_for_train(recipe: DataRecipe) -> Iterator[str]:
    shares = [share for share in (recipe.data.split.valid, recipe.data.split.test) if isinstance(share, float)]
    if sum(shares) >= 1:
        yield f"data.split: valid and test are {sum(shares):g} together: nothing is left for train"


def _one_way_to_train_several(recipe: Recipe) -> Iterator[str]:
    if recipe.train.variants and len(recipe.train.method) > 1:
        yield "train.method: a list of methods and variants are two ways to train several; take one of them"


def _training_has_a_wording(recipe: Recipe) -> Iterator[str]:
    train = recipe.train
    variants = train.variants.values()
    wordings = [getattr(each, "wording", None) or train.wording for each in variants]
    is_searched = any(
        wording is not None and wording.name == "best_zero_shot" for wording in wordings or [train.wording]
    )
    if is_searched and not any(prompt.name == "zero_shot" for prompt in recipe.baseline.prompts):
        yield (
            "baseline.prompts: zero_shot must be among them, since training uses its wording; "
            "or give train.wording: {instruction: {text: …}}"
        )


def _labels_only_to_classify(recipe: Recipe) -> Iterator[str]:
    wordings: dict[str, WordingChoice | None] = {"train.wording": recipe.train.wording}
    wordings |= {
        f"train.variants.{label}": getattr(each, "wording", None) for label, each in recipe.train.variants.items()
    }
    texts = {key: getattr(each.options, "text", "") for key, each in wordings.items() if each is not None}
    texts["baseline.instructions"] = " ".join(recipe.baseline.instructions)
    for key, text in texts.items():
        if recipe.task.name == "generate" and "{labels}" in text:
            yield f"{key}: {{labels}} needs task: classify"


def _primary_is_measured(recipe: Recipe) -> Iterator[str]:
    primary = recipe.compare.primary
    measured = [metric.name for metric in recipe.evaluate.metrics] or names("metrics")
    is_open = not recipe.evaluate.metrics and not primary
    if not is_open and primary not in measured:
        yield f"compare.primary: {primary!r} is not among evaluate.metrics{suggest(primary, measured)}"


CHECKS = [
    Check((("model", "path"), ("model", "hub"), ("model", "revision")), _one_model),
    Check((("data", "split", "by"), ("data", "split", "test"), ("data", "split", "time")), _split_has_what_it_needs),
    Check((("data", "clean"), ("data", "split", "time")), _newest_is_known),
    Check((("data", "split", "valid"), ("data", "split", "test")), _some_rows_stay_for_train),
    Check((("train", "method"), ("train", "variants")), _one_way_to_train_several),
    Check((("train", "wording"), ("train", "variants"), ("baseline", "prompts")), _training_has_a_wording),
    Check(
        (("task",), ("train", "wording"), ("train", "variants"), ("baseline", "instructions")),
        _labels_only_to_classify,
    ),
    Check((("task",), ("evaluate", "metrics"), ("compare", "primary")), _primary_is_measured),
]
