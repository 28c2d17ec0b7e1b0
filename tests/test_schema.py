"""JSON Schemas: of recipes, for editors, and of what a run writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit
from jsonschema import Draft202012Validator
from small_runs import SetUp

from ftkit.errors import RecipeError
from ftkit.recipe.schema import json_schema, load_data_recipe
from ftkit.recipe.yaml_tree import parse
from ftkit.run.artifacts import RECORDS


def allows(schema: dict[str, Any], value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def values_of(recipe: str) -> Any:
    """A recipe's values as editors read them, by YAML 1.2: 1e-4 is a number."""
    return parse(recipe, "recipe.yaml").value


@pytest.fixture(scope="module")
def recipe_schema() -> dict[str, Any]:
    return json_schema()


def test_the_schema_takes_the_recipes_and_refuses_a_typo(root: Path, recipe_schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(recipe_schema)
    for path in sorted((root / "recipes").glob("*.yaml")):
        recipe = values_of(path.read_text(encoding="utf-8"))
        assert allows(recipe_schema, recipe), path
        for train in ({"method": "lora"}, {"method": [{"lora": {"rank": 4}}, "full"]}):
            assert allows(recipe_schema, {**recipe, "task": "classify", "train": train})
        assert not allows(recipe_schema, {**recipe, "trian": {}})
        assert not allows(recipe_schema, {**recipe, "train": {"method": "loora"}})
        assert not allows(recipe_schema, {**recipe, "seed": "17"})


ROWS_ALONE = {"name": "rows", "task": "generate", "data": {"source": {"jsonl": {"path": "rows.jsonl"}}}}


@pytest.mark.parametrize(
    ("blocks", "is_valid"),
    [
        ({}, True),
        ({"machine": {"threads": 2}}, True),
        ({"model": {"path": "base"}}, True),
        ({"model": {"path": "base"}, "train": {"epochs": 1}}, True),
        ({"train": {"epochs": 1}}, False),
        ({"baseline": {"prompts": ["zero_shot"]}}, False),
        ({"evaluate": {"metrics": ["accuracy"]}}, False),
        ({"compare": {"margin": 0.01}}, False),
        ({"data": {}}, False),
    ],
)
def test_the_schema_takes_a_recipe_about_rows_alone_as_prepare_does(
    blocks: dict[str, Any], is_valid: bool, recipe_schema: dict[str, Any], tmp_path: Path
) -> None:
    recipe = {**ROWS_ALONE, **blocks}
    assert allows(recipe_schema, recipe) is is_valid
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    with nullcontext() if is_valid else pytest.raises(RecipeError):
        load_data_recipe(tmp_path / "recipe.yaml")


def test_the_schema_takes_the_recipes_of_the_readme(root: Path, recipe_schema: dict[str, Any]) -> None:
    recipes = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(recipes) == 2
    assert [allows(recipe_schema, values_of(recipe)) for recipe in recipes] == [True, True]


def test_every_recipe_names_the_schema_beside_it_which_is_that_of_the_code(root: Path) -> None:
    written = json.loads((root / "recipes" / "recipe.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(), "write it anew: ftkit schema > recipes/recipe.schema.json"
    for path in sorted((root / "recipes").glob("*.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == "# yaml-language-server: $schema=recipe.schema.json", path


WRITTEN_BY = {
    "verdict": "compare",
    "metrics": "compare",
    "summary": "prepare",
    "training": "train-lora",
    "candidates": "baseline",
}


@pytest.mark.parametrize("of", sorted(RECORDS))
def test_the_schema_of_a_file_takes_what_a_run_wrote_and_no_other_key(ran: SetUp, of: str) -> None:
    schema = json.loads(ftkit("schema", "--of", of).out)
    (path,) = (ran.folder / "runs" / "small").glob(f"{WRITTEN_BY[of]}-*/{of}.json*")
    text = path.read_text(encoding="utf-8")
    written = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)
    assert allows(schema, written)
    assert not allows(schema, {**written, "other": 1})
    for name in schema["required"]:
        assert not allows(schema, {key: value for key, value in written.items() if key != name}), name


def properties_of(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every property that stands anywhere in a schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from properties_of(part)


@pytest.mark.parametrize("of", ["recipe", *sorted(RECORDS)])
def test_every_key_of_a_schema_is_described(of: str) -> None:
    keys = list(properties_of(json.loads(ftkit("schema", "--of", of).out)))
    assert len(keys) > 10
    assert [name for name, key in keys if not key.get("description")] == []


def test_what_has_no_schema_is_refused() -> None:
    done = ftkit("schema", "--of", "verdct")
    assert (done.code, done.err) == (2, "error: --of verdct: has no schema; did you mean 'verdict'?\n")
