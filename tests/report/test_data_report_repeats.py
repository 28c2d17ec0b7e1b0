"""What the data report finds twice: inputs and groups, in a split and between splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_folders import nine_rows, prepared, row

from ftkit.report.data.findings import findings
from ftkit.report.data.repeats import Place, SortedKeys, groups, repeats


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return nine_rows(tmp_path / "prepare")


def test_inputs_that_stand_twice_are_found_in_a_split_and_between_splits(folder: Path) -> None:
    repeats = findings(folder)["repeats"]
    assert repeats["inside"]["train"] == {"rows": 1, "pairs": [{"id": "t4", "kept_id": "t1"}]}
    assert repeats["between"] == [
        {"splits": ["train", "valid"], "rows": 0, "pairs": []},
        {"splits": ["train", "test"], "rows": 1, "pairs": [{"id": "e1", "kept_id": "t1"}]},
        {"splits": ["valid", "test"], "rows": 0, "pairs": []},
    ]


def test_the_same_input_after_another_history_is_no_repeat(tmp_path: Path) -> None:
    hi, bye = ([{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}] for text in ("hi", "bye"))
    train = [row("t1", "yes", history=hi), row("t2", "yes", history=bye), row("t3", "yes", history=[])]
    found = findings(prepared(tmp_path, train=train, test=[row("e1", "Yes!", history=bye)]))
    assert found["repeats"]["inside"]["train"]["rows"] == 0
    assert found["repeats"]["between"][1]["pairs"] == [{"id": "e1", "kept_id": "t2"}]
    assert found["suspicious"]["empty_history"]["train"] == {"rows": 1, "ids": ["t3"]}


def test_plain_texts_without_an_input_are_told_apart_by_their_targets(tmp_path: Path) -> None:
    train = [row("t1", "", "one text"), row("t2", "", "another text")]
    found = findings(prepared(tmp_path, train=train, test=[row("e1", "", "One text.")]))
    assert found["repeats"]["inside"]["train"]["rows"] == 0
    assert found["repeats"]["between"][1]["pairs"] == [{"id": "e1", "kept_id": "t1"}]
    assert found["words"]["splits"]["train"]["phrases"][0]["text"] == "text"


def test_texts_of_signs_only_are_the_same_where_the_signs_are(tmp_path: Path) -> None:
    found = findings(prepared(tmp_path, train=[row("t1", "👍"), row("t2", "👎"), row("t3", "👍 ")]))
    assert found["repeats"]["inside"]["train"]["pairs"] == [{"id": "t3", "kept_id": "t1"}]


def test_groups_are_counted_and_those_in_several_splits_found(folder: Path) -> None:
    groups = findings(folder)["groups"]
    assert groups["splits"]["train"] == {"groups": 3, "of_several_rows": 1}
    assert groups["largest"] == [{"group": "g1", "split": "train", "rows": 2, "ids": ["t1", "t2"]}]
    assert [each for each in groups["between"] if each["rows"]] == [
        {"splits": ["train", "test"], "rows": 1, "ids": ["e1"]}
    ]


def sorted_keys(splits: dict[str, list[int]]) -> list[SortedKeys]:
    return [SortedKeys.of(split, np.array(keys, np.uint64)) for split, keys in splits.items()]


keys = st.lists(st.integers(0, 9), max_size=12)


@settings(deadline=None)
@given(st.fixed_dictionaries({"train": keys, "valid": keys, "test": keys}))
def test_repeats_and_groups_are_those_that_a_look_at_one_row_after_another_finds(splits: dict[str, list[int]]) -> None:
    found, by_group = repeats(sorted_keys(splits)), groups(sorted_keys(splits))
    for split, own in splits.items():
        again = [(row, own.index(key)) for row, key in enumerate(own) if own.index(key) < row]
        assert found["inside"][split] == {"rows": len(again), "pairs": pairs_of(split, split, again)}
        assert by_group["splits"][split]["groups"] == len(set(own))
    for between, of_groups in zip(found["between"], by_group["between"], strict=True):
        one, other = between["splits"]
        shared = [(row, splits[one].index(key)) for row, key in enumerate(splits[other]) if key in splits[one]]
        assert between == {"splits": [one, other], "rows": len(shared), "pairs": pairs_of(other, one, shared)}
        assert of_groups["ids"] == [Place(other, row) for row, _ in shared]
    sizes = [own.count(key) for own in splits.values() for key in set(own) if own.count(key) > 1]
    assert [group["rows"] for group in by_group["largest"]] == sorted(sizes, reverse=True)[:20]


def pairs_of(split: str, earlier: str, rows: list[tuple[int, int]]) -> list[dict[str, Any]]:
    return [{"id": Place(split, row), "kept_id": Place(earlier, kept)} for row, kept in rows]


def test_of_equally_large_groups_that_of_the_first_row_comes_first_with_three_of_its_rows() -> None:
    (first, second) = groups(sorted_keys({"train": [7, 5, 5, 7, 7, 5, 5, 7, 1]}))["largest"]
    assert (first["group"], first["rows"]) == (Place("train", 0, "group"), 4)
    assert first["ids"] == [Place("train", row) for row in (0, 3, 4)]
    assert second["group"] == Place("train", 1, "group")
