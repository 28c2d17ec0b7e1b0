"""`ftkit init`: from a file of rows to a recipe that holds."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit

from ftkit.recipe.schema import load_recipe
from ftkit.store import read_json

CASES = ("own_columns.csv", "chat_system.jsonl", "chat_thanks.jsonl", "alpaca.jsonl")
CASES += ("extract_json.jsonl", "plain_text.jsonl", "preference.jsonl")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, with a base to name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def lines_of(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_of(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rows_of(number: int, labels: list[str], column: str = "text", target: str = "label") -> list[dict[str, Any]]:
    return [{column: f"words of row {place}", target: labels[place % len(labels)]} for place in range(number)]


def of_customers(number: int, size: int) -> list[dict[str, Any]]:
    """Rows of which `size` are of one customer each."""
    return [{**row, "customer_id": place // size} for place, row in enumerate(rows_of(number, ["a", "b"]))]


FILES = {
    "columns.csv": (csv_of(rows_of(60, ["late", "lost"], "Message body", "Kind: of it")), "classify", "Kind: of it"),
    "words.csv": (csv_of(rows_of(60, ["no", "null", "1"])), "classify", "label"),
    "many.jsonl": (lines_of(rows_of(450, [f"label {place}" for place in range(150)])), "classify", "label"),
    "sums.jsonl": (lines_of([{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(50)]), "generate", ""),
    "truths.jsonl": (lines_of([{"text": f"a {n}", "label": n % 2} for n in range(50)]), "classify", "label"),
    "two.jsonl": (lines_of([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]), "generate", "label"),
    "日本.jsonl": (lines_of(rows_of(40, ["配送", "返金"], "本文", "分類")), "classify", "分類"),
    "plain.jsonl": (lines_of([{"text": f"a long text {n}"} for n in range(30)]), "generate", ""),
    "long.csv": (
        csv_of([{"article": "word " * 3000, "summary": f"so it is {n}"} for n in range(20)]),
        "generate",
        "summary",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_the_recipe_of_a_file_names_its_columns_and_its_task_and_passes_check(name: str, root: Path) -> None:
    text, task, target = FILES[name]
    Path(name).write_text(text, encoding="utf-8")
    done = ftkit("init", name, "--yes", "--out", "made.yaml", "--base", root / "data/tiny-base")
    assert done.code == 0, done.err
    assert done.out.endswith("next:\n  ftkit check made.yaml\n  ftkit run made.yaml\n")
    recipe = load_recipe("made.yaml")
    assert recipe.task.name == task
    assert (getattr(recipe.data.source[0].options, "target", None) or "") == target
    assert ftkit("check", "--fast", "made.yaml").code == 0


@pytest.mark.parametrize("name", CASES)
def test_the_recipe_of_a_file_of_others_passes_check(name: str, shared_cases: Path, root: Path) -> None:
    done = ftkit("init", shared_cases / name, "--yes", "--base", root / "data/tiny-base")
    assert done.code == 0, done.err
    assert all(len(line) <= 80 for line in done.out.replace(str(shared_cases), "cases").splitlines())
    assert ftkit("check", "--fast", f"{name.split('.')[0]}.yaml").code == 0


def test_rows_of_one_customer_stay_together_where_there_are_many_customers(root: Path) -> None:
    for name, size in (("some.csv", 3), ("few.csv", 50)):
        Path(name).write_text(csv_of(of_customers(150, size)), encoding="utf-8")
        assert ftkit("init", name, "--yes", "--base", root / "data/tiny-base").code == 0
    assert load_recipe("some.yaml").data.split.group == "customer_id"
    assert load_recipe("few.yaml").data.split.group is None  # three customers


def test_what_was_seen_is_said(root: Path) -> None:
    rows = [*of_customers(150, 3), {"text": "words of row 1", "label": "b", "customer_id": 7}]
    Path("rows.csv").write_text(csv_of([{**row, "created_at": "2026-01-01"} for row in rows]), encoding="utf-8")
    done = ftkit("init", "rows.csv", "--yes", "--base", root / "data/tiny-base")
    assert done.out.splitlines()[:6] == [
        "rows.csv: 151 rows, input: text, target: label",
        "labels: 2, the commonest b (76), the rarest a (75)",
        "inputs: 4 words in the middle, 4 at most",
        "duplicates: 1 row asks what another one asks; one of each is kept",
        "groups: rows of one 'customer_id' stay in one split, or test would know them",
        "  from train",
    ]


def sight_of(name: str, text: str, root: Path) -> tuple[str, str]:
    """What is said of a file, and its recipe."""
    Path(name).write_text(text, encoding="utf-8")
    done = ftkit("init", name, "--yes", "--out", "made.yaml", "--base", root / "data/tiny-base")
    assert done.code == 0, done.err
    return done.out, Path("made.yaml").read_text(encoding="utf-8")


def test_rows_without_a_label_are_no_class_of_their_own(root: Path) -> None:
    rows = [*rows_of(60, ["a", "b"]), {"text": "more words", "label": ""}, {"text": " ", "label": "a"}]
    said, _ = sight_of("rows.csv", csv_of(rows), root)
    assert "rows.csv: 60 rows, input: text, target: label\n" in said
    assert "2 rows without input or target: a run drops what is not counted here\n" in said
    assert "labels: 2, the commonest a (30), the rarest b (30)\n" in said


@pytest.mark.parametrize(("target", "number", "task"), [("price", 30, "generate"), ("stars", 5, "classify")])
@pytest.mark.parametrize("named", [False, True])
def test_many_different_numbers_are_answers_unless_they_name_classes(
    target: str, number: int, task: str, named: bool, root: Path
) -> None:
    rows = rows_of(120, [str(each) for each in range(number)], target="class" if named else target)
    sight_of("rows.csv", csv_of(rows), root)
    assert load_recipe("made.yaml").task.name == ("classify" if named else task)


def test_addresses_and_hashes_are_no_input(root: Path) -> None:
    rows = [
        {"page": f"https://example.org/{'0' * 40}{n}", "head": f"some words {n}", "field": n % 3} for n in range(60)
    ]
    said, _ = sight_of("rows.csv", csv_of(rows), root)
    assert "rows.csv: 60 rows, input: head, target: field\n" in said and "neither input nor target: page\n" in said


def test_solutions_that_end_in_a_number_are_judged_by_it(root: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": f"One more.\n#### {n + 1}"} for n in range(50)]
    sight_of("sums.jsonl", lines_of(rows), root)
    assert load_recipe("made.yaml").task.options.extract.name == "last_number"  # type: ignore[union-attr]


def test_the_alphabets_of_texts_are_said_where_they_are_not_latin(root: Path) -> None:
    said, _ = sight_of("rows.csv", csv_of(rows_of(40, ["配送", "返金"])), root)
    assert "letters: Latin 83%, Han 17%\n" in said
    Path("made.yaml").unlink()
    assert "letters" not in sight_of("rows.csv", csv_of(rows_of(40, ["a", "b"])), root)[0]


@pytest.mark.parametrize(
    "name", ["no.csv", "null.csv", "1e5.csv", "2024.csv", "o'neil (1).csv", "a\nmodel: #.csv", "\x1b.csv"]
)
def test_a_name_of_a_file_is_no_yaml(name: str, root: Path) -> None:
    _, recipe = sight_of(name, csv_of(rows_of(40, ["a", "b"])), root)
    assert load_recipe("made.yaml").data.source[0].options.path == name
    assert recipe.splitlines()[0] == "# yaml-language-server: $schema=recipe.schema.json"


@pytest.mark.parametrize("column", ["te{x}t", "{text", "}"])
def test_a_column_that_no_recipe_can_name_is_an_error_of_data(column: str) -> None:
    Path("rows.csv").write_text(csv_of(rows_of(40, ["a", "b"], column)), encoding="utf-8")
    done = ftkit("init", "rows.csv", "--yes")
    assert done.code == 3 and f"rows.csv: column {column!r}: signs of its name are a template's" in done.err


def test_the_schema_that_the_recipe_names_lies_beside_it_and_is_never_overwritten(root: Path) -> None:
    Path("there").mkdir()
    Path("rows.csv").write_text(csv_of(rows_of(40, ["a", "b"])), encoding="utf-8")
    made = ("init", "rows.csv", "--yes", "--base", root / "data/tiny-base", "--out")
    assert "there/recipe.schema.json: for editors" in ftkit(*made, "there/a.yaml").out
    assert Path("there/recipe.schema.json").read_text(encoding="utf-8") == ftkit("schema").out
    assert "recipe.schema.json" not in ftkit(*made, "there/b.yaml").out
    Path("there/recipe.schema.json").write_text("mine", encoding="utf-8")
    assert "there/recipe.schema.json: is there already and stays" in ftkit(*made, "there/c.yaml").out
    assert Path("there/recipe.schema.json").read_text(encoding="utf-8") == "mine"


def test_what_is_not_certain_is_asked_on_a_terminal_and_nothing_is_drawn_over_it(root: Path) -> None:
    rows = [{**row, "queue": "xyz"[place % 3]} for place, row in enumerate(of_customers(150, 3))]
    Path("rows.csv").write_text(csv_of(rows), encoding="utf-8")
    answers = ["txet", "text", "queue", "generate", "none", "no such", str(root / "data/tiny-base")]
    ours, its = os.openpty()
    os.write(ours, "".join(answer + "\n" for answer in answers).encode())
    call = [sys.executable, "-m", "ftkit", "init", "rows.csv"]
    variables = {**os.environ, "PYTHONPATH": str(root), "TERM": "xterm"}
    done = subprocess.run(call, stdin=its, stdout=its, stderr=its, env=variables, timeout=60, check=False)
    os.close(its)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    asked = said[said.index("which column is the input? text, label, customer_id, queue") :]
    assert done.returncode == 0 and "\x1b" not in asked
    assert "'txet' is none of them" in asked and "--base no such: neither a folder nor a repository" in asked
    assert "which column is the target? label, customer_id, queue" in asked
    recipe = load_recipe("rows.yaml")
    assert recipe.data.source[0].options.target == "queue"
    assert recipe.task.name == "generate" and recipe.data.split.group is None


def test_a_recipe_that_is_there_is_left_alone(root: Path) -> None:
    Path("rows.csv").write_text(csv_of(rows_of(9, ["a", "b"])), encoding="utf-8")
    Path("rows.yaml").write_text("mine", encoding="utf-8")
    done = ftkit("init", "rows.csv", "--yes")
    assert (done.code, Path("rows.yaml").read_text(encoding="utf-8")) == (2, "mine")
    assert "rows.yaml: is there already; name another file with --out" in done.err


def test_rows_that_are_not_there_are_no_recipe() -> None:
    assert ftkit("run", "none.csv").err == "error: none.csv: no such recipe\n"


@pytest.mark.parametrize("command", ["run", "check", "prepare"])
def test_rows_in_place_of_a_recipe_are_answered_with_init(command: str) -> None:
    Path("rows.csv").write_text("text,label\na,b\n", encoding="utf-8")
    done = ftkit(command, "rows.csv")
    assert done.code == 2 and done.err.endswith("holds rows, and is no recipe; write one for it: ftkit init rows.csv\n")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "none.csv: no such file"),
        ("empty.csv", b"", "empty.csv: the file is empty"),
        ("head.csv", b"text,label\n", "head.csv: there is no row in the file"),
        ("one.csv", b"text,label\na,b\n", "one.csv: holds 1 row; a recipe needs many"),
        ("rows.foo", b"text", "rows.foo: the name does not say what it holds; known endings: .arrow"),
        ("one.jsonl", b'{"a": 1}\n{"a": 2}\n', "one.jsonl: no columns that could be input and target (columns: a)"),
    ],
)
def test_what_is_no_file_of_rows_is_an_error_of_data(name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    done = ftkit("init", name, "--yes")
    assert done.code == 3 and message in done.err and not list(Path().glob("*.yaml"))


def test_a_base_that_is_none_is_refused() -> None:
    Path("rows.csv").write_text(csv_of(rows_of(9, ["a", "b"])), encoding="utf-8")
    done = ftkit("init", "rows.csv", "--yes", "--base", "no such")
    assert done.code == 2 and "--base no such: neither a folder nor a repository of the hub" in done.err


def test_the_recipe_of_a_chat_is_run_to_a_verdict(made: Any) -> None:
    labels = ("delivery", "login", "refund")
    rows = [
        {"messages": [{"role": "user", "content": f"row {n}"}, {"role": "assistant", "content": labels[n % 3]}]}
        for n in range(60)
    ]
    Path("chat.jsonl").write_text(lines_of(rows), encoding="utf-8")
    assert ftkit("init", "chat.jsonl", "--yes", "--base", made.folder / "base").code == 0
    small = ("--set", "train.max_steps=1", "--set", "machine.threads=1")
    assert ftkit("run", "chat.yaml", *small).code == 0
    (verdict,) = Path("runs/chat").glob("compare-*/verdict.json")
    assert read_json(verdict)["verdict"] in ("fine_tuned", "prompting", "equivalent", "inconclusive")
