"""Rows in memory and on disk: what was written is what is read, whole, in batches, by position and in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.prepare import rows as rows_module
from ftkit.prepare.rows import Rows, cut, in_order

TABLE = polars.DataFrame({"id": ["a", "b", "c", "d", "e"], "input": ["one", "two", "", "vier", "五"]})


def halves(table: polars.DataFrame) -> list[polars.DataFrame]:
    return [table.head(2), table.slice(2)]


@pytest.fixture(params=["memory", "file"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Rows:
    made = Rows.kept if request.param == "memory" else Rows.write
    return made(tmp_path / "rows.arrow", halves(TABLE))


def test_rows_come_back_as_they_were_written(stored: Rows) -> None:
    assert len(stored) == 5
    assert stored.columns == ["id", "input"]
    assert polars.concat(list(stored)).equals(TABLE)
    assert polars.concat(list(stored.batches("input"))).equals(TABLE.select("input"))
    assert stored.column("id").to_list() == ["a", "b", "c", "d", "e"]


def test_rows_are_taken_by_position_in_any_order_and_more_than_once(stored: Rows) -> None:
    assert stored.take(np.array([4, 0, 4, 2]), "input")["input"].to_list() == ["五", "one", "五", ""]
    assert stored.take(np.array([], np.int64), "id").height == 0


def test_rows_that_are_left_out_are_as_if_they_had_not_been_written(stored: Rows) -> None:
    rest = stored.only(polars.Series([True, False, True, True, True])).only(polars.Series([False, True, True, True]))
    assert len(rest) == 3
    assert polars.concat(list(rest)).equals(TABLE[[2, 3, 4]])
    assert rest.column("id").to_list() == ["c", "d", "e"]
    assert rest.take(np.array([2, 0]), "id")["id"].to_list() == ["e", "c"]
    assert len(stored.only(polars.Series([False] * 5)).column("id")) == 0
    assert len(stored) == 5


def test_columns_are_put_in_place_of_others_and_beside_them(stored: Rows, tmp_path: Path) -> None:
    some = stored.only(polars.Series([False, False, True, False, True]))
    new = some.with_columns(tmp_path / "more", {"input": polars.Series(["C", "E"]), "size": polars.Series([1, None])})
    assert new.columns == ["id", "input", "size"]
    assert next(new.batches("size", "id")).columns == ["size", "id"]
    assert polars.concat(list(new)).rows() == [("c", "C", 1), ("e", "E", None)]
    assert new.only(polars.Series([False, True])).column("input").to_list() == ["E"]
    assert some.column("input").to_list() == ["", "五"]


def test_few_rows_are_kept_in_memory_and_many_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.arrow"
    few = Rows.kept(path, halves(TABLE))
    assert not path.exists()
    monkeypatch.setattr(rows_module, "KEEP_BYTES", 50)
    many = Rows.kept(path, halves(TABLE))
    assert polars.concat(list(few)).equals(polars.concat(list(many)))
    many.delete()
    assert not path.exists()


def test_texts_that_were_left_out_do_not_stay_in_memory(tmp_path: Path) -> None:
    batches = [polars.DataFrame({"id": ["x" * 1000] * 1000, "n": range(1000)}) for _ in range(3)]
    kept = Rows.kept(tmp_path / "kept", [batch.filter(polars.col("n") == 5) for batch in batches])
    masked = Rows.of(polars.concat(batches)).only(polars.Series([place % 1000 == 5 for place in range(3000)]))
    assert [held_bytes(batch) // 1000 for batch in (batches[0].head(1), *kept, *masked)] == [1000, 1, 1, 1, 3]
    assert polars.concat(list(kept)).equals(polars.concat(list(masked)))


def held_bytes(table: polars.DataFrame) -> int:
    return table.to_arrow(compat_level=polars.CompatLevel.newest()).get_total_buffer_size()


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
