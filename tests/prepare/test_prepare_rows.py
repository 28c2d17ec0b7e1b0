"""Prepare from Python and for others: rows in memory go in, and what comes out loads with the datasets library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftkit import DataRecipe, prepare_rows
from ftkit.contracts import Context, Quiet
from ftkit.errors import DataError
from ftkit.run.artifacts import Prepared
from ftkit.store import file_digest

ROWS = [
    {"text": f"row {number} is {number * 7919}", "label": "ab"[number % 2], "trust": 1 + number % 2}
    for number in range(60)
]


def recipe(*, split: Any = None, decontaminate: Any = None, path: str = "rows.jsonl", **source: Any) -> DataRecipe:
    named = {"jsonl": {"path": path, "input": "text", "target": "label", **source}}
    shares = {"valid": 0.2, "test": 0.2, **(split or {})}
    data = {"source": named, "clean": ["exact_dedup"], "split": shares, "decontaminate": decontaminate or {}}
    return DataRecipe.model_validate({"name": "small", "task": "classify", "data": data})


def prepared(rows: Any, folder: Path, **options: Any) -> Prepared:
    return Prepared(prepare_rows(recipe(**options), rows, runs_dir=folder).artifacts["prepare"].path)


def test_rows_in_memory_stand_in_for_the_source(tmp_path: Path) -> None:
    done = prepared([*ROWS, ROWS[0]], tmp_path)
    assert done.summary.rows == {"train": 36, "valid": 12, "test": 12}
    assert done.summary.funnel[0].as_json() == {
        "step": "exact_dedup",
        "rows_in": 61,
        "dropped": 1,
        "changed": 0,
        "flagged": 0,
    }


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
    assert {name: part.num_rows for name, part in loaded.items()} == done.summary.rows
    assert loaded["train"].column_names == ["id", "input", "target", "group", "weight"]
    assert loaded["test"]["input"] == [row.input for row in done.split("test")]
    assert [row.weight for row in done.split("test")] == loaded["test"]["weight"]


# --- columns that only some rows have ---------------------------------------------------------------------------------


def outcome(rows: Any, folder: Path, **options: Any) -> Any:
    """The splits, or the error."""
    try:
        done = prepared(rows, folder, **options)
    except DataError as error:
        return str(error).replace(str(folder), "")
    return {name: done.split(name) for name in ("train", "valid", "test")}


@pytest.mark.parametrize(
    "options",
    [
        {"split": {"group": "late"}},
        {"split": {"time": "late", "by": "time"}},
        {"decontaminate": {"identity": "{late}{text}"}},
        {"decontaminate": {"identity": "{late.deep}{text}"}},
        {"weight": "late"},
        {"input": "late"},
        {"target": "{label} {late.deep}"},
    ],
    ids=str,
)
def test_a_named_column_that_begins_in_row_150_is_taken_as_null_before(options: Any, tmp_path: Path) -> None:
    nested = "late.deep" in str(options)
    rows = [{"text": f"row {number} is {number * 7919}", "label": "ab"[number % 2]} for number in range(200)]
    late = [{"late": {"deep": f"c{number % 7}"} if nested else str(1 + number % 7)} for number in range(50)]
    absent = [*rows[:150], *({**row, **more} for row, more in zip(rows[150:], late, strict=True))]
    null = [{**row, "late": row.get("late")} for row in absent]
    assert outcome(absent, tmp_path / "absent", **options) == outcome(null, tmp_path / "null", **options)


def test_rows_without_the_column_of_groups_are_groups_of_their_own(tmp_path: Path) -> None:
    rows = [{"text": f"row {number} is {number * 7919}", "label": "ab"[number % 2]} for number in range(200)]
    done = prepared([*rows[:150], *({**row, "thread": "t"} for row in rows[150:])], tmp_path, split={"group": "thread"})
    groups = [row.group for name in ("train", "valid", "test") for row in done.split(name)]
    assert sorted(groups, key=str) == sorted([*(f"rows.jsonl:{n + 1}" for n in range(150)), *["t"] * 50])


# --- what is read is what is named ------------------------------------------------------------------------------------


class Editing(Quiet):
    """Appends a row to a file once prepare has begun: its content was hashed by then."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def say(self, text: str) -> None:
        if text == "prepare: started":
            with self.path.open("a") as file:
                file.write('{"text": "new", "label": "a"}\n')


def test_a_file_that_is_changed_between_hashing_and_reading_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"text": "row {n} is {n * 7919}", "label": "{"ab"[n % 2]}"}}\n' for n in range(60)))
    named = recipe(path=str(path))
    with pytest.raises(DataError, match=r"data\.source: .*t\.jsonl was changed while it was read; run again"):
        prepare_rows(named, runs_dir=tmp_path, ctx=Context(progress=Editing(path)))
    done = Prepared(prepare_rows(named, runs_dir=tmp_path).artifacts["prepare"].path)
    assert sum(done.summary.rows.values()) == 61
    assert done.summary.sources == {"source": file_digest(path)}


@pytest.fixture
def hashed() -> Iterator[list[str]]:
    """Paths of the files that are hashed, once there is something in the list."""
    seen: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if seen and event == "open" and sys._getframe(1).f_code.co_name == "open":
            caller = sys._getframe(2)
            if caller.f_code is file_digest.__code__:
                seen.append(str(arguments[0]))

    sys.addaudithook(hook)  # cannot be taken away again, so it is switched off
    yield seen
    seen.clear()


def test_a_source_is_hashed_once_a_run(tmp_path: Path, hashed: list[str]) -> None:
    hashed.append("on")
    prepared(ROWS, tmp_path)
    assert hashed.count(str(tmp_path / "small" / "rows.jsonl")) == 1
