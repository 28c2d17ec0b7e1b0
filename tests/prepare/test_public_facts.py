"""What is known of the public sets is found by prepare: duplicates, conflicts, and test rows that stand in train."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftkit.contracts import Context
from ftkit.records import read_jsonl
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, run


@dataclass(frozen=True)
class Found:
    """What prepare did to train rows, by step, and the test rows that stood in train."""

    dropped: Counter[str]
    flagged: Counter[str]
    leaks: list[dict[str, Any]]
    test_rows_in_train: dict[str, int]


def prepared(tmp_path: Path, train: Any, test: Any, *clean: Any, identity: str | None = None) -> Found:
    """Rows of `train` after these steps, held against those of `test`; valid is a row that is like no other."""
    text = "zyx wvu tsr qpo nml"
    valid = tmp_path / "valid.jsonl"
    valid.write_text(
        json.dumps({"text": text, "answer": text, "userInput": {"text": text}, "context": "", "labels": ""})
    )
    given = {"jsonl": {"path": str(valid), "input": "text", "target": "answer"}}
    split = {"valid": given, "test": test}
    data = {"source": train, "clean": list(clean), "split": split, "decontaminate": {"identity": identity}}
    config = PrepareConfig.model_validate({"task": "generate", "seed": 17, "data": data})
    done: Prepared = run(config, tmp_path, Context())
    events = list(read_jsonl(tmp_path / "ledger.jsonl"))
    held_out = {row.id for name in ("valid", "test") for row in done.split(name)}
    on_train = [event for event in events if event["id"] not in held_out]
    counts = {
        action: Counter(event["step"] for event in on_train if event["action"] == action) for action in ("drop", "flag")
    }
    leaks = [event for event in on_train if event["step"] == "decontaminate" and event["action"] == "drop"]
    return Found(counts["drop"], counts["flag"], leaks, dict(done.summary.stood_in_train["test"]))


SAME_TEXT = {"exact_dedup": {"target": "any"}}
IDENTICAL = {"exact_dedup": {"target": "any", "normalize": "none"}}


def banking77(shared_data: Path, name: str) -> dict[str, Any]:
    return {"csv": {"path": str(shared_data / "banking77" / f"{name}.csv"), "input": "text", "target": "category"}}


def clinc150(shared_data: Path, name: str, rows: str) -> dict[str, Any]:
    path = str(shared_data / "clinc150" / f"{name}.json")
    return {"json": {"path": path, "rows": rows, "columns": ["text", "label"], "input": "text", "target": "label"}}


def goemotions(shared_data: Path, name: str) -> dict[str, Any]:
    path = str(shared_data / "goemotions" / f"{name}.tsv")
    columns = {"columns": ["text", "labels", "id"], "id": "id", "input": "text", "target": "labels"}
    return {"csv": {"path": path, **columns}}


def restaurant8k(shared_data: Path, name: str) -> dict[str, Any]:
    path = str(shared_data / "restaurant8k" / f"{name}.json")
    return {"json": {"path": path, "input": "{userInput.text}", "target": "{userInput.text}"}}


def aqua(shared_data: Path, name: str) -> dict[str, Any]:
    return {"jsonl": {"path": str(shared_data / "aqua" / name), "input": "question", "target": "correct"}}


def test_banking77_repeats_28_texts_and_29_test_rows_stand_in_train(tmp_path: Path, shared_data: Path) -> None:
    """31 by their words: three of those differ in a currency or a smiley."""
    train, test = banking77(shared_data, "train"), banking77(shared_data, "test")
    found = prepared(tmp_path, train, test, SAME_TEXT)
    assert found.dropped["exact_dedup"] == 28
    assert found.test_rows_in_train == {"identical": 0, "equal": 29}


def test_banking77_has_no_identical_texts(tmp_path: Path, shared_data: Path) -> None:
    found = prepared(tmp_path, banking77(shared_data, "train"), banking77(shared_data, "test"), IDENTICAL)
    assert found.dropped["exact_dedup"] == 0


def test_two_test_rows_of_clinc150_stand_in_train_and_28_as_compared(tmp_path: Path, shared_data: Path) -> None:
    """19 after normalising, nine more without spaces: "dont" and "don't"."""
    found = prepared(tmp_path, clinc150(shared_data, "data_full", "train"), clinc150(shared_data, "data_full", "test"))
    assert found.test_rows_in_train == {"identical": 2, "equal": 28}


def test_the_small_clinc150_is_contained_in_the_full_one(tmp_path: Path, shared_data: Path) -> None:
    full, small = clinc150(shared_data, "data_full", "train"), clinc150(shared_data, "data_small", "train")
    assert prepared(tmp_path, full, small).test_rows_in_train["identical"] == 7500


def test_goemotions_repeats_183_texts_exactly(tmp_path: Path, shared_data: Path) -> None:
    found = prepared(tmp_path, goemotions(shared_data, "train"), goemotions(shared_data, "test"), IDENTICAL)
    assert found.dropped["exact_dedup"] == 183
    assert found.test_rows_in_train == {"identical": 37, "equal": 93}


def test_goemotions_repeats_479_texts_after_normalising(tmp_path: Path, shared_data: Path) -> None:
    # 554 by their words: the others differ in an emoji, a smiley or a sign
    found = prepared(tmp_path, goemotions(shared_data, "train"), goemotions(shared_data, "test"), SAME_TEXT)
    assert (found.dropped["exact_dedup"], found.flagged["exact_dedup"]) == (479, 0)


def test_150_rows_of_goemotions_have_one_of_58_texts_under_several_label_sets(
    tmp_path: Path, shared_data: Path
) -> None:
    step = {"label_conflicts": {"action": "flag", "normalize": "none"}}
    found = prepared(tmp_path, goemotions(shared_data, "train"), goemotions(shared_data, "test"), step)
    assert found.flagged["label_conflicts"] == 150
    flagged = {event["id"] for event in read_jsonl(tmp_path / "ledger.jsonl") if event["step"] == "label_conflicts"}
    texts = {row["input"] for row in read_jsonl(tmp_path / "train.jsonl") if row["id"] in flagged}
    dropped = {row["input"] for row in read_jsonl(tmp_path / "dropped.jsonl") if row["id"] in flagged}
    assert len(texts | dropped) == 58


@pytest.mark.parametrize(("large", "small", "count"), [("0", "3", 1024), ("3", "5", 256), ("5", "8", 32)])
def test_the_small_sets_of_restaurant8k_are_contained_in_the_large_ones(
    large: str, small: str, count: int, tmp_path: Path, shared_data: Path
) -> None:
    train, test = restaurant8k(shared_data, f"train_{large}"), restaurant8k(shared_data, f"train_{small}")
    found = prepared(tmp_path, train, test, identity="{userInput.text}\n{context}\n{labels}")
    assert found.test_rows_in_train["identical"] == count


@pytest.mark.parametrize("identity", [None, "{userInput.text}\n{context}"])
def test_test_rows_of_restaurant8k_stand_in_train_whatever_else_an_identity_compares(
    identity: str | None, tmp_path: Path, shared_data: Path
) -> None:
    train, test = restaurant8k(shared_data, "train_0"), restaurant8k(shared_data, "test")
    found = prepared(tmp_path, train, test, identity=identity).test_rows_in_train
    assert (found["identical"], found["equal"]) == (140, 294)


def test_aqua_has_254_pairs_that_differ_in_formatting(tmp_path: Path, shared_data: Path) -> None:
    found = prepared(tmp_path, aqua(shared_data, "dev.json"), aqua(shared_data, "dev.tok.json"))
    assert len(found.leaks) == 252  # the others are below a similarity of 0.8
    assert sum(event["reason"].startswith("equal to") for event in found.leaks) == 238
