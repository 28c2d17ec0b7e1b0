"""Prepare from Python and for others: rows in memory go in, and what comes out loads with the datasets library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftkit import DataRecipe, prepare_rows
from ftkit.artifacts import Prepared
from ftkit.errors import DataError

ROWS = [
    {"text": f"row {number} is {number * 7919}", "label": "ab"[number % 2], "trust": 1 + number % 2}
    for number in range(60)
]


def recipe(**source: Any) -> DataRecipe:
    named = {"jsonl": {"path": "rows.jsonl", "input": "text", "target": "label", **source}}
    data = {"source": named, "clean": ["exact_dedup"], "split": {"valid": 0.2, "test": 0.2}}
    return DataRecipe.model_validate({"name": "small", "task": "classify", "data": data})


def prepared(rows: Any, folder: Path, **source: Any) -> Prepared:
    return Prepared(prepare_rows(recipe(**source), rows, runs_dir=folder).artifacts["prepare"].path)


def test_rows_in_memory_stand_in_for_the_source(tmp_path: Path) -> None:
    done = prepared([*ROWS, ROWS[0]], tmp_path)
    assert done.summary["rows"] == {"train": 36, "valid": 12, "test": 12}
    assert done.summary["funnel"][0] == {"step": "exact_dedup", "rows_in": 61, "dropped": 1, "changed": 0, "flagged": 0}


def test_a_dataset_gives_the_same_rows_as_a_list(tmp_path: Path) -> None:
    import datasets

    columns = {"id": "name"}
    rows = [{"name": f"r{number}", **row} for number, row in enumerate(ROWS)]
    from_list = prepared(rows, tmp_path / "list", **columns)
    from_dataset = prepared(datasets.Dataset.from_list(rows), tmp_path / "dataset", **columns)
    for name in ("train", "valid", "test"):
        assert from_list.split(name) == from_dataset.split(name)


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:2: 'text' is 7; expected a string"):
        prepared([ROWS[0], {"text": 7, "label": "a"}], tmp_path)


def test_what_prepare_writes_loads_with_the_datasets_library(tmp_path: Path) -> None:
    import datasets

    done = prepared(ROWS, tmp_path, weight="trust")
    files = {name: str(done.path / f"{name}.jsonl") for name in ("train", "valid", "test")}
    loaded = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in loaded.items()} == done.summary["rows"]
    assert loaded["train"].column_names == ["id", "input", "target", "group", "weight"]
    assert loaded["test"]["input"] == [row.input for row in done.split("test")]
    assert [row.weight for row in done.split("test")] == loaded["test"]["weight"]
