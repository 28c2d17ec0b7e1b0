"""What holds for prepare whatever the rows are: all are accounted for, and neither order nor repetition matters."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from golden_examples import Split, golden
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.records import read_jsonl
from ftkit.registry import names
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, run

WORDS = ["parcel", "money", "screen", "courier", "refund", "login", "late", "door", "card", "phone", "van", "bank"]
CLEAN: list[Any] = [
    "fix_text",
    "whitespace",
    {"length": {"min_words": 2}},
    {"pattern": {"drop": "phone phone"}},
    {"exact_dedup": {"keep": "longest"}},
    {"near_dedup": {"keep": "longest", "threshold": 0.7}},
    "label_conflicts",
    {"balance": {"max_per_label": 30}},
]


def made_up(seed: int, count: int = 80) -> list[dict[str, str]]:
    """Rows of random words; a third of them repeat or nearly repeat an earlier one."""
    dice = random.Random(seed)
    rows: list[dict[str, str]] = []
    for number in range(count):
        words = dice.choices(WORDS, k=dice.randrange(1, 12))
        if rows and dice.random() < 0.35:
            words = dice.choice(rows)["text"].split()
            if dice.random() < 0.5:
                words[dice.randrange(len(words))] = dice.choice(WORDS)
        text = dice.choice([" ", "  "]).join(words) + dice.choice(["", "!", "<br>", " é"])
        label, day = dice.choice("ab"), f"2024-05-{dice.randrange(1, 29):02}"
        rows.append({"name": f"r{number}", "text": text, "label": label, "customer": f"c{number % 23}", "day": day})
    return rows


def prepared(folder: Path, rows: list[dict[str, str]], clean: list[Any], **split: Any) -> Prepared:
    folder.mkdir()
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = {"jsonl": {"path": str(path), "input": "text", "target": "label", "id": "name"}}
    data = {"source": source, "clean": clean, "split": {"valid": 0.15, "test": 0.2, **split}}
    config = PrepareConfig.model_validate({"task": "classify", "seed": 17, "data": data})
    (folder / "out").mkdir()
    return run(config, folder / "out", Context())


def split_of(done: Prepared) -> dict[str, str]:
    return {row.id: name for name in ("train", "valid", "test") for row in done.split(name)}


slowly = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@slowly
@given(seed=st.integers(0, 10**6), way=st.sampled_from(names("splitting")))
def test_every_row_is_in_one_split_or_dropped_once(
    seed: int, way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = made_up(seed)
    split = {"by": {way: golden(Split, way).options}, "group": "customer", "time": "day"}
    try:
        done = prepared(tmp_path_factory.mktemp("p") / "one", rows, CLEAN, **split)
    except DataError as error:
        assert "would be empty" in str(error) or "is left" in str(error)
        return
    dropped = [event["id"] for event in read_jsonl(done.path / "ledger.jsonl") if event["action"] == "drop"]
    assert sorted([*split_of(done), *dropped]) == sorted(row["name"] for row in rows)
    assert sorted(row["id"] for row in read_jsonl(done.path / "dropped.jsonl")) == sorted(dropped)
    assert sum(done.summary.rows.values()) + len(dropped) == len(rows)
    groups = {name: {row.group for row in done.split(name)} for name in ("train", "valid", "test")}
    assert not groups["train"] & groups["test"] and not groups["valid"] & groups["test"]


@slowly
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_rows_changes_nothing(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = made_up(seed)
    shuffled = random.Random(seed).sample(rows, len(rows))
    folder = tmp_path_factory.mktemp("p")
    one = prepared(folder / "one", rows, CLEAN, by="random")
    two = prepared(folder / "two", shuffled, CLEAN, by="random")
    assert split_of(one) == split_of(two)
    for name in ("train", "valid", "test"):
        assert sorted(one.split(name), key=lambda row: row.id) == sorted(two.split(name), key=lambda row: row.id)


@slowly
@given(seed=st.integers(0, 10**6))
def test_cleaning_what_was_cleaned_drops_nothing_more(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("p")
    steps = CLEAN[:6]
    first = prepared(folder / "one", made_up(seed), steps, by="random")
    kept = [row for name in ("train", "valid", "test") for row in first.split(name)]
    again = [{"name": row.id, "text": row.input, "label": row.target} for row in kept]
    second = prepared(folder / "two", again, steps, by="random")
    events = [event for event in read_jsonl(second.path / "ledger.jsonl") if event["step"] != "decontaminate"]
    assert [event for event in events if event["action"] in ("drop", "change")] == []


@slowly
@given(seed=st.integers(0, 10**6), appended=st.integers(1, 40))
def test_rows_that_are_appended_move_no_row_of_a_hash_split(
    seed: int, appended: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("p")
    before = split_of(prepared(folder / "one", made_up(seed, 80), [], by="hash"))
    after = split_of(prepared(folder / "two", made_up(seed, 80 + appended), [], by="hash"))
    assert {name: after[name] for name in before if name in after}.items() <= before.items()
