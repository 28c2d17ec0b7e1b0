"""The numbers of the data report, and the rows behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_folders import nine_rows, prepared, row

from ftkit.errors import DataError
from ftkit.report.data import prepared_rows
from ftkit.report.data.findings import findings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return nine_rows(tmp_path / "prepare")


def test_rows_that_came_are_those_kept_and_dropped_less_those_added(folder: Path) -> None:
    splits = {"train": 4, "valid": 1, "test": 1}
    assert findings(folder)["rows"] == {"came": 9, "dropped": 4, "added": 1, "kept": 6, "splits": splits}


def test_events_are_counted_by_reason_without_numbers_and_names(folder: Path) -> None:
    steps = {(step["step"], step["action"]): step for step in findings(folder)["steps"]}
    assert [(*key, step["rows"], step["events"]) for key, step in steps.items()] == [
        ("read", "drop", 1, 1),
        ("length", "drop", 1, 1),
        ("fix_text", "change", 1, 2),
        ("near_dedup", "drop", 2, 2),
        ("label_errors", "flag", 2, 2),
        ("augment", "add", 1, 1),
    ]
    assert steps["length", "drop"]["reasons"] == [{"reason": "… words, fewer than …", "events": 1}]
    assert steps["label_errors", "flag"]["reasons"] == [{"reason": "'…' by …, '…' by …", "events": 2}]


def test_pairs_begin_with_the_least_alike_and_flags_with_the_highest_score(folder: Path) -> None:
    steps = {step["step"]: step for step in findings(folder)["steps"]}
    near = steps["near_dedup"]
    assert [(pair["id"], pair["kept_id"], pair["score"]) for pair in near["examples"]] == [
        ("d2", "t1", 0.8),
        ("d3", "t1", 0.91),
    ]
    assert (near["pairs"], near["similarities"]) == (
        2,
        [{"from": 0.8, "to": 0.85, "pairs": 1}, {"from": 0.9, "to": 0.95, "pairs": 1}],
    )
    assert [example["id"] for example in steps["label_errors"]["examples"]] == ["t4", "t2"]
    assert steps["augment"]["pairs"] == 0


def test_lengths_have_a_mean_quantiles_of_rows_and_bars(folder: Path) -> None:
    lengths = {(each["side"], each["unit"]): each for each in findings(folder)["lengths"]}
    words = lengths["input", "words"]
    train = words["splits"]["train"]  # 4, 4, 3 and 4 words
    assert train["mean"] == 3.75
    assert [(point["share"], point["value"], point["id"]) for point in train["quantiles"]] == [
        *[(0.0, 3, "t3"), (0.05, 3, "t3"), (0.25, 3, "t3"), (0.5, 4, "t1")],
        *[(0.75, 4, "t1"), (0.95, 4, "t1"), (1.0, 4, "t1")],
    ]
    assert words["bars"] == {"begin": 2, "width": 1, "last_is_open": False}  # v1 has two words
    assert (train["bars"], words["splits"]["valid"]["bars"]) == ([0, 1, 3], [1, 0, 0])
    assert lengths["input", "characters"]["splits"]["test"]["mean"] == len("where is my: parcel")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60))
def test_quantiles_and_bars_are_those_of_numpy(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    rows = [row(f"r{place}", "x" * length) for place, length in enumerate(lengths)]
    each = findings(prepared(tmp_path_factory.mktemp("data"), train=rows))["lengths"][0]
    found = each["splits"]["train"]
    for point in found["quantiles"]:
        assert point["value"] == np.quantile(lengths, point["share"], method="inverted_cdf")
        assert lengths[int(point["id"][1:])] == point["value"]
    begin, width, bars = each["bars"]["begin"], each["bars"]["width"], found["bars"]
    edges = [begin + width * place for place in range(len(bars))] + [max(*lengths, begin + width * len(bars)) + 1]
    assert bars == np.histogram(lengths, edges)[0].tolist()
    assert len(bars) <= 24
    assert each["bars"]["last_is_open"] == (max(lengths) >= begin + width * len(bars))


def test_labels_are_counted_and_those_that_are_missing_are_named(folder: Path) -> None:
    labels = findings(folder)["labels"]
    assert [
        (each["label"], {split: number["rows"] for split, number in each["splits"].items()})
        for each in labels["counts"]
    ] == [
        ("a", {"train": 2, "valid": 1, "test": 1}),
        ("b", {"train": 2, "valid": 0, "test": 0}),
        ("c", {"train": 0, "valid": 0, "test": 0}),
    ]
    assert labels["counts"][0]["splits"]["train"]["ids"] == ["t1", "t2"]
    assert labels["absent"] == {"train": ["c"], "valid": ["b", "c"], "test": ["b", "c"]}
    assert [(each["label"], each["rows"]) for each in labels["rarest"]] == [("c", 0), ("b", 2), ("a", 2)]


def test_suspicious_rows_are_named(folder: Path) -> None:
    odd = findings(folder)["suspicious"]
    assert odd["shortest"][0] == {"id": "t3", "length": 7}
    assert odd["longest"][0] == {"id": "t1", "length": 19}
    assert odd["target_in_input"]["train"] == {"rows": 1, "ids": ["t3"]}  # 'a' is no word of its own in 'parcel'
    assert odd["low_weight"] == {"rows": 2, "lowest": [{"id": "t2", "weight": 0.25}, {"id": "t3", "weight": 0.5}]}
    assert (odd["rare_labels"]["labels"], odd["rare_labels"]["rows"]) == (3, 4)
    assert odd["empty_history"] is None


def test_texts_are_those_of_the_rows_named_and_say_where_they_are(folder: Path) -> None:
    texts = findings(folder)["texts"]
    splits = {"t1": "train", "t2": "train", "t3": "train", "t4": "train", "v1": "valid", "e1": "test"}
    dropped = {"d1": "dropped by length", "d2": "dropped by near_dedup", "d3": "dropped by near_dedup"}
    assert {name: text["where"] for name, text in texts.items()} == splits | dropped
    assert texts["d2"]["input"] == "Where is the parcel?"


def test_how_much_is_read_at_a_time_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = findings(folder)
    monkeypatch.setattr(prepared_rows, "CHUNK_BYTES", 1)
    assert findings(folder) == whole
    assert findings(folder, threads=3) == whole


def test_splits_without_rows_have_no_numbers(tmp_path: Path) -> None:
    found = findings(prepared(tmp_path))
    assert found["rows"]["splits"] == {"train": 0, "valid": 0, "test": 0}
    assert (found["lengths"], found["suspicious"]["longest"], found["texts"]) == ([], [], {})


def test_a_damaged_or_missing_file_is_named(folder: Path) -> None:
    (folder / "dropped.jsonl").write_text('{"id": "x"\n')
    with pytest.raises(DataError, match=r"dropped\.jsonl: not what prepare wrote"):
        findings(folder)
    (folder / "dropped.jsonl").unlink()
    with pytest.raises(DataError, match=r"dropped\.jsonl: missing; run prepare again"):
        findings(folder)
