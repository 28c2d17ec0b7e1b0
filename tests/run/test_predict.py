"""Rows to predict are asked as the run asked them: by the shape of its source, without an answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit
from small_runs import SetUp, run_here

from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.recipe.schema import load_data_recipe
from ftkit.records import write_jsonl
from ftkit.registry import Choice
from ftkit.run.artifacts import Prepared
from ftkit.run.finished import rows_to_answer
from ftkit.run.pipeline import prepare_rows

RECIPE = """
name: rows
task: {generate: {}}
data:
  source: SOURCE
  clean: []
  split: {valid: 0.2, test: 0.2, by: random}
"""
SYSTEM = {"role": "system", "content": "Sort."}
PROMPTER = Prompter(label="rows", instruction="Do it.")


def turns(*contents: Any) -> list[dict[str, Any]]:
    """A conversation, the user's turn first."""
    return [{"role": ("user", "assistant")[place % 2], "content": each} for place, each in enumerate(contents)]


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {name: each for name, each in row.items() if name not in keys}


CHATS = [{"messages": [SYSTEM, *turns("a", "b", f"c{k}", f"d{k}")]} for k in range(10)]
OPEN_CHATS = [{"messages": row["messages"][:-1]} for row in CHATS]
ALPACA = [
    {"instruction": f"Add {k}.", "input": "2" if k % 2 else "", "output": f"b{k}", "system": "Sums."} for k in range(10)
]
PAIRS = [{"prompt": f"a{k}", "chosen": f"b{k}", "rejected": "c", "system": "Short."} for k in range(10)]
TALKS = [{"chosen": turns(f"a{k}", "b"), "rejected": turns(f"a{k}", "c")} for k in range(10)]
COLUMNS = [{"key": f"R{k}", "from": {"name": f"a{k}"}, "n": k, "answer": f"b{k}"} for k in range(10)]
UNANSWERED = [without(row, "answer") for row in COLUMNS]
PROMPTS = [without(row, "rejected", "system") for row in PAIRS]
QUESTIONS = [{"question": f"a{k}", "context": "b", "answers": [f"c{k}"]} for k in range(10)]


def jsonl(options: str = "") -> str:
    return f"{{jsonl: {{path: rows.jsonl{options}}}}}"


def source_of(folder: Path, source: str) -> Choice:
    (folder / "rows.yaml").write_text(RECIPE.replace("SOURCE", source), encoding="utf-8")
    return load_data_recipe(folder / "rows.yaml").data.source[0]


