"""Values that no recipe may hold: each is refused with its key, before anything is read or made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutations import RECIPE
from recipe_fields import fields_of

from ftkit.errors import RecipeError
from ftkit.recipe.schema import Recipe, load_recipe


def refusal(tmp_path: Path, *overrides: str) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(RECIPE), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_recipe(path, overrides=overrides)
    return str(raised.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "baseline.instructions=['One of {labels:d}.']",
            "baseline.instructions: 'One of {labels:d}.': {labels} takes no format",
        ),
        ("baseline.instructions=['{labels!r}']", "{labels} takes no format; write {labels}"),
        ("train.wording={instruction: {text: '{labels:>9}'}}", "{labels} takes no format"),
        (
            "train.method={lora: {rank: 100000000000000000000000000000}}",
            "--set train.method:1:15: lora.rank: 100000000000000000000000000000 is too large",
        ),
        ("train.method={lora: {rank: 1000000}}", "rank: input should be less than or equal to 16384"),
        ("train.learning_rate=1e300", "--set train.learning_rate:1:1: 1e300 is too large"),
        ("train.learning_rate=1e6", "train.learning_rate: input should be less than or equal to 1000"),
        ("machine.micro_batch=0", "machine.micro_batch: input should be greater than or equal to 1"),
        ("machine.micro_batch=-3", "machine.micro_batch: input should be greater than or equal to 1"),
        ("machine.threads=10000000", "machine.threads: input should be less than or equal to 1024"),
        ("evaluate.metrics=[accuracy, accuracy]", "evaluate.metrics: accuracy stands twice"),
        ("a.²=x", "--set a.²: a: unknown key"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_key(override: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, override)


@pytest.mark.parametrize("key", sorted(fields_of(Recipe)))
@pytest.mark.parametrize("value", ["1000000000000000000000000000000", "-1e300"])
def test_no_field_takes_a_number_beyond_all_use(key: str, value: str, tmp_path: Path) -> None:
    assert key.split(".")[0] in refusal(tmp_path, f"{key}={value}")
