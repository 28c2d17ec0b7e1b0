"""What Python hands over and gets back: recipes, rows, results."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars
import pyarrow
import pytest
import yaml
from small_runs import SetUp, make_rows

import ftkit
from ftkit.errors import DataError, RecipeError
from ftkit.records import read_jsonl


@pytest.fixture
def place(ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run."""
    folder = shutil.copytree(ran.folder, tmp_path / "place")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def test_a_recipe_may_be_a_path_or_a_dict_and_its_run_is_the_same(place: Path) -> None:
    as_dict = yaml.safe_load(Path("recipe.yaml").read_text(encoding="utf-8"))
    found = [ftkit.run(recipe, runs_dir="runs", quiet=True) for recipe in ("recipe.yaml", Path("recipe.yaml"), as_dict)]
    assert len({str(result.artifacts["compare"].path) for result in found}) == 1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (17, "recipe: expected a Recipe, the path of one, or a dict, found int"),
        ({"name": "a", "model": {"path": object()}}, "recipe: a dict of plain values is expected: "),
        ({"name": "a", "nmae": "b"}, "nmae: unknown key; did you mean 'name'?"),
        ("none.yaml", "none.yaml: no such recipe"),
    ],
)
def test_what_is_no_recipe_is_an_error_in_words(recipe: Any, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        ftkit.run(recipe, quiet=True)
    assert message in str(error.value)


def test_until_and_overrides_that_are_none_are_errors_in_words(place: Path) -> None:
    with pytest.raises(RecipeError, match=r"until 'trian': no such stage; did you mean 'train'\?"):
        ftkit.run("recipe.yaml", until="trian")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="overrides: a recipe that is loaded already takes none"):
        ftkit.run(ftkit.load_recipe("recipe.yaml"), overrides=["seed=3"])


def test_progress_shows_unless_it_is_to_be_quiet(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ftkit.run("recipe.yaml", until="prepare", quiet=True)
    assert capsys.readouterr() == ("", "")
    ftkit.run("recipe.yaml", until="prepare")
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("prepare: reused, ")


def test_a_result_is_a_line_a_link_a_frame_and_metrics(place: Path) -> None:
    result = ftkit.run("recipe.yaml", quiet=True)
    assert result.verdict is not None
    assert repr(result) == f"<Result of runs/small: {result.verdict.sentence}>"
    assert f'<a href="{(place / result.report).as_uri()}">report</a>' in result._repr_html_()
    frame = result.frame()
    assert frame.columns[:4] == ["arm", "id", "group", "reference"] and "accuracy" in frame.columns
    assert set(frame["arm"]) == set(result.metrics.arms) == set(result.verdict.arms)
    for arm, rows in frame.group_by("arm"):
        assert rows["accuracy"].mean() == pytest.approx(result.metrics.arms[str(arm[0])]["accuracy"].value)


def test_a_result_of_a_run_that_ended_early_says_what_it_has_not(place: Path) -> None:
    result = ftkit.run("recipe.yaml", until="prepare", quiet=True)
    assert repr(result) == "<Result of runs/small: ended after prepare>"
    for part in (lambda: result.metrics, lambda: result.report, result.frame):
        with pytest.raises(RecipeError, match=r"runs/small: ended before (compare|evaluate); run it without `until`"):
            part()


@pytest.mark.parametrize("kind", ["dicts", "polars", "lazy", "pyarrow", "pandas", "datasets"])
def test_rows_of_any_library_become_the_same_splits(kind: str, place: Path) -> None:
    rows = [{"text": row["text"], "label": row["label"], "customer": row["customer"]} for row in make_rows()]
    frame = polars.DataFrame(rows)
    table = pyarrow.Table.from_pylist(rows)
    given: Any = {"dicts": rows, "polars": frame, "lazy": frame.lazy(), "pyarrow": table}.get(kind)
    if kind == "pandas":
        given = pytest.importorskip("pandas").DataFrame(rows)
    if kind == "datasets":
        given = pytest.importorskip("datasets").Dataset.from_list(rows)
    recipe = ftkit.load_recipe("recipe.yaml", overrides=["data.source={jsonl: {path: x, input: text, target: label}}"])
    result = ftkit.prepare_rows(recipe, given, runs_dir="others", quiet=True)
    inputs = [row["input"] for row in read_jsonl(result.artifacts["prepare"].path / "test.jsonl")]
    assert len(inputs) == 36 and set(inputs) <= {row["text"] for row in rows}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "rows.jsonl",
            "rows: expected dicts, a datasets.Dataset, .* table, found str; a file",
        ),
        ({"input": "a"}, "rows: expected dicts, .* found one dict; put rows in a list"),
        (3, "rows: expected dicts, .* found int"),
        (["a"], r"rows\[0\]: is a str; expected a dict"),
    ],
)
def test_what_are_no_rows_is_an_error_in_words(rows: Any, message: str, place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        ftkit.prepare_rows(ftkit.load_recipe("recipe.yaml"), rows, runs_dir=tmp_path / "runs", quiet=True)
    with pytest.raises(DataError, match=message):
        ftkit.Trainer("base", "lora", rows, output_dir=tmp_path / "out")


def test_several_splits_are_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    both = datasets.DatasetDict({name: datasets.Dataset.from_list([{"input": "a"}]) for name in ("train", "test")})
    with pytest.raises(DataError, match=r"rows: has the splits train, test; give one of them, as data\['train'\]"):
        ftkit.Trainer("base", "lora", both, output_dir=tmp_path / "out")