def asked(folder: Path, source: Choice, rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    write_jsonl(folder / "new.jsonl", rows)
    return [PROMPTER.messages(row) for row in rows_to_answer(folder / "new.jsonl", source, Context(base_dir=folder))]


@pytest.mark.parametrize(
    ("rows", "new", "source"),
    [
        (CHATS, OPEN_CHATS, jsonl()),
        (CHATS, CHATS, jsonl()),
        (CHATS, OPEN_CHATS, jsonl(", shape: messages")),
        (
            [{"talk": row["messages"][1:], "persona": "Sort."} for row in CHATS],
            [{"talk": row["messages"][1:], "persona": "Sort."} for row in OPEN_CHATS],
            jsonl(", shape: {messages: {column: talk, system: persona}}"),
        ),
        (ALPACA, [without(row, "output") for row in ALPACA], jsonl()),
        (ALPACA, [{**row, "output": None} for row in ALPACA], jsonl(", shape: alpaca")),
        (COLUMNS, UNANSWERED, jsonl(', id: key, input: "{from.name}: {n}", target: answer')),
        (COLUMNS, COLUMNS, jsonl(', input: "{n}", target: "{n} {answer}"')),
        (COLUMNS, UNANSWERED, jsonl(', id: key, input: "{id} {n}", target: answer')),
        (PAIRS, [without(row, "chosen", "rejected") for row in PAIRS], jsonl()),
        (TALKS, [{"chosen": row["chosen"][:-1]} for row in TALKS], jsonl()),
        (QUESTIONS, [without(row, "answers") for row in QUESTIONS], jsonl()),
        (
            PROMPTS,
            [{**row, "chosen": 3} for row in PROMPTS],
            jsonl(", shape: {prompt_completion: {completion: chosen}}"),
        ),
    ],
)
def test_a_row_is_asked_as_the_run_asked_it(rows: Any, new: Any, source: str, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows)
    chosen = source_of(tmp_path, source)
    ctx = Context(base_dir=tmp_path, cache_dir=tmp_path / "cache")
    made = prepare_rows(load_data_recipe(tmp_path / "rows.yaml"), runs_dir=tmp_path / "runs", ctx=ctx)
    prepared = Prepared(made.artifacts["prepare"].path)
    of_the_run = [PROMPTER.messages(row) for name in ("train", "valid", "test") for row in prepared.split(name)]
    assert sorted(asked(tmp_path, chosen, new), key=str) == sorted(of_the_run, key=str)
    assert len(of_the_run) == 10


def test_a_row_of_every_turn_is_asked_for_its_last(tmp_path: Path) -> None:
    source = source_of(tmp_path, jsonl(", shape: {messages: {turns: every}}"))
    assert asked(tmp_path, source, [{"messages": turns("a", "b", "c")}]) == [
        [{"role": "user", "content": "Do it.\n\na"}, *turns("a", "b", "c")[1:]]
    ]


@pytest.mark.parametrize(
    ("source", "rows", "error"),
    [
        (
            ", shape: messages",
            [OPEN_CHATS[0], {"messages": "hi"}],
            "2: 'messages': not valid JSON: expected a value at",
        ),
        (", shape: messages", [OPEN_CHATS[0], {"text": "hi"}], "2: 'messages' is null; expected a list of messages"),
        (", shape: alpaca", [{"instructoin": "a"}], "1: shape alpaca: there is no column 'instruction'; did you mean"),
        (", shape: alpaca", [{"instruction": "a"}, {"instruction": 4}], "2: 'instruction' is 4; expected a string"),
        (
            ", input: text",
            [{"text": "a"}, {"txt": "a"}],
            "2: 'text' is missing; did you mean 'txt'?; a text is expected",
        ),
        (", input: text", [{"text": "a"}, {"text": None}], "2: 'text' is null; expected a string"),
        (", input: text, id: id", [{"id": 1, "text": "a"}, {"id": 1, "text": None}], "2: 'text' is null"),
        ("", [{"instruction": "a"}], " the rows have no known shape (columns: instruction)"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named_by_its_line(source: str, rows: Any, error: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        asked(tmp_path, source_of(tmp_path, jsonl(source)), rows)
    assert str(raised.value).startswith(f"{tmp_path / 'new.jsonl'}:{error}")


def test_without_the_source_a_shape_is_recognised_where_the_answer_has_its_column(tmp_path: Path) -> None:
    source = source_of(tmp_path, jsonl())
    with pytest.raises(DataError, match=r"cannot be read now \(.*rows.jsonl.*\): bring it back, or give these rows"):
        asked(tmp_path, source, [{"instruction": "a", "input": "b"}])
    row = {"instruction": "a", "input": "b", "output": None}
    assert asked(tmp_path, source, [row]) == [turns("Do it.\n\na\n\nb")]


def test_predict_answers_conversations_as_the_run_that_generates_did(
    made: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up = SetUp(shutil.copytree(made.folder, tmp_path / "place"))
    chats = [{"id": f"R{k}", "messages": [SYSTEM, *turns("a", "b", f"c {k**9}", f"d {k}")]} for k in range(30)]
    write_jsonl(set_up.folder / "rows.jsonl", chats)
    number = "{generate: {max_new_tokens: 4, extract: last_number}}"
    data = "{source: {jsonl: {path: rows.jsonl, id: id}}, clean: [], split: {by: random}}"
    quick = (
        "train.max_steps=2",
        "train.num_evals=1",
        "baseline.prompts=[zero_shot]",
        "baseline.instructions=['Sort.']",
    )
    ran = run_here(set_up, set_up.folder / "runs", f"task={number}", f"data={data}", *quick)
    assert ran.result.verdict is not None
    predictions = ran.result.artifacts["evaluate"].path / "predictions.jsonl"
    rows = [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]
    expected = {row["id"]: row["raw"] for row in rows if row["arm"] == "lora+zero_shot"}
    new = [{**row, "messages": row["messages"][:-1]} for row in chats if row["id"] in expected]
    write_jsonl(tmp_path / "new.jsonl", new)
    monkeypatch.chdir(set_up.folder)
    done = ftkit("predict", "runs/small", tmp_path / "new.jsonl", "--arm", "lora+zero_shot")
    assert done.code == 0, done.err
    assert {row["id"]: row["raw"] for row in map(json.loads, done.out.splitlines())} == expected
