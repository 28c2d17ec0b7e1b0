"""Every shape makes of a row what its format says, and names the rows that hold no example of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest
from pydantic import ValidationError
from shaping import assistant, both, faults, from_json, nested, shape, system, user

from ftkit.errors import DataError
from ftkit.prepare.shapes import recognise
from ftkit.prepare.shapes.columns import fill
from ftkit.recipe.templates import names_in
from ftkit.registry import find, names

# columns


def test_columns_are_input_and_target_and_all_others_are_left_out() -> None:
    assert both("columns", {"input": "hi", "target": "", "n": 1}) == [{"id": "a", "input": "hi", "target": ""}]
    choice = {"columns": {"input": "text", "target": "label"}}
    assert both(choice, {"text": "hi", "label": "x"}) == [{"id": "a", "input": "hi", "target": "x"}]


def test_a_template_puts_columns_into_a_text_and_doubled_braces_are_braces() -> None:
    choice = {"columns": {"input": "{{{question}}}\n{the context}", "target": "a{answer}"}}
    row = {"question": "why {x}?", "the context": "{answer}", "answer": "so"}
    assert both(choice, row) == [{"id": "a", "input": "{why {x}?}\n{answer}", "target": "aso"}]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a.b!r}", "plain names"),
        ("{a[0]}", "plain names"),
        ("{a!r}", "plain names"),
        ("{a:>9}", "plain names"),
        ("{}", "plain names"),
        ("{a", "expected '}'"),
        ("a}", "Single '}'"),
        ("{{a}}", "names no column"),
    ],
)
def test_a_template_with_more_than_plain_names_is_refused(template: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        names_in(template)
    with pytest.raises(ValidationError, match=expected):
        shape({"columns": {"input": template}}, from_json())


JSON = [None, 3, 3.0, 0.5, True, ["x"], {"x": 1, "y": None}, {}, "3", "[1]"]
NO_TEXT = {
    "a": "is null; expected a string",
    "f": 'is a list; expected a string: target: "{target}" writes it as JSON',
    "g": 'is an object; expected a string: target: "{target}" writes it as JSON, '
    "target: target.x takes what stands in it",
    "h": 'is an object; expected a string: target: "{target}" writes it as JSON',
}


def test_a_target_that_is_a_number_is_taken_as_text_and_a_list_or_an_object_says_how_to_reach_inside() -> None:
    found = shape("columns", from_json(*({"input": "x", "target": value} for value in JSON)))
    assert found.table["target"].to_list() == ["3", "3", "0.5", "true", "3", "[1]"]
    assert found.faults == {name: f"'target' {reason}" for name, reason in NO_TEXT.items()}
    assert found.notes == [f"'target' holds {kind}: they are taken as text" for kind in ("numbers", "truth values")]


def test_an_input_that_is_no_string_is_a_fault() -> None:
    found = shape("columns", from_json(*({"input": value, "target": "x"} for value in JSON)))
    assert found.table["input"].to_list() == ["3", "[1]"]
    assert found.notes == []
    quoted = {"b": "3", "c": "3", "d": "0.5", "e": "true"}
    numbers = {name: f"'input' is {value}; expected a string: write it in quotes" for name, value in quoted.items()}
    others = {name: f"'input' {reason}".replace("target", "input") for name, reason in NO_TEXT.items()}
    assert found.faults == numbers | others


@pytest.mark.parametrize("name", ["input", "target"])
@pytest.mark.parametrize("value", [None, 3, 0.5, True, ["x"], {"x": 1}])
def test_a_whole_column_of_something_else_is_read_as_one_such_value(value: Any, name: str) -> None:
    row, other = {"input": "x", "target": "x", name: value}, {"input": "x", "target": "y"}
    tables = [from_json(row), from_json(row, other), nested(row)]
    alone, beside, columns = (shape("columns", table) for table in tables)
    assert alone.faults == beside.faults == columns.faults
    assert alone.table.equals(columns.table)
    assert alone.table.to_dicts() == beside.table.filter(polars.col("id") == "a").to_dicts()
    assert alone.notes == beside.notes == columns.notes


def test_lists_and_objects_stand_in_a_template_as_json_and_a_null_is_a_fault() -> None:
    choice = {"columns": {"input": "n={n}", "target": "{n}"}}
    rows = [{"n": value} for value in (3, 3.0, 0.5, True, "x", "[x", None, [1], {"k": {"l": [1, "é"]}}, [], {})]
    found = shape(choice, from_json(*rows))
    wanted = ["3", "3", "0.5", "true", "x", "[x", "[1]", '{"k": {"l": [1, "é"]}}', "[]", "{}"]
    assert found.table["input"].to_list() == [f"n={each}" for each in wanted]
    assert found.table["target"].to_list() == wanted
    assert found.faults == {"g": "'n' is null; expected a string"}


def test_objects_are_the_same_json_from_any_source() -> None:
    rows = [{"text": f"x{n}", "json": {"topic": "refund", "tags": ["a", "b"], "n": {"age": n}}} for n in range(3)]
    written = both({"columns": {"input": "text", "target": "{json}"}}, *rows)
    assert [json.loads(row["target"]) for row in written] == [row["json"] for row in rows]


def test_fill_gives_null_where_a_column_is_null_and_refuses_what_is_no_plain_value() -> None:
    table = nested({"turn": 1, "text": "hi", "tags": ["x"]}, {"turn": 2, "text": None, "tags": []})
    assert fill(table, "{turn}: {text}").to_list() == ["1: hi", None]
    assert fill(table, "text").to_list() == ["hi", None]
    with pytest.raises(DataError, match="column 'tags' holds List"):
        fill(table, "{turn}{tags}")
    with pytest.raises(DataError, match="no column 'txt'; did you mean 'text'"):
        fill(table, "{turn}{txt}")


def test_a_class_name_of_a_categorical_column_is_a_text() -> None:
    table = nested({"input": "x", "target": "yes"}).with_columns(polars.col("target").cast(polars.Categorical))
    assert shape("columns", table).table.to_dicts() == [{"id": "a", "input": "x", "target": "yes"}]


@pytest.mark.parametrize("is_json", [True, False])
def test_a_dot_leads_into_the_objects_of_a_column(is_json: bool) -> None:
    users = [{"text": "hi", "n": {"age": 3}}, {"text": "you", "n": {"age": 4}}]
    values = [json.dumps(user) for user in users] if is_json else users
    table = polars.DataFrame({"id": ["1", "2"], "user": values, "label": ["a", "b"]})
    found = shape({"columns": {"input": "{user.text}, {user.n.age}", "target": "label"}}, table)
    assert found.table["input"].to_list() == ["hi, 3", "you, 4"]
    with pytest.raises(DataError, match=r"no column 'users\.text'"):
        shape({"columns": {"input": "{users.text}", "target": "label"}}, table)


# a missing column


@pytest.mark.parametrize(
    ("choice", "row", "expected"),
    [
        (
            "columns",
            {"inptu": "x", "target": "y"},
            "no column 'input'; did you mean 'inptu'? the columns are inptu, target",
        ),
        (
            "alpaca",
            {"instruction": "x", "answer": "y"},
            "shape alpaca: there is no column 'output'; known: instruction, answer",
        ),
        ({"alpaca": {"input": "contxt"}}, {"instruction": "x", "output": "y", "context": ""}, "did you mean 'context'"),
        ("messages", {"conversations": []}, "shape messages: there is no column 'messages'; known: conversations"),
        ({"messages": {"tools": "functions"}}, {"messages": "[]"}, "there is no column 'functions'"),
        ("question_answer", {"question": "x"}, "there is no column 'answer'"),
        ({"question_answer": {"answer": "gold"}}, {"question": "x", "answers": "y"}, "there is no column 'gold'"),
        ({"preference": {"prompt": "q"}}, {"prompt": "x", "chosen": "a", "rejected": "b"}, "there is no column 'q'"),
        (
            {"preference": {"label": "best"}},
            {"prompt": "x", "chosen": "a", "rejected": "b"},
            "there is no column 'best'",
        ),
        ("prompt_completion", {"prompt": "x"}, "there is no column 'completion'"),
        ("text", {"txt": "x"}, "there is no column 'text'; did you mean 'txt'"),
    ],
)
def test_a_missing_column_is_an_error_with_the_nearest_and_the_known(
    choice: str | dict[str, Any], row: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DataError) as caught:
        shape(choice, from_json(row))
    assert expected in str(caught.value)


# alpaca


def test_alpaca_puts_the_input_after_the_instruction_unless_it_is_empty() -> None:
    rows = [
        {"instruction": "Sum up.", "input": "A long text", "output": "Short"},
        {"instruction": "Hello", "input": "", "output": "Hi"},
        {"instruction": "Hello", "input": None, "output": "Hi"},
    ]
    assert [(row["input"], row["target"], row["history"]) for row in both("alpaca", *rows)] == [
        ("Sum up.\n\nA long text", "Short", []),
        ("Hello", "Hi", []),
        ("Hello", "Hi", []),
    ]


def test_alpaca_takes_system_and_history_as_llama_factory_has_them() -> None:
    row = {"instruction": "And Rome?", "input": "", "output": "Italy", "system": "Be brief."}
    row |= {"history": [["Paris?", "France"], ["Bonn?", "Germany"]]}
    (made,) = both("alpaca", row)
    assert made["history"] == [
        system("Be brief."), user("Paris?"), assistant("France"), user("Bonn?"), assistant("Germany"),
    ]  # fmt: skip


def test_alpaca_names_a_history_that_is_no_list_of_pairs() -> None:
    rows = [{"instruction": "x", "output": "y", "history": value} for value in ([["q"]], "[[1, 2]]", {"q": "a"}, "no")]
    assert faults("alpaca", *rows) == [
        "turn 1 of 'history' is a list; expected [question, answer], two strings",
        "turn 1 of 'history' is a list; expected [question, answer], two strings",
        "turn 1 of 'history' is an object; expected [question, answer], two strings",
        "'history': not valid JSON: expected a value at character 1",
    ]


def test_the_columns_of_dolly_are_named_by_options() -> None:
    choice = {"alpaca": {"input": "context", "output": "response"}}
    row = {"instruction": "Who?", "context": "Ada wrote it.", "response": "Ada", "category": "closed_qa"}
    assert both(choice, row)[0]["input"] == "Who?\n\nAda wrote it."


# question and answer, plain text


def test_question_and_answer_with_the_context_before_the_question() -> None:
    rows = [
        {"question": "How many?", "answer": "#### 72", "context": None},
        {"question": "Who?", "answer": "Ada", "context": "Ada wrote it."},
    ]
    assert both("question_answer", *rows) == [
        {"id": "a", "input": "How many?", "target": "#### 72"},
        {"id": "b", "input": "Ada wrote it.\n\nWho?", "target": "Ada"},
    ]


def test_the_first_of_several_answers_is_the_target() -> None:
    squad = {"question": "Who?", "context": "", "answers": {"text": ["Ada", "Ada L."], "answer_start": [0, 0]}}
    assert both("question_answer", squad) == [{"id": "a", "input": "Who?", "target": "Ada"}]
    assert both("question_answer", {"question": "Who?", "answers": ["Ada", "Bob"]})[0]["target"] == "Ada"
    assert faults(
        "question_answer",
        {"question": "Who?", "answers": {"text": [], "answer_start": []}},
        {"question": "Who?", "answers": [[3]]},
        {"question": "Who?", "answers": [None, "x"]},
        {"question": "Who?", "answers": "Ada"},
    ) == [
        "'answers' is empty",
        "'answers' begins with a list; expected a string",
        "'answers' begins with null; expected a string",
        "'answers': not valid JSON: expected a value at character 1",
    ]


@pytest.mark.parametrize("read", [from_json, nested])
@pytest.mark.parametrize(("answer", "text", "kind"), [(42, "42", "numbers"), (True, "true", "truth values")])
def test_a_first_answer_that_is_a_number_is_taken_as_text_as_any_target_is(
    read: Any, answer: Any, text: str, kind: str
) -> None:
    for row in ({"answers": [answer]}, {"answers": {"text": [answer]}}, {"answer": answer}):
        made = shape("question_answer", read({"question": "How many?", **row}))
        assert (made.table["target"].to_list(), made.faults) == ([text], {})
        assert made.notes == [f"{next(iter(row))!r} holds {kind}: they are taken as text"]


@pytest.mark.parametrize("name", ["prompt_completion", "question_answer"])
def test_a_long_number_is_a_whole_answer(name: str) -> None:
    rows = {"prompt": "2^300?", "question": "2^300?", "completion": 2**300, "answers": [2**300]}
    assert shape(name, from_json(rows)).table["target"].to_list() == [str(2**300)]


@pytest.mark.parametrize("read", [from_json, nested])
@pytest.mark.parametrize(
    ("value", "text", "kind"), [(3, "3", "numbers"), (0.5, "0.5", "numbers"), (True, "true", "truth values")]
)
def test_a_number_within_an_object_is_treated_as_one_in_a_column(read: Any, value: Any, text: str, kind: str) -> None:
    made = shape({"columns": {"input": "a.b", "target": "a.n"}}, read({"a": {"b": "7", "n": value}}))
    assert made.table.to_dicts() == [{"id": "a", "input": "7", "target": text}]
    assert made.notes == [f"'a.n' holds {kind}: they are taken as text"]
    turned = shape({"columns": {"input": "a.n", "target": "a.b"}}, read({"a": {"b": "7", "n": value}}))
    assert turned.faults == {"a": f"'a.n' is {text}; expected a string: write it in quotes"}
    assert turned.notes == []


def test_plain_text_is_all_target() -> None:
    assert both("text", {"text": "Once upon a time"}) == [{"id": "a", "input": "", "target": "Once upon a time"}]
    assert faults("text", {"text": None}) == ["'text' is null; expected a string"]


def test_gsm8k_is_recognised_and_read(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "gsm8k" / "test.jsonl").read_text().splitlines()]
    assert recognise(from_json(*rows[:100])) == "question_answer"
    made = both("question_answer", *rows)
    assert [(row["input"], row["target"]) for row in made] == [(row["question"], row["answer"]) for row in rows]


# which shape rows have


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"input": "x", "target": "y", "n": 1}, "columns"),
        ({"instruction": "x", "input": "", "output": "y", "text": "x y"}, "alpaca"),
        ({"prompt": "x", "prompt_id": "1", "messages": [user("x"), assistant("y")]}, "messages"),
        ({"prompt": "x", "completion": "z", "messages": [user("x"), assistant("y")]}, "messages"),
        ({"conversations": [{"from": "human", "value": "x"}], "instruction": "x", "output": "y"}, "sharegpt"),
        ({"prompt": "x", "completion": "y"}, "prompt_completion"),
        ({"question": "x", "answer": "y"}, "question_answer"),
        ({"title": "t", "context": "c", "question": "x", "answers": ["y"]}, "question_answer"),
        ({"text": "x"}, "text"),
    ],
)
def test_a_shape_is_recognised_and_makes_an_example_of_the_row_or_says_why_not(
    row: dict[str, Any], expected: str
) -> None:
    assert recognise(from_json(row)) == recognise(nested(row)) == expected


def test_where_no_shape_fits_or_several_do_the_columns_and_the_choices_are_said() -> None:
    with pytest.raises(DataError) as caught:
        recognise(from_json({"text": "x", "label": "y"}))
    message = str(caught.value)
    assert message.startswith("the rows have no known shape (columns: text, label); name `input` and `target`")
    assert all(f"\n  {name}: {find('shapes', name).config_type.wants}" in message for name in names("shapes"))
    with pytest.raises(DataError, match=r"look like alpaca and question_answer; say which .*columns: instruction"):
        recognise(from_json({"instruction": "x", "output": "y", "question": "x", "answer": "y"}))
    with pytest.raises(DataError, match="no known shape"):
        recognise(from_json({"messages": "Hello", "conversations": [1]}))
    with pytest.raises(DataError, match="no known shape"):  # verdicts on single completions, half of them bad
        recognise(from_json({"prompt": "x", "completion": "y", "label": False}))
