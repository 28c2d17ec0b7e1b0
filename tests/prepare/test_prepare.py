"""The whole stage: splits, ledger and summary from files, and what bad input gets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from similarity_by_hand import shingles

from ftkit.contracts import Context, Quiet
from ftkit.errors import DataError, RecipeError
from ftkit.prepare.summary import FunnelLine, Summary
from ftkit.records import read_jsonl
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, check, input_ids, run
from ftkit.store import read_record, write_json

TOPICS = {
    "delivery": "parcel courier doorstep late street driver tracking depot van",
    "refund": "money back returned paid account transfer weeks owed sum",
    "login": "password screen code phone locked reset account browser page",
}


def row(text: str, label: str = "delivery", **more: Any) -> dict[str, Any]:
    return {"input": text, "target": label, **more}


def tickets(count: int = 120) -> list[dict[str, Any]]:
    """Rows that are far from one another, 3 labels, 40 customers."""
    rows = []
    for number in range(count):
        label = sorted(TOPICS)[number % 3]
        words = TOPICS[label].split()
        text = f"{words[number % 9]} {number * 7919} {words[number * 5 % 9]} {number * 104729} why"
        rows.append(row(text, label, customer=f"c{number % 40}"))
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the rows; returns the source that reads them."""
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return {"jsonl": {"path": str(path)}}


def config(source: Any, *, task: Any = "classify", seed: int = 17, **data: Any) -> PrepareConfig:
    clean = ["fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts"]
    block = {"source": source, "clean": clean, **data}
    return PrepareConfig.model_validate({"task": task, "seed": seed, "data": block})


def prepared(config: PrepareConfig, folder: Path, ctx: Context | None = None) -> Prepared:
    folder.mkdir(exist_ok=True)
    return run(config, folder, ctx or Context())


def ledger(done: Prepared, *actions: str) -> list[tuple[str, str, str | None]]:
    """(step, id, kept_id) of the events with one of these actions."""
    rows = read_jsonl(done.path / "ledger.jsonl")
    return [(each["step"], each["id"], each["kept_id"]) for each in rows if each["action"] in actions]


