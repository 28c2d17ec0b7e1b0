"""What rows carry and nothing reads is said by name, once, for every shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden_examples import Shape, golden
from shaping import from_json

from ftkit.contracts import Context, Quiet
from ftkit.prepare.unused import REJECTED, unused
from ftkit.recipe.schema import DataRecipe
from ftkit.registry import choice_of, names
from ftkit.run.stages.prepare import PrepareConfig, run


@pytest.mark.parametrize("name", names("shapes"))
def test_a_column_that_no_shape_reads_is_named_and_none_that_it_reads(name: str) -> None:
    example = golden(Shape, name)
    shape = choice_of("shapes").model_validate({name: example.options})
    good = [row for row in example.rows if row["id"] not in example.faults]
    before = unused(shape, from_json(*good), ["id"])
    after = unused(shape, from_json(*({**row, "colour": "red"} for row in good)), ["id"])
    assert [note for note in after if note not in before] == [
        f"not used: {', '.join(sorted([*_named(before), 'colour'], key=[*good[0], 'colour'].index))}"
    ]
    assert unused(shape, from_json(*({**row, "colour": "red"} for row in good)), ["id", "colour"]) == before


def _named(notes: list[str]) -> list[str]:
    return [name for note in notes if note.startswith("not used: ") for name in note[len("not used: ") :].split(", ")]


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
    assert said_of(tmp_path, rows) == ["source: fields of messages that are not used: name, reasoning_content"]


def test_that_rejected_answers_teach_nothing_is_said(tmp_path: Path) -> None:
    rows = [{"prompt": f"text {n}", "chosen": str(n), "rejected": "no"} for n in range(30)]
    assert said_of(tmp_path, rows) == [f"source: {REJECTED}"]
