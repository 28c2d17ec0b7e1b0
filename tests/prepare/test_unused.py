"""What rows carry and nothing reads is said by name, once, for every shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden_examples import Shape, golden
from shaping import assistant, from_json, nested, user

from ftkit.contracts import Context, Quiet
from ftkit.prepare.shapes import recognise
from ftkit.prepare.unused import REJECTED, Unused
from ftkit.recipe.schema import DataRecipe
from ftkit.registry import Choice, choice_of, names
from ftkit.run.stages.prepare import PrepareConfig, run


@pytest.mark.parametrize("name", names("shapes"))
def test_a_column_that_no_shape_reads_is_named_and_none_that_it_reads(name: str) -> None:
    example = golden(Shape, name)
    shape = choice_of("shapes").model_validate({name: example.options})
    good = [row for row in example.rows if row["id"] not in example.faults]
    red = [{**row, "colour": "red"} for row in good]
    before = named(shape, good)
    assert "colour" not in before
    assert named(shape, red) == named(shape, [*good * 60, *red]) == before | {"colour"}
    assert named(shape, red, "colour") == before


def named(shape: Choice, rows: list[dict[str, Any]], *more: str) -> set[str]:
    """What is not used of rows that are read fifty at a time."""
    unused = Unused(["id", *more])
    for begin in range(0, len(rows), 50):
        table = from_json(*rows[begin : begin + 50])
        unused.look(shape, table, shape(table))
    return {name for note in unused.notes() for name in note.removeprefix("not used: ").split(", ")}


def said_of(folder: Path, rows: list[dict[str, Any]], **source: Any) -> list[str]:
    """What prepare says of the source of some rows."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = {"name": "r", "task": "generate", "data": {"source": {"jsonl": {"path": str(path), **source}}, "clean": []}}
    said = Quiet()
    (folder / "out").mkdir()
    run(PrepareConfig.of(DataRecipe.model_validate(asked)), folder / "out", Context(progress=said))
    return [line for line in said.said if "used" in line or "rejected" in line]


def test_columns_beside_input_and_target_are_named_once(tmp_path: Path) -> None:
    rows = [{"input": f"text {n}", "target": str(n), "category": "a", "owner": "b", "empty": None} for n in range(30)]
    assert said_of(tmp_path, rows) == ["source: not used: category, owner"]


def test_fields_of_messages_that_are_not_read_are_named(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"text {n}", "name": "Ann"},
                {"role": "assistant", "content": str(n), "reasoning_content": "since …", "weight": 1},
            ]
        }
        for n in range(30)
    ]
    assert said_of(tmp_path, rows) == ["source: not used: messages.name, messages.reasoning_content"]


def test_that_rejected_answers_teach_nothing_is_said(tmp_path: Path) -> None:
    rows = [{"prompt": f"text {n}", "chosen": str(n), "rejected": "no"} for n in range(30)]
    assert said_of(tmp_path, rows) == [f"source: {REJECTED}"]


def chat(number: int, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"text {number}"}, {"role": "assistant", "content": str(number), **more}]
    return {"messages": turns}


def pair(number: int, **more: Any) -> dict[str, Any]:
    return {"input": f"text {number}", "target": str(number), **more}


LATE = {
    "a column": (pair, {"owner": "Ann"}, "owner"),
    "a field of messages": (chat, {"reasoning_content": "since …"}, "messages.reasoning_content"),
    "a number in place of null": (pair, {"score": 3}, "score"),
}


@pytest.mark.parametrize(("make", "more", "name"), LATE.values(), ids=LATE)
@pytest.mark.parametrize("is_null", [True, False])
def test_what_only_later_rows_carry_is_named_too(
    make: Any, more: dict[str, Any], name: str, is_null: bool, tmp_path: Path
) -> None:
    before = dict.fromkeys(more) if is_null else {}
    rows = [make(n, **(more if n >= 60 else before)) for n in range(120)]
    assert said_of(tmp_path, rows) == [f"source: not used: {name}"]


CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
WITHIN: dict[str, tuple[dict[str, Any], str]] = {
    "ids of tool calls": (chat(1, tool_calls=[CALL]), "messages.tool_calls.id"),
    "a call of another role": ({"messages": [user("Hi") | {"tool_calls": [CALL]}, assistant("Yes")]},
                               "messages.tool_calls"),
    "a text beside the content": (chat(1, text="more"), "messages.text"),
    "a weight that is neither 0 nor 1": (chat(1, weight=0.5), "messages.weight other than 0 and 1 (it counts as 1)"),
    "parts of a content": ({"messages": [user([{"type": "text", "text": "Hi", "cache": "yes"}]),
                                         assistant([{"type": "text", "text": "Yes"}])]}, "messages.content.cache"),
    "turns after the last answer": ({"messages": [user("Hi"), assistant("Yes"), user("Thanks")]},
                                    "messages after the last answer"),
    "further answers": ({"question": "Who?", "answers": ["Ada", "Ann"]}, "answers after the first"),
    "places of answers": ({"question": "Who?", "answers": {"text": ["Ada", "Ada"], "answer_start": [0, 0]}},
                          "answers.answer_start"),
    "a prompt's messages": ({"prompt": [user("Who?") | {"name": "Ann"}], "completion": "Ada"},
                            "prompt.name"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "name"), WITHIN.values(), ids=WITHIN)
@pytest.mark.parametrize("read", [from_json, nested])
def test_what_stands_beside_what_is_read_is_named(row: dict[str, Any], name: str, read: Any) -> None:
    table = read(row)
    shape = choice_of("shapes").model_validate(recognise(table))
    unused = Unused(["id"])
    unused.look(shape, table, shape(table))
    assert unused.notes() == [f"not used: {name}"]


@pytest.mark.parametrize("read", [from_json, nested])
def test_what_stands_beside_a_nested_input_is_named(read: Any) -> None:
    shape = choice_of("shapes").model_validate({"columns": {"input": "a.b", "target": "a.d.e"}})
    rows = [{"a": {"b": "x", "c": None, "d": {"e": "y", "f": None}}}] * 60
    rows += [{"a": {"b": '"n": 1', "c": n, "d": {"e": "y", "f": "z"}}} for n in range(3)]
    assert set(shape(read(*rows)).unread) == {"a.c", "a.d.f"}
    assert set(shape(read(*rows[:60])).unread) == set()


def test_plain_conversations_leave_nothing_unread(tmp_path: Path) -> None:
    rows = [chat(n, weight=n % 2, tool_calls=[]) for n in range(30)]
    rows += [{"messages": [*chat(n)["messages"], *chat(n, weight=1)["messages"]]} for n in range(30)]
    assert said_of(tmp_path, [row for row in rows if row["messages"][-1].get("weight") != 0]) == []


def test_of_very_many_names_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    rows = [pair(n, **{f"c{m}": m for m in range(43)}) for n in range(30)]
    assert said_of(tmp_path, rows) == [f"source: not used: {', '.join(f'c{m}' for m in range(40))} and 3 more"]
