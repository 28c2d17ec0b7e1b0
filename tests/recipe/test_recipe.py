"""A recipe is strict: every mistake comes at once, with its place and the nearest name that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ftkit.errors import RecipeError
from ftkit.recipe.schema import Recipe, json_schema, load_data_recipe, load_recipe, parse_recipe
from ftkit.recipe.yaml_tree import parse

MINIMAL = """\
name: tickets
model: {path: data/tiny-base}
task: {classify: {labels: auto}}
data:
  source: {jsonl: {path: rows.jsonl, input: text, target: label}}
train:
  learning_rate: 2e-4
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, name="r.yaml", overrides=overrides)
    return list(caught.value.problems)


def test_every_recipe_of_the_repository_loads(root: Path) -> None:
    for path in sorted((root / "recipes").glob("*.yaml")):
        assert load_recipe(path).name == path.stem


def test_a_number_with_an_exponent_is_a_number() -> None:
    assert parse_recipe(MINIMAL, name="r.yaml").train.learning_rate == 0.0002


def test_a_typo_is_named_with_line_column_and_the_nearest_key() -> None:
    text = MINIMAL.replace("learning_rate", "learning_rat")
    assert problems(text) == ["r.yaml:7:3: train.learning_rat: unknown key; did you mean 'learning_rate'?"]


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = MINIMAL.replace("labels: auto", "lables: auto").replace("2e-4", "-1") + "seed: '17'\n"
    assert problems(text) == [
        "r.yaml:3:19: task.classify.lables: unknown key; did you mean 'labels'?",
        "r.yaml:7:3: train.learning_rate: input should be greater than 0, found -1",
        "r.yaml:8:1: seed: input should be a valid integer, found '17'",
    ]


@pytest.mark.parametrize(
    ("clean", "problem"),
    [
        ("[fix_txt]", "r.yaml:5:11: data.clean.0: unknown name 'fix_txt'; did you mean 'fix_text'?"),
        (
            "[{length: {max_wrds: 3}}]",
            "r.yaml:5:21: data.clean.0.length.max_wrds: unknown key; did you mean 'max_words'?",
        ),
        ("[true]", "r.yaml:5:11: data.clean.0: expected one name, or {name: {options}}; known: "),
    ],
)
def test_a_choice_is_a_name_or_a_name_with_options(clean: str, problem: str) -> None:
    (found,) = problems(MINIMAL.replace("  source:", f"  clean: {clean}\n  source:"))
    assert found.startswith(problem)


def test_a_missing_block_is_named() -> None:
    assert problems("name: tickets\nmodel: {path: x}\ntask: generate\n") == ["r.yaml:1:1: data: is missing"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1\nseed: 2\n", "r.yaml:2:1: seed: the key stands twice (first at r.yaml:1:1)"),
        ("a: &x 1\nb: *x\n", "r.yaml:1:4: aliases (*name) are not allowed in a recipe; write the value out"),
        ("a: {<<: {b: 1}}\n", "r.yaml:1:5: merge keys (<<) are not allowed in a recipe; write the keys out"),
        ("a: !!python/name:os.system\n", "not allowed in a recipe"),
        ("a: [1, 2\n", "not valid YAML"),
        ("[" * 500 + "]" * 500, "nested more than 40 deep"),
    ],
)
def test_a_trap_of_yaml_is_an_error_with_its_place(text: str, problem: str) -> None:
    assert problem in problems(text)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1e-4", 1e-4),
        ("2024-01-02", "2024-01-02"),
        ("1:30", "1:30"),
        ("017", 17),
        ("'1'", "1"),
        ("~", None),
        ("true", True),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".5", 0.5),
        (".inf", ".inf"),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    found = parse(f"a: {text}", "r.yaml").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_an_override_goes_through_the_same_schema() -> None:
    recipe = parse_recipe(MINIMAL, name="r.yaml", overrides=["train.learning_rate=1e-5", "train.method.lora.rank=4"])
    assert recipe.train.learning_rate == 1e-5
    assert recipe.train.method[0].options.model_dump()["rank"] == 4
    assert problems(MINIMAL, "train.epoch=2") == ["--set: train.epoch: unknown key; did you mean 'epochs'?"]
    assert problems(MINIMAL, "train.epochs=two") == ["--set: train.epochs: input should be a valid number, found 'two'"]


