"""`ftkit init`: from a file of rows to a recipe that holds."""

from __future__ import annotations

import csv
import io
import json
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
        "labels: 2, the rarest b (76), a (75)",
        "inputs: 4 words in the middle, 4 at most",
        "duplicates: 1 row asks what another one asks; one of each is kept",
        "groups: rows of one 'customer_id' stay in one split, or test would know them",
        "  from train",
    ]


def test_a_recipe_that_is_there_is_left_alone(root: Path) -> None:
    Path("rows.csv").write_text(csv_of(rows_of(9, ["a", "b"])), encoding="utf-8")
    Path("rows.yaml").write_text("mine", encoding="utf-8")
    done = ftkit("init", "rows.csv", "--yes")
    assert (done.code, Path("rows.yaml").read_text(encoding="utf-8")) == (2, "mine")
    assert "rows.yaml: is there already; name another file with --out" in done.err


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
