"""A relative path of a recipe: where the command is run, or else beside the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import ftkit
from small_runs import RECIPE, SetUp

from ftkit.contracts import Context
from ftkit.recipe.schema import load_data_recipe, load_recipe
from ftkit.run.graph import preparing
from ftkit.run.stages.prepare import PrepareConfig, input_ids
from ftkit.store import read_json

ROWS = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'
DATA_ONLY = "name: few\ntask: generate\ndata: {source: {jsonl: {path: %s, input: text, target: label}}}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, with another one in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "there").mkdir()


def file(place: str, text: str = ROWS) -> Path:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text(text, encoding="utf-8")
    return Path(place)


@pytest.mark.parametrize("path", ["rows.jsonl", "data", "data/*.jsonl", "**/*.jsonl", "data/[rows].jsonl"])
def test_files_folders_and_patterns_are_found_beside_the_recipe(path: str) -> None:
    file("there/rows.jsonl"), file("there/data/more.jsonl"), file("there/data/[rows].jsonl")
    done = ftkit("check", "--fast", file("there/recipe.yaml", DATA_ONLY % f"'{path}'"))
    assert (done.code, done.err) == (0, "")


def test_what_is_where_the_command_is_run_comes_first() -> None:
    file("rows.jsonl"), file("there/rows.jsonl", "no JSON\n")
    assert ftkit("check", "--fast", file("there/recipe.yaml", DATA_ONLY % "rows.jsonl")).code == 0


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("nix.jsonl", 3, "nix.jsonl: no such file, nor beside the recipe: there/nix.jsonl (path of the source in the"),
        ("nix/*.jsonl", 3, "the folder nix does not exist, nor beside the recipe: there/nix/*.jsonl (path of"),
        ("there/x*.jsonl", 3, "no file has a name like this, nor beside the recipe: there/there/x*.jsonl (path"),
        ("/nix.jsonl", 3, "/nix.jsonl: no such file (path of the source in the recipe)"),
    ],
)
def test_an_error_says_both_places(path: str, code: int, message: str) -> None:
    done = ftkit("check", "--fast", file("there/recipe.yaml", DATA_ONLY % f"'{path}'"))
    assert done.code == code and message in done.err


def test_where_the_recipe_lies_where_the_command_is_run_there_is_one_place() -> None:
    done = ftkit("check", "--fast", file("recipe.yaml", DATA_ONLY % "nix.jsonl"))
    assert "nix.jsonl: no such file (path of the source in the recipe)" in done.err


def test_models_of_recipe_and_of_steps_are_looked_for_in_both_places() -> None:
    file("there/rows.jsonl")
    done = ftkit("check", "--fast", file("there/recipe.yaml", DATA_ONLY % "rows.jsonl" + "model: {path: base}\n"))
    assert done.code == 4 and "model.path: base: no such folder, nor beside the recipe: there/base; give" in done.err
    step = "data.clean=[{semantic_dedup: {model: vectors}}]"
    done = ftkit("prepare", file("there/few.yaml", DATA_ONLY % "rows.jsonl"), "--set", step)
    assert done.code == 4 and "vectors: no such folder, nor beside the recipe: there/vectors; give" in done.err


def test_the_key_of_prepare_is_the_same_for_the_same_rows_in_either_place() -> None:
    recipe, keys = file("there/recipe.yaml", DATA_ONLY % "rows.jsonl"), set()
    for place in ("rows.jsonl", "there/rows.jsonl"):
        rows = file(place)
        loaded = load_data_recipe(recipe)
        config = PrepareConfig.of(loaded)
        keys.add(preparing(loaded).key(input_ids(config, loaded.around(Context()))))
        rows.unlink()
    assert len(keys) == 1


def test_a_run_whose_base_lay_beside_the_recipe_answers_without_the_recipe(made: SetUp) -> None:
    shutil.copytree(made.folder / "base", "there/base")
    shutil.copy(made.folder / "rows.jsonl", "there")
    recipe = file("there/recipe.yaml", RECIPE)
    assert ftkit("run", recipe, "--set", "train.max_steps=1").code == 0
    assert read_json(Path("runs/small/recipe.resolved.json"))["model"]["path"] == "there/base"
    assert load_recipe(recipe).model.path == "base"
    recipe.unlink()
    done = ftkit("predict", "runs/small", "there/rows.jsonl", "--arm", "lora+zero_shot")
    assert (done.code, len(done.out.splitlines())) == (0, 126)
