"""Rows on disk: what was written is what is read, whole, in batches, by position and in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit import rows as rows_module
from ftkit.rows import Rows, cut, in_order

TABLE = polars.DataFrame({"id": ["a", "b", "c", "d", "e"], "input": ["one", "two", "", "vier", "五"]})


def halves(table: polars.DataFrame) -> list[polars.DataFrame]:
    return [table.head(2), table.slice(2)]


@pytest.fixture(params=["memory", "file"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Rows:
    return Rows.of(TABLE) if request.param == "memory" else Rows.write(tmp_path / "rows.arrow", halves(TABLE))


def test_rows_come_back_as_they_were_written(stored: Rows) -> None:
    assert len(stored) == 5
    assert stored.columns == ["id", "input"]
    assert polars.concat(list(stored)).equals(TABLE)
    assert polars.concat(list(stored.batches("input"))).equals(TABLE.select("input"))
    assert stored.column("id").to_list() == ["a", "b", "c", "d", "e"]


def test_rows_are_taken_by_position_in_any_order_and_more_than_once(stored: Rows) -> None:
    assert stored.take(np.array([4, 0, 4, 2]), "input")["input"].to_list() == ["五", "one", "五", ""]
    assert stored.take(np.array([], np.int64), "id").height == 0


def test_no_rows_still_have_columns(tmp_path: Path) -> None:
    empty = Rows.write(tmp_path / "rows.arrow", [TABLE.clear()])
    assert len(empty) == 0
    assert empty.column("id").to_list() == []
    assert next(in_order(empty, polars.DataFrame({"key": []}), tmp_path)).columns == [
        "id",
        "input",
    ]


def test_a_history_of_messages_survives() -> None:
    history = [[{"role": "user", "content": "hi"}], []]
    table = polars.DataFrame({"id": ["a", "b"], "history": history})
    assert Rows.of(table).column("history").to_list() == history


@given(keys=st.lists(st.integers(0, 5), min_size=1, max_size=60), size=st.integers(1, 20))
def test_rows_in_order_are_sorted_and_ties_keep_their_order(
    keys: list[int], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    table = polars.DataFrame({"id": [f"r{place}" for place in range(len(keys))]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "SORT_ROWS", 7)  # several buckets
        made = Rows.write(folder / "rows.arrow", table.iter_slices(size))
        ordered = [name for batch in in_order(made, polars.DataFrame({"key": keys}), folder) for name in batch["id"]]
    assert ordered == [f"r{place}" for place in sorted(range(len(keys)), key=lambda place: (keys[place], place))]
    assert [path.name for path in folder.iterdir()] == ["rows.arrow"]


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=4), size=st.integers(1, 5))
def test_cut_gives_the_first_rows_then_the_next_whatever_the_batches(counts: list[int], size: int) -> None:
    table = polars.DataFrame({"id": range(max(sum(counts), 1))})
    parts = [polars.concat(part)["id"].to_list() for part in cut(table.iter_slices(size), counts)]
    ends = [sum(counts[: place + 1]) for place in range(len(counts))]
    assert parts == [list(range(end - count, end)) for count, end in zip(counts, ends, strict=True)]