def test_one_method_and_a_list_of_one_are_the_same() -> None:
    one = parse_recipe(MINIMAL + "  method: lora\n", name="r.yaml")
    many = parse_recipe(MINIMAL + "  method: [lora]\n", name="r.yaml")
    assert one.resolved() == many.resolved()


def test_the_primary_metric_must_be_measured() -> None:
    text = MINIMAL + "evaluate: {metrics: [accuracy]}\ncompare: {primary: acuracy}\n"
    assert problems(text) == [
        "r.yaml:9:11: compare.primary: 'acuracy' is not among evaluate.metrics; did you mean 'accuracy'?"
    ]


def test_an_instruction_knows_only_the_labels() -> None:
    text = MINIMAL + 'baseline: {instructions: ["Say {label}."]}\n'
    assert "unknown placeholder {label}; only {labels} is known" in problems(text)[0]


def test_a_resolved_recipe_loads_again_as_itself() -> None:
    recipe = parse_recipe(MINIMAL, name="r.yaml")
    assert Recipe.model_validate(recipe.resolved()).resolved() == recipe.resolved()


def test_the_schema_for_editors_knows_every_component() -> None:
    text = str(json_schema())
    for name in ("jsonl", "near_dedup", "few_shot", "last_number", "qlora", "macro_f1"):
        assert f"'{name}'" in text


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError):
        parse_recipe(MINIMAL, name="r.yaml").seed = 3  # type: ignore[misc]


ROWS_ONLY = """\
name: tickets
task: classify
data:
  source: {jsonl: {path: rows.jsonl, input: text, target: label}}
"""


def test_a_recipe_of_rows_alone_gets_the_defaults_of_its_task(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(ROWS_ONLY, encoding="utf-8")
    steps = [step.name for step in load_data_recipe(path).data.clean]
    assert steps == ["fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts"]
    path.write_text(ROWS_ONLY.replace("classify", "generate"), encoding="utf-8")
    assert [step.name for step in load_data_recipe(path).data.clean] == steps[:4]


def test_a_recipe_with_a_model_is_checked_as_a_whole_even_where_only_its_rows_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(MINIMAL.replace("learning_rate", "learning_rat"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"r\.yaml:7:3: train\.learning_rat: unknown key"):
        load_data_recipe(path)


def test_rows_are_the_same_for_prepare_alone_and_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(ROWS_ONLY, encoding="utf-8")
    alone = load_data_recipe(path, overrides=["data.limit.train=9"])
    path.write_text(ROWS_ONLY + "model: {path: base}\n", encoding="utf-8")
    whole = load_recipe(path, overrides=["data.limit.train=9"])
    assert (alone.task, alone.data, alone.seed) == (whole.task, whole.data, whole.seed)
    assert alone.data.limit.train == 9


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            "[{jsonl: {path: a, share: 1}}, {jsonl: {path: b}}]",
            "share: give one to each of several sources, or to none",
        ),
        ("{jsonl: {path: a, share: 1}}", "share: give one to each of several sources, or to none"),
        ("[]", "data.source: value should have at least 1 item"),
        ("{jsonl: {path: a, input: x, shape: alpaca}}", "so the rows have no other shape: give either"),
        ('{jsonl: {path: a, input: "{x!r}"}}', "a template takes plain names"),
        ("{jsonl: {path: a, shape: alpca}}", "did you mean 'alpaca'?"),
        ("{csv: {path: a, encoding: utf9}}", "utf9"),
    ],
)
def test_a_source_that_says_two_things_or_none_is_refused(data: str, problem: str) -> None:
    text = MINIMAL.replace("{jsonl: {path: rows.jsonl, input: text, target: label}}", data)
    (found,) = problems(text)
    assert found.startswith("r.yaml:5:")
    assert problem in found


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ("{valid: 0.6, test: 0.4}", "valid and test are 1 together: nothing is left for train"),
        ("{valid: 0}", "data.split.valid: input should be greater than 0"),
        ("{by: {kfold: {folds: 3, fold: 4}}}", "fold 4 of 3: give one from 1 to 3"),
        ("{test_sha256: abc}", "data.split.test_sha256"),
        ("{test: {jsnol: {path: a}}}", "did you mean 'jsonl'?"),
    ],
)
def test_a_split_that_cannot_be_is_refused(split: str, problem: str) -> None:
    (found,) = problems(MINIMAL.replace("train:\n", f"  split: {split}\ntrain:\n"))
    assert found.startswith("r.yaml:")
    assert problem in found