def test_rows_are_dealt_by_share_and_summed_up(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", tickets())
    done = prepared(config(source), tmp_path / "out")
    assert {path.name for path in done.path.iterdir()} == Prepared.FILES
    summary = done.summary
    assert summary.labels == ("delivery", "login", "refund")
    assert summary.rows == {"train": 84, "valid": 12, "test": 24}
    assert summary.label_counts["test"] == {"delivery": 8, "login": 8, "refund": 8}
    assert [line.step for line in summary.funnel] == [
        "fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts", "decontaminate"
    ]  # fmt: skip
    assert {f"sources/{name}": found for name, found in summary.sources.items()} == input_ids(config(source), Context())
    inputs = [example.input for example in done.split("test")]
    assert summary.lengths["test"].input.characters_max == max(map(len, inputs))
    assert summary.lengths["test"].input.words_mean == 5.0


def test_the_summary_is_read_back_as_the_bytes_that_were_written(tmp_path: Path) -> None:
    path = prepared(config(write(tmp_path / "t.jsonl", tickets())), tmp_path / "out").path / "summary.json"
    write_json(tmp_path / "again.json", read_record(path, Summary).as_json())
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_added_rows_stand_in_the_funnel_only_where_there_are_some() -> None:
    line = FunnelLine(step="augment", rows_in=9, dropped=0, changed=0, flagged=0, added=3)
    assert list(line.as_json().values()) == ["augment", 9, 0, 0, 0, 3]
    assert "added" not in line.model_copy(update={"added": 0}).as_json()


def test_defects_are_dropped_flagged_or_changed_and_land_in_the_ledger(tmp_path: Path) -> None:
    long = "my card has not come yet and i wait for it since monday please tell me when it is here"
    extra = [
        row("   "),  # line 121
        row("Where is IT?"),
        row("where is it"),
        row(long),
        row(long.replace("monday", "tuesday")),
        row("cafÃ© closed"),
        row("who knows", "login"),  # line 127
        row("Who knows!", "refund"),
    ]
    source = write(tmp_path / "t.jsonl", tickets() + extra)
    done = prepared(config(source, split={"valid": 0.02, "test": 0.02}), tmp_path / "out")
    assert ledger(done, "change") == [("fix_text", "t.jsonl:126", None)]
    drops = ledger(done, "drop")
    assert drops[:3] == [
        ("length", "t.jsonl:121", None),
        ("exact_dedup", "t.jsonl:123", "t.jsonl:122"),
        ("near_dedup", "t.jsonl:125", "t.jsonl:124"),
    ]
    assert ledger(done, "flag") == [("near_dedup", "t.jsonl:128", "t.jsonl:127")]
    assert {name for step, name, _ in drops if step == "label_conflicts"} <= {"t.jsonl:127", "t.jsonl:128"}
    assert sum(done.summary.rows.values()) == 128 - len(drops)


def test_rows_of_one_customer_stay_together(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", tickets())
    done = prepared(config(source, split={"valid": 0.1, "test": 0.2, "group": "customer"}), tmp_path / "out")
    groups = {name: {each.group for each in done.split(name)} for name in ("train", "valid", "test")}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["valid"]
    assert set.union(*groups.values()) == {f"c{number}" for number in range(40)}


def test_given_rows_are_flagged_and_train_gives_way_to_them(tmp_path: Path) -> None:
    rows = tickets()
    test = [rows[0], rows[0], rows[1] | {"input": rows[1]["input"] + "?"}, row("new words here", "login")]
    source, given = write(tmp_path / "t.jsonl", rows), write(tmp_path / "test.jsonl", test)
    done = prepared(config(source, split={"valid": 0.1, "test": given}), tmp_path / "out")
    assert Counter(each.input for each in done.split("test"))[rows[0]["input"]] == 2
    assert len(done.split("test")) == 4
    assert ("exact_dedup", "test.jsonl:2", "test.jsonl:1") in ledger(done, "flag")
    groups = {each.id: each.group for each in done.split("test")}
    assert groups["test.jsonl:2"] == groups["test.jsonl:1"]  # one answer twice is not two proofs
    leaks = [event for event in ledger(done, "drop", "flag") if event[0] == "decontaminate"]
    assert set(leaks) == {
        ("decontaminate", "t.jsonl:1", "test.jsonl:2"),  # of two equal ones the first in the order of test
        ("decontaminate", "t.jsonl:2", "test.jsonl:3"),
    }


def test_no_train_row_is_near_to_a_held_out_row_even_without_cleaning(tmp_path: Path) -> None:
    sentence = "why does my parcel take so long to come to the door of my house in the north"
    words = sentence.split()
    near = [row(" ".join(w if n != k else f"x{k}" for n, w in enumerate(words)), "refund") for k in range(12)]
    source = write(tmp_path / "t.jsonl", tickets() + near + near)
    done = prepared(config(source, clean=[], split={"valid": 0.2, "test": 0.3}), tmp_path / "out")
    held_out = [each.input for name in ("valid", "test") for each in done.split(name)]
    assert any(text.startswith("why does") for text in held_out)
    train, others = [shingles(each.input) for each in done.split("train")], [shingles(text) for text in held_out]
    assert max(len(one & other) / len(one | other) for one in train for other in others) < 0.8
    assert any(step == "decontaminate" for step, _, _ in ledger(done, "drop"))


def test_limits_keep_the_first_rows_of_each_split(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", tickets())
    whole = prepared(config(source), tmp_path / "whole")
    done = prepared(config(source, limit={"train": 20, "test": 5}), tmp_path / "out")
    assert done.split("train") == whole.split("train")[:20]
    assert done.split("test") == whole.split("test")[:5]
    assert done.split("valid") == whole.split("valid")
    assert Counter(step for step, _, _ in ledger(done, "drop")) == {"limit": 64 + 19}


def test_ids_that_stand_in_two_sources_get_its_name_in_front(tmp_path: Path) -> None:
    rows = [each | {"key": number} for number, each in enumerate(tickets())]
    sources = [write(tmp_path / "t.jsonl", rows[:90]), write(tmp_path / "u.jsonl", rows[90:] + rows[:1])]
    for source in sources:
        source["jsonl"]["id"] = "key"
    done = prepared(config(sources[0], split={"valid": 0.1, "test": sources[1]}), tmp_path / "out")
    assert {each.id for each in done.split("test")} == {f"test/{n}" for n in (*range(90, 120), 0)}
    assert all(each.id == each.group for each in done.split("train"))


def test_to_generate_needs_no_labels(tmp_path: Path) -> None:
    rows = [row(f"what is {n} plus {n * n}?", str(n + n * n)) for n in range(60)]
    done = prepared(config(write(tmp_path / "t.jsonl", rows), task="generate"), tmp_path / "out")
    assert done.summary.labels == ()
    assert done.summary.label_counts == {"train": {}, "valid": {}, "test": {}}


def test_labels_keep_the_order_of_the_recipe(tmp_path: Path) -> None:
    task = {"classify": {"labels": ["refund", "login", "delivery", "other"]}}
    ctx = Context(progress=Quiet())
    done = prepared(config(write(tmp_path / "t.jsonl", tickets()), task=task), tmp_path / "out", ctx)
    assert done.summary.labels == ("refund", "login", "delivery", "other")
    assert "train has no row of 1 of 4 labels: other" in ctx.progress.said  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        (
            [row("a b", "x")] * 3 + [row("c", "x")],
            {},
            "data.source: all rows have the target 'x'; to classify",
        ),
        ([row(" "), row("")], {}, "data.clean: every row of data.source was dropped; dropped: length 2 of 2"),
        ([row("a", "x"), row("b", "y")], {}, "data.split: valid would be empty: 2 rows in 2 groups"),
        ([row("a", " "), row("b", "y")], {"clean": []}, "t.jsonl:1: the target is empty; mend the row"),
        (
            [row("a", "x"), row("b", "lgoin")],
            {"task": {"classify": {"labels": ["x", "login"]}}},
            "t.jsonl:2: target 'lgoin' is none of the labels of task.classify.labels; did you mean 'login'?",
        ),
        (
            tickets(),
            {"split": {"group": "custmer"}},
            "data.split.group: source has no column 'custmer'; did you mean 'customer'?",
        ),
        (
            [row("same", "x", k="1"), row("other", "y", k="1")],
            {"split": {"group": "k"}},
            "data.split: valid would be empty: 2 rows in 1 groups",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_an_error(
    rows: list[dict[str, Any]], options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        prepared(config(write(tmp_path / "t.jsonl", rows), **options), tmp_path / "out")
    assert str(caught.value).startswith(expected)


def test_a_given_row_of_an_unknown_label_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", tickets())
    given = write(tmp_path / "test.jsonl", [row("x", "login"), row("y", "refnud")])
    with pytest.raises(DataError, match=r"test.jsonl:2: target 'refnud' is none of the labels found"):
        prepared(config(source, split={"test": given}), tmp_path / "out")


def test_shares_that_leave_no_train_are_a_mistake_of_the_recipe(tmp_path: Path) -> None:
    source = write(tmp_path / "t.jsonl", tickets())
    with pytest.raises(RecipeError, match=r"data.split: valid 0.5 and test 0.5 leave no rows for train"):
        check(config(source, split={"valid": 0.5, "test": 0.5}), Context())


def test_check_looks_at_columns_and_first_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    source = write(path, tickets())
    path.write_text(path.read_text() + "broken far below\n")
    assert check(config(source), Context()) == {"source": ["id", "input", "target", "customer"]}
    path.write_text('{"input": 1, "target": "x"}\n')
    with pytest.raises(DataError, match=r"t.jsonl:1: 'input' is 1"):
        check(config(source), Context())
    with pytest.raises(DataError, match=r"nothing.jsonl: no such file"):
        check(config({"jsonl": {"path": str(tmp_path / "nothing.jsonl")}}), Context())


def test_only_the_labels_of_the_task_enter_the_key(tmp_path: Path) -> None:
    source = {"jsonl": {"path": "t.jsonl"}}
    one, other = (
        config(source, task={"generate": {"max_new_tokens": count}}).model_dump(mode="json") for count in (10, 20)
    )
    assert one == other
    assert one["task"] == {"generate": {}}
    labelled = config(source, task={"classify": {"labels": ["a", "b"]}}).model_dump(mode="json")
    assert labelled["task"] == {"classify": {"labels": ["a", "b"]}}


RUN = """
import sys
from pathlib import Path
from ftkit.contracts import Context
from ftkit.run.stages.prepare import PrepareConfig, run
source = {"jsonl": {"path": "data/support_tickets.jsonl", "input": "text", "target": "label", "id": "id"}}
clean = ["fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts"]
data = {"source": source, "clean": clean, "split": {"group": "customer"}}
config = PrepareConfig.model_validate({"task": "classify", "seed": 17, "data": data})
run(config, Path(sys.argv[1]), Context())
assert "torch" not in sys.modules
"""


def test_the_same_bytes_for_any_hash_seed(tmp_path: Path, root: Path) -> None:
    contents = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        out.mkdir()
        command = [sys.executable, "-c", RUN, str(out)]
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, cwd=root, check=True)
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert contents[0] == contents[1]


def test_every_planted_defect_of_the_sample_is_caught(tmp_path: Path, root: Path) -> None:
    truth = json.loads((root / "data" / "support_tickets.truth.json").read_text(encoding="utf-8"))
    path = str(root / "data" / "support_tickets.jsonl")
    source = {"jsonl": {"path": path, "input": "text", "target": "label", "id": "id"}}
    clean = [
        {"fix_text": {"also": ["quotes"], "targets": True}},
        {"html": {"action": "strip", "targets": True}},
        {"length": {"max_words": 200}},
        "exact_dedup",
        "near_dedup",
        "label_conflicts",
    ]
    done = prepared(config(source, clean=clean, split={"group": "customer"}), tmp_path / "out")
    drops = {name: step for step, name, _ in ledger(done, "drop")}
    flags = {name for _, name, _ in ledger(done, "flag")}

    def planted(kind: str) -> set[str]:
        return {each["id"] for each in truth[kind]}

    assert {drops.get(name) for name in planted("exact_duplicates")} == {"exact_dedup"}
    assert {drops.get(name) for name in planted("near_duplicates")} == {"near_dedup"}
    assert {drops.get(name) for name in planted("empty") | planted("overlong")} == {"length"}
    assert planted("conflicting_labels") <= flags
    assert not (planted("decoys") | planted("mojibake") | planted("html")) & drops.keys()
    rows = {each.id: each for name in ("train", "valid", "test") for each in done.split(name)}
    for each in truth["mojibake"] + truth["html"]:  # HTML's line breaks are kept
        assert " ".join(rows[each["id"]].input.split()) == each["clean"]
    for each in truth["conflicting_labels"]:  # where both still stand, they stand together and not in train
        if each["id"] in rows and each["of"] in rows:
            assert rows[each["id"]].group == rows[each["of"]].group


def test_what_is_known_of_banking77_is_found(tmp_path: Path, shared_data: Path) -> None:
    """28 normalised duplicates in train, one of them under two labels; 29 test rows equal to train rows."""
    source, test = (
        {"csv": {"path": str(shared_data / "banking77" / name), "input": "text", "target": "category"}}
        for name in ("train.csv", "test.csv")
    )
    data = {"clean": ["exact_dedup", "label_conflicts"], "split": {"valid": 0.001, "test": test}}
    done = prepared(config(source, **data), tmp_path / "out")
    drops = Counter(step for step, name, _ in ledger(done, "drop"))
    assert drops["exact_dedup"] == 27
    assert drops["label_conflicts"] == 2
    events = list(read_jsonl(done.path / "ledger.jsonl"))
    leaks = [each for each in events if each["step"] == "decontaminate" and each["reason"].startswith("equal")]
    assert len({each["kept_id"] for each in leaks if each["kept_id"].startswith("test.csv")}) == 29
    assert len(done.split("test")) == 3_080
    assert len(done.summary.labels) == 77
