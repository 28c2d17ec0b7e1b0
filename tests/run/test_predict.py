"""Rows to predict are asked as the run asked them: by the shape of its source, without an answer."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import polars
import pytest
from commands import ftkit
from golden_examples import Shape, golden
from shaping import from_json
from small_runs import SetUp, run_here

from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.recipe.data_block import Data
from ftkit.recipe.schema import load_data_recipe
from ftkit.records import Example, write_jsonl
from ftkit.registry import choice_of, names
from ftkit.run.artifacts import Prepared
from ftkit.run.pipeline import prepare_rows
from ftkit.run.predicting import new_rows, predict_rows

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


def source_of(folder: Path, source: str, *, clean: str = "[]") -> Data:
    text = RECIPE.replace("SOURCE", source).replace("clean: []", f"clean: {clean}")
    (folder / "rows.yaml").write_text(text, encoding="utf-8")
    return load_data_recipe(folder / "rows.yaml").data


def examples_in(path: Path, data: Data) -> list[Example]:
    """The rows of a file as examples; the first that is none is raised as it would be reported."""
    examples = []
    for row in chain.from_iterable(new_rows(path, data, Context(base_dir=path.parent))):
        if row.example is None:
            raise DataError(f"{row.place}: {row.fault}")
        examples.append(row.example)
    return examples


def asked(folder: Path, data: Data, rows: Sequence[dict[str, Any]]) -> list[list[Any]]:
    write_jsonl(folder / "new.jsonl", rows)
    return [PROMPTER.messages(row) for row in examples_in(folder / "new.jsonl", data)]


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
        (", shape: alpaca", [{"instructoin": "a"}], " shape alpaca: there is no column 'instruction'; did you mean"),
        (", shape: alpaca", [{"instruction": "a"}, {"instruction": 4}], "2: 'instruction' is 4; expected a string"),
        (
            ", input: text",
            [{"text": "a"}, {"txt": "a"}],
            "2: 'text' is null; expected a string",
        ),
        (", input: text", [{"text": "a"}, {"text": None}], "2: 'text' is null; expected a string"),
        (", input: text, id: id", [{"id": 1, "text": "a"}, {"id": 1, "text": None}], '2: id "1" stands already in'),
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


# --- every shape, every format ---------------------------------------------------------------------


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Lists and objects stand in the cells as JSON."""
    names_of = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names_of)
        for row in rows:
            cells = (row.get(name) for name in names_of)
            writer.writerow([each if isinstance(each, str) else json.dumps(each) for each in cells])


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Lists and objects are nested, but in a column of texts too."""
    texts = {name for row in rows for name, value in row.items() if isinstance(value, str)}
    nested = ({k: json.dumps(v) if k in texts and isinstance(v, list) else v for k, v in row.items()} for row in rows)
    polars.DataFrame(list(nested)).write_parquet(path)


WRITERS: dict[str, Callable[[Path, Sequence[dict[str, Any]]], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", names("shapes"))
def test_a_row_of_every_shape_is_asked_without_its_answer_from_every_format(
    name: str, ending: str, tmp_path: Path
) -> None:
    example = golden(Shape, name)
    good = [row for row in example.rows if row["id"] not in example.faults]
    shape = choice_of("shapes").model_validate({name: example.options})
    learned = shape(from_json(*good)).table.to_dicts()
    last = {row.get("conversation", row["id"]): row for row in learned}  # of every turn: the one that is asked for
    targets = [row["target"] for row in learned]
    answers = {key for row in good for key, value in row.items() if value in targets} if learned[0]["input"] else set()
    new = [{key: None if key in answers else value for key, value in row.items()} for row in good]
    WRITERS[ending](tmp_path / f"new.{ending}", new)
    options = json.dumps({"path": "rows.jsonl", "id": "id", "shape": {name: example.options}})
    found = examples_in(tmp_path / f"new.{ending}", source_of(tmp_path, f"{{jsonl: {options}}}"))
    assert [row.id for row in found] == [row["id"] for row in good]
    assert [(row.input, list(row.history), row.tools, row.target) for row in found] == [
        (row["input"], row.get("history") or [], row.get("tools"), "") for row in last.values()
    ]


def test_a_row_is_cleaned_as_a_given_test_row_is_and_never_dropped(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "new.jsonl", [{"text": "a   b  "}, {"text": "a b c"}])
    for targets, input_ in (("true", "a b"), ("false", "a   b  ")):  # without it test rows stay as they came
        clean = f"[{{whitespace: {{blanks: one, targets: {targets}}}}}, {{length: {{max_words: 2}}}}]"
        data = source_of(tmp_path, jsonl(", input: text"), clean=clean)
        assert [row.input for row in examples_in(tmp_path / "new.jsonl", data)] == [input_, "a b c"]


def test_what_is_masked_in_test_rows_is_masked_in_rows_to_predict(tmp_path: Path) -> None:
    data = source_of(tmp_path, jsonl(", input: text"), clean="[personal_data, {language: {keep: [de]}}]")
    write_jsonl(tmp_path / "new.jsonl", [{"text": "write to ann@example.org about the parcel"}])
    assert [row.input for row in examples_in(tmp_path / "new.jsonl", data)] == ["write to <email> about the parcel"]


CASES = {
    "alpaca.jsonl": lambda row: f"{row['instruction']}\n\n{row['input']}",
    "chat_system.jsonl": lambda row: row["messages"][-2]["content"],
    "chat_thanks.jsonl": lambda row: row["messages"][-2]["content"],
    "plain_text.jsonl": lambda row: "",
    "preference.jsonl": lambda row: row["prompt"],
}


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_asked_what_its_rows_ask(case: str, tmp_path: Path, root: Path) -> None:
    path = root.parent / "shared" / "cases" / case
    if not path.exists():
        pytest.skip("the cases are not here")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = examples_in(path, source_of(tmp_path, f"{{jsonl: {{path: {path}}}}}"))
    assert [row.input for row in found] == [CASES[case](row) for row in rows]


# --- what is written -------------------------------------------------------------------------------


ROWS = [{"id": "n0", "text": "money back", "answer": "x", "n": [1]}, {"id": "n1"}, {"id": "n2", "text": "my parcel"}]


def lines_of(folder: Path, rows: Path, **options: str) -> tuple[list[str], str]:
    """The lines, and the error that ended them."""
    lines: list[str] = []
    answers = predict_rows(folder / "runs/small", rows, arm="lora+zero_shot", ctx=Context(base_dir=folder), **options)
    try:
        for line in answers:
            lines.append(line)
    except DataError as error:
        return lines, str(error)
    return lines, ""


def test_a_line_has_the_rows_own_columns_its_scores_and_why_it_is_not_answered(ran: SetUp, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "new.jsonl", ROWS)
    lines, error = lines_of(ran.folder, tmp_path / "new.jsonl")
    first, second, third = map(json.loads, lines)
    assert (first["id"], first["text"], first["row.answer"], first["n"]) == ("n0", "money back", "x", [1])
    assert first["scores"].keys() == {"delivery", "login", "refund"}
    assert first["answer"] == max(first["scores"], key=first["scores"].get)
    assert 1 / 3 <= first["confidence"] <= 1
    assert (second["answer"], second["error"]) == (None, "'text' is null; expected a string")
    assert (third["id"], "error" in third) == ("n2", False)
    assert error == "1 of 3 rows are not answered: their 'error' says why"
    stopped, error = lines_of(ran.folder, tmp_path / "new.jsonl", on_error="stop")
    assert (stopped, error.splitlines()[0]) == (
        lines[:1],
        f"{tmp_path / 'new.jsonl'}:2: 'text' is null; expected a string",
    )


def test_answers_as_csv_hold_what_the_lines_of_json_hold(
    ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(tmp_path / "new.jsonl", ROWS)
    as_json = [json.loads(line) for line in lines_of(ran.folder, tmp_path / "new.jsonl")[0]]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "new.jsonl").read_bytes())))
    lines, error = lines_of(ran.folder, Path("-"), form="csv")
    rows = list(csv.DictReader(lines))
    assert [row["answer"] for row in rows] == [row["answer"] or "" for row in as_json]
    assert [row["error"] for row in rows] == ["", "'text' is null; expected a string", ""]
    assert float(rows[2]["score login"]) == as_json[2]["scores"]["login"]
    assert error == "1 of 3 rows are not answered: their 'error' says why"


def test_lines_stand_in_the_order_of_the_rows_and_stop_ends_at_the_first_that_is_none(
    ran: SetUp, tmp_path: Path
) -> None:
    new = tmp_path / "new.jsonl"
    new.write_text('{"id": \n{"id": "a", "text": "money"}\n[1]\n{"id": "b", "text": "mail"}\n', encoding="utf-8")
    lines, _ = lines_of(ran.folder, new)
    assert [json.loads(line)["id"] for line in lines] == [f"{new}:1", "a", f"{new}:3", "b"]
    as_csv, error = lines_of(ran.folder, new, form="csv")
    assert as_csv[0].startswith("id,text,answer,raw,flags,confidence,score delivery,")
    assert [(row["id"], row["text"]) for row in csv.DictReader(as_csv)] == [
        (f"{new}:1", ""), ("a", "money"), (f"{new}:3", ""), ("b", "mail"),
    ]  # fmt: skip
    assert error == "2 of 4 rows are not answered: their 'error' says why"
    stopped, error = lines_of(ran.folder, new, on_error="stop")
    assert (stopped, error.partition(": ")[0]) == ([], f"{new}:1")


@pytest.mark.parametrize("ids", [[7, 8, 9], ["7", 8, 9], [7, 7, 8], [7.5, True, "a"], [7, None, 9]])
def test_the_id_of_a_row_comes_back_as_it_was(ids: list[Any], tmp_path: Path) -> None:
    new = tmp_path / "new.jsonl"
    write_jsonl(new, [{"id": each, "text": f"a {each}"} for each in ids])
    data = source_of(tmp_path, jsonl(", input: text"))
    (rows,) = new_rows(new, data, Context())
    assert [row.columns["id"] for row in rows] == ["new.jsonl:2" if each is None else each for each in ids]
    assert [row.example.input for row in rows if row.example] == [f"a {each}" for each in ids]


def test_a_whole_number_of_parquet_comes_back_as_one_and_text_of_csv_as_text(tmp_path: Path) -> None:
    table = polars.DataFrame({"id": [7, 8], "text": ["a", "b"]})
    table.write_parquet(tmp_path / "new.parquet")
    table.write_csv(tmp_path / "new.csv")
    data = source_of(tmp_path, jsonl(", input: text"))
    for name, expected in (("new.parquet", [7, 8]), ("new.csv", ["7", "8"])):
        (rows,) = new_rows(tmp_path / name, data, Context())
        assert [row.columns["id"] for row in rows] == expected


def test_a_row_that_is_none_waits_for_the_rows_before_it(tmp_path: Path) -> None:
    rows = [{"id": None if k in (0, 700) else f"n{k}", "text": f"a {k}"} for k in range(1_200)]
    polars.DataFrame(rows).write_parquet(tmp_path / "new.parquet")
    parts = list(new_rows(tmp_path / "new.parquet", source_of(tmp_path, jsonl(", id: id, input: text")), Context()))
    found = [row.columns["id"] for row in chain.from_iterable(parts)]
    assert found == [row["id"] or f"{tmp_path / 'new.parquet'}:{k}" for k, row in enumerate(rows, 1)]
    assert len(parts) > 2


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_no_column_of_a_row_is_lost_to_one_of_the_answer_nor_taken_for_it(
    form: str, ran: SetUp, tmp_path: Path
) -> None:
    own = {"answer": "1", "row.answer": "2", "error": "3", "scores": "4", "confidence": "5", "score login": "6"}
    write_jsonl(tmp_path / "new.jsonl", [{"id": "a", "text": "money", **own}, {"id": "b", "text": None, **own}])
    lines, error = lines_of(ran.folder, tmp_path / "new.jsonl", form=form)
    assert error == "1 of 2 rows are not answered: their 'error' says why"
    for row in csv.DictReader(lines) if form == "csv" else map(json.loads, lines):
        assert [row[f"row.{name}"] for name in ("row.answer", "answer", "error", "scores", "confidence")] == list(
            "12345"
        )
        assert row["row.score login"] == "6"
        assert bool(row.get("error")) == (row["id"] == "b")
        assert row["answer"] != "1"
