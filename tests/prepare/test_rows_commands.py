"""The commands on rows alone: prepare makes them without a model, duplicates shows what gave way to what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import ftkit
from small_runs import SetUp, make_set_up

from ftkit.store import read_json

ROWS_ONLY = """\
name: rows-only
task: {classify: {labels: auto}}
data:
  source: {jsonl: {path: rows.jsonl, id: id, input: text, target: label}}
  split: {valid: 0.2, test: 0.3, group: customer}
"""


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    made = make_set_up(tmp_path_factory.mktemp("rows"))
    (made.folder / "rows-only.yaml").write_text(ROWS_ONLY, encoding="utf-8")
    return made


@pytest.fixture
def place(set_up: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the recipes as the current one; what a test makes goes to tmp_path."""
    monkeypatch.chdir(set_up.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return set_up.folder


def test_prepare_needs_no_model_and_prints_where_the_rows_are(place: Path, tmp_path: Path) -> None:
    done = ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path)
    assert done.code == 0, done.err
    (folder,) = tmp_path.glob("rows-only/prepare-*")
    assert done.out == f"rows: {folder}\nreport: {folder}/data.html\n"
    assert done.err.startswith("prepare: started\nsource: 126 rows read\nfix_text: 126 rows, ")
    counts = {name: len((folder / f"{name}.jsonl").read_bytes().splitlines()) for name in ("train", "valid", "test")}
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    came = f"  rows: {shown}; 3 labels; 8 dropped\n"
    assert done.err.endswith(f"prepare: done, {folder.name}\n{came}")
    again = ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path, "--json")
    assert again.err == f"prepare: reused, {folder.name}\n{came}"
    assert json.loads(again.out) == {"folder": str(folder), **read_json(folder / "summary.json")}
    assert json.loads(again.out)["rows"] == counts


def test_what_prepare_made_is_reused_by_a_run_of_the_same_recipe(place: Path, tmp_path: Path) -> None:
    done = ftkit("prepare", "recipe.yaml", "--runs-dir", tmp_path)
    assert done.code == 0, done.err
    ran = ftkit("run", "recipe.yaml", "--until", "prepare", "--runs-dir", tmp_path)
    (folder,) = tmp_path.glob("small/prepare-*")
    assert (ran.out, ran.err.splitlines()[0]) == (f"ended after prepare: {folder}\n", f"prepare: reused, {folder.name}")
    fresh = ftkit("prepare", "recipe.yaml", "--fresh", "--runs-dir", tmp_path)
    assert fresh.err.startswith("prepare: started\n")


def test_prepare_looks_at_no_model(place: Path, tmp_path: Path) -> None:
    args = ("recipe.yaml", "--set", "model.path=nowhere", "--runs-dir", tmp_path)
    assert ftkit("run", *args, "--until", "prepare").code == 4
    assert ftkit("prepare", *args).code == 0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("split:", "splt:", "rows-only.yaml:5:3: data.splt: unknown key; did you mean 'split'?"),
        ("jsonl:", "josnl:", "rows-only.yaml:4:12: data.source.josnl: unknown key; did you mean 'jsonl'?"),
        ("group:", "gruop:", "rows-only.yaml:5:34: data.split.gruop: unknown key; did you mean 'group'?"),
        ("task:", "tsak:", "rows-only.yaml:2:1: tsak: unknown key; did you mean 'task'?"),
    ],
)
def test_a_typo_in_a_recipe_of_rows_alone_is_named_with_its_place(
    before: str, after: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows-only.yaml").write_text(ROWS_ONLY.replace(before, after), encoding="utf-8")
    done = ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path / "runs")
    assert (done.code, done.out) == (2, "")
    assert f"error: {message}" in done.err.splitlines()
    assert not (tmp_path / "runs").exists()


def test_the_other_commands_say_that_a_recipe_of_rows_alone_has_no_model(place: Path) -> None:
    for command in ("run", "check"):
        done = ftkit(command, "rows-only.yaml")
        assert (done.code, done.err) == (2, "error: rows-only.yaml:1:1: model: is missing\n")


def test_duplicates_shows_pairs_side_by_side_with_what_differs_in_brackets(place: Path, tmp_path: Path) -> None:
    assert ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path).code == 0
    done = ftkit("duplicates", tmp_path / "rows-only", "--step", "exact_dedup")
    assert (done.code, done.err) == (0, "")
    halves = [tuple(half.strip() for half in line.split("│")) for line in done.out.splitlines() if "│" in line]
    assert ("card return money back [30!]", "card return money back [30]") in halves
    assert ("street door late track 13", "street door late track 13") in halves
    assert "\x1b" not in done.out


def test_duplicates_gives_the_pairs_of_the_ledger_as_json(place: Path, tmp_path: Path) -> None:
    assert ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path).code == 0
    done = ftkit("duplicates", tmp_path / "rows-only", "--json", "--step", "exact_dedup")
    texts = {row["id"]: row["text"] for row in map(json.loads, Path("rows.jsonl").read_text().splitlines())}
    found = json.loads(done.out)
    assert {(pair["id"], pair["kept_id"]) for pair in found} == {
        ("copy", "R000"),
        ("copy of another customer", "R000"),
        ("nearly equal", "R050"),
    }
    for pair in found:
        assert [pair[side]["input"] for side in ("row", "kept")] == [texts[pair["id"]], texts[pair["kept_id"]]]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--step", "length"), "no row was dropped or flagged for another one by length\n"),
        (("--min-score", "1.5"), "no row was dropped or flagged for another one with a similarity of 1.5 or more\n"),
        (("--step", "length", "--json"), "[]\n"),
    ],
)
def test_duplicates_says_that_there_is_no_pair(args: tuple[str, ...], said: str, place: Path, tmp_path: Path) -> None:
    assert ftkit("prepare", "rows-only.yaml", "--runs-dir", tmp_path).code == 0
    done = ftkit("duplicates", tmp_path / "rows-only", *args)
    assert (done.code, done.out, done.err) == (0, said, "")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("small", "--step", "near_dedpu"), 3, "no step 'near_dedpu' ran; did you mean 'near_dedup'?"),
        (("nix",), 2, "nix: not a run directory (no latest.json)"),
        (("small", "--limit", "0"), 2, "Invalid value for '--limit'"),
    ],
)
def test_duplicates_says_what_it_cannot_show(
    args: tuple[str, ...], code: int, message: str, place: Path, tmp_path: Path
) -> None:
    assert ftkit("prepare", "recipe.yaml", "--runs-dir", tmp_path).code == 0
    done = ftkit("duplicates", tmp_path / args[0], *args[1:])
    assert (done.code, done.out) == (code, "")
    assert message in done.err
