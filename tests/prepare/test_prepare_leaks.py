"""What must never happen to rows: groups torn apart, leaks that nobody looks for, rows that only look the same."""

from __future__ import annotations

import json
import random
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from similarity_by_hand import shingles

from ftkit.contracts import Context, Quiet
from ftkit.errors import DataError
from ftkit.prepare.texts import minhash
from ftkit.records import read_jsonl
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, run

WORDS = [
    "parcel",
    "money",
    "screen",
    "courier",
    "refund",
    "login",
    "late",
    "door",
    "card",
    "phone",
    "van",
    "bank",
    "sun",
]


def text(number: int) -> str:
    """Texts that are far from one another."""
    return " ".join(WORDS[(number * step + step) % 13] + str(number * step % 97) for step in (1, 3, 5, 7, 11, 12))


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    made = [{"id": f"r{n}", "input": text(n), "target": "ab"[n % 2]} for n in range(count)]
    return [{**row, **{key: value(n) for key, value in more.items()}} for n, row in enumerate(made)]


def source(path: Path, content: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return {"jsonl": {"path": str(path), **options}}


def prepared(folder: Path, source: Any, progress: Quiet | None = None, **data: Any) -> Prepared:
    block = {"source": source, "clean": [], "split": {"valid": 0.15, "test": 0.2}, **data}
    config = PrepareConfig.model_validate({"task": "generate", "seed": 17, "data": block})
    out = folder / "out"
    out.mkdir(parents=True)
    return run(config, out, Context(progress=progress or Quiet()))


def split_of(done: Prepared) -> dict[str, str]:
    return {row.id: name for name in ("train", "valid", "test") for row in done.split(name)}


def dropped(done: Prepared) -> dict[str, str]:
    return {
        event["id"]: event["reason"] for event in read_jsonl(done.path / "ledger.jsonl") if event["action"] == "drop"
    }


IDS = {"id": "id", "input": "input", "target": "target"}
GROUPED = {"valid": 0.15, "test": 0.2, "group": "customer"}


def test_customers_that_are_numbers_stay_together_whatever_their_batch_holds(tmp_path: Path) -> None:
    content = rows(400, customer=lambda n: 0.5 if n == 250 else n % 100)
    done = prepared(tmp_path, source(tmp_path / "t.jsonl", content, **IDS), split=GROUPED)
    splits = split_of(done)
    assert all(len({splits[f"r{n}"] for n in range(c, 400, 100) if n != 250}) == 1 for c in range(100))


def test_threads_named_by_their_first_message_stay_together_when_ids_stand_in_two_sources(tmp_path: Path) -> None:
    content = rows(120, customer=lambda n: f"r{n - n % 3}")
    both = [source(tmp_path / f"{name}.jsonl", content, **IDS) for name in "ab"]
    done = prepared(tmp_path, both, split=GROUPED)
    splits = split_of(done)
    assert set(splits) == {f"source.{s}/r{n}" for s in range(2) for n in range(120)}
    assert all(len({splits[f"source.0/r{n + k}"] for k in range(3)}) == 1 for n in range(0, 120, 3))


def test_a_benchmark_with_the_same_ids_deals_no_row_anew(tmp_path: Path) -> None:
    mine, bench = source(tmp_path / "t.jsonl", rows(200)), source(tmp_path / "b" / "t.jsonl", rows(300)[250:])
    alone = split_of(prepared(tmp_path / "one", mine))
    assert split_of(prepared(tmp_path / "two", mine, decontaminate={"against": [bench]})) == alone


def test_a_step_that_makes_rows_before_near_dedup_does_not_switch_the_leak_check_off(tmp_path: Path) -> None:
    pairs = [text(n) for n in range(150)] + [text(n).replace(" ", "  ", 1)[::1] + "x" for n in range(150)]
    content = [{"id": f"r{n}", "input": each, "target": "a"} for n, each in enumerate(pairs)]
    steps = [{"augment": {"kinds": ["word_order"]}}, {"near_dedup": {"threshold": 0.95}}]
    data = {"clean": steps, "decontaminate": {"threshold": 0.8}}
    done = prepared(tmp_path, source(tmp_path / "t.jsonl", content, **IDS), **data)
    train, *held_out = ([shingles(row.input) for row in done.split(name)] for name in ("train", "valid", "test"))
    assert max(len(one & other) / len(one | other) for one in train for other in chain(*held_out)) < 0.8


def test_near_rows_that_are_appended_move_no_row_of_a_hash_split(tmp_path: Path) -> None:
    old = [{"input": text(n), "target": "a"} for n in range(300)]
    new = [{"input": text(n) + " x", "target": "b"} for n in range(100)]
    data = {"clean": ["near_dedup"], "split": {"by": "hash", "valid": 0.15, "test": 0.2}}
    before = split_of(prepared(tmp_path / "one", source(tmp_path / "one" / "t.jsonl", old), **data))
    after = split_of(prepared(tmp_path / "two", source(tmp_path / "two" / "t.jsonl", old + new), **data))
    assert {name: after[name] for name in before if name in after}.items() <= before.items()


def test_a_number_that_is_missing_in_an_identity_leaves_the_rest_of_it(tmp_path: Path) -> None:
    content = rows(200, year=lambda n: None if n % 2 else 2000 + n)
    data = {"decontaminate": {"identity": "{input} {year}"}}
    assert dropped(prepared(tmp_path, source(tmp_path / "t.jsonl", content, **IDS), **data)) == {}


def test_plain_texts_are_cleaned_compared_and_written_as_targets(tmp_path: Path) -> None:
    lines = [text(n) for n in range(60)] + [text(0), text(1) + " cafÃ©"]
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    steps = [{"fix_text": {"targets": True}}, "length", "exact_dedup", {"near_dedup": {"threshold": 0.95}}]
    done = prepared(tmp_path, {"text": {"path": str(tmp_path / "t.txt")}}, clean=steps)
    kept = [row for name in ("train", "valid", "test") for row in done.split(name)]
    assert {row.input for row in kept} == {""}
    assert sorted(row.target for row in kept) == sorted([*lines[:60], text(1) + " café"])
    assert list(dropped(done)) == ["t.txt:61"]


def test_a_benchmark_of_plain_text_clears_train(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("\n".join(text(n) for n in range(50)), encoding="utf-8")
    bench = {"text": {"path": str(tmp_path / "b.txt")}}
    done = prepared(tmp_path, source(tmp_path / "t.jsonl", rows(100), **IDS), decontaminate={"against": [bench]})
    assert {row.id for row in done.split("train")} <= {f"r{n}" for n in range(50, 100)}


def test_conversations_that_end_alike_are_not_the_same(tmp_path: Path) -> None:
    def talk(number: int) -> list[dict[str, str]]:
        said = [("user", text(number)), ("assistant", "Shall I?"), ("user", "Yes, please."), ("assistant", "Done.")]
        return [{"role": role, "content": content} for role, content in said]

    content = [{"messages": talk(number % 60)} for number in range(61)]
    done = prepared(tmp_path, source(tmp_path / "t.jsonl", content), clean=["exact_dedup", "near_dedup"])
    assert list(dropped(done)) == ["t.jsonl:61"]
    assert done.summary.rows == {"train": 39, "valid": 9, "test": 12}


@pytest.mark.parametrize("weight", ["NaN", "inf", "-1", "0", "much"])
def test_a_weight_that_is_no_number_above_0_is_named(weight: str, tmp_path: Path) -> None:
    content = rows(40, trust=lambda n: weight if n == 7 else "1.5")
    with pytest.raises(DataError, match=r"t\.jsonl:8: weight 'trust' is .*; expected a number above 0"):
        prepared(tmp_path, source(tmp_path / "t.jsonl", content, weight="trust", **IDS))


def test_train_rows_in_a_group_of_a_given_test_row_leave_train(tmp_path: Path) -> None:
    mine = source(tmp_path / "t.jsonl", rows(100, customer=lambda n: f"c{n % 10}"), **IDS)
    given = source(tmp_path / "test.jsonl", [{"id": "q", "input": "new words", "target": "a", "customer": "c3"}], **IDS)
    done = prepared(tmp_path, mine, split={"valid": 0.2, "test": given, "group": "customer"})
    assert "c3" not in {row.group for row in done.split("train")}
    assert set(dropped(done).values()) <= {"of the group of a valid or test row"}


def test_rows_without_a_customer_are_no_group(tmp_path: Path) -> None:
    mine = source(tmp_path / "t.jsonl", rows(100, customer=lambda n: "" if n % 2 else f"c{n}"), **IDS)
    assert prepared(tmp_path, mine, split=GROUPED).summary.rows == {"train": 65, "valid": 15, "test": 20}


def test_a_source_that_cleaning_emptied_can_have_no_share(tmp_path: Path) -> None:
    short = [{"id": f"s{n}", "input": "hi", "target": "a"} for n in range(20)]
    both = [
        source(tmp_path / "a.jsonl", rows(50), share=1.0, **IDS),
        source(tmp_path / "b.jsonl", short, share=1.0, **IDS),
    ]
    with pytest.raises(DataError, match=r"no row of source\.1 is left to have a share; dropped: length 20 of 70"):
        prepared(tmp_path, both, clean=[{"length": {"min_words": 3}}])


def test_sources_stand_in_the_proportions_that_the_recipe_wants(tmp_path: Path) -> None:
    one = source(tmp_path / "a.jsonl", rows(90), share=3.0, **IDS)
    others = [{**row, "id": f"s{row['id']}"} for row in rows(130)[100:]]
    two = source(tmp_path / "b.jsonl", others, share=1.0, **IDS)
    done = prepared(tmp_path, [one, two], decontaminate={"threshold": 1.0})
    counts = [sum(name.startswith(letter) for name in split_of(done)) for letter in ("r", "s")]
    assert counts == [90, 30]


def test_another_test_set_is_an_error_and_another_weight_of_a_row_is_none(tmp_path: Path) -> None:
    mine = source(tmp_path / "t.jsonl", rows(100, trust=lambda n: 1 + n % 2), **IDS)
    pin = {"valid": 0.15, "test": 0.2, "test_sha256": prepared(tmp_path / "a", mine).summary.test_sha256}
    weighted = source(tmp_path / "t.jsonl", rows(100, trust=lambda n: 1 + n % 2), weight="trust", **IDS)
    assert prepared(tmp_path / "b", weighted, split=pin).summary.test_sha256 == pin["test_sha256"]
    with pytest.raises(DataError, match="the test set is another one"):
        prepared(tmp_path / "c", source(tmp_path / "u.jsonl", rows(60), **IDS), split=pin)


def test_where_near_rows_were_not_all_compared_the_splits_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty texts of which seven words in eight are a template: too many to compare each with each."""
    monkeypatch.setattr(minhash, "CROWD", 5)
    monkeypatch.setattr(minhash, "ROUNDS", 2)
    rng = random.Random(1)
    shared, own = (["".join(rng.choices("aeioubdfg", k=6)) for _ in range(count)] for count in (70, 720))
    texts = [" ".join(shared + own[12 * number : 12 * number + 12]) for number in range(60)]
    content = [{**row, "input": text} for row, text in zip(rows(60), texts, strict=True)]
    said = Quiet()
    prepared(tmp_path, source(tmp_path / "t.jsonl", content, **IDS), clean=["near_dedup"], progress=said)
    crowds = [line for line in said.said if "not compared with all of them" in line]
    assert [line.partition(" texts")[0].partition(" ")[0] for line in crowds][:1] == ["near_dedup:"]
    assert len(crowds) > 1


def test_repaired_threads_that_are_the_same_are_found(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "is the café open"}, {"role": "assistant", "content": "yes"}]
    wrong = [{"role": "user", "content": "is the cafÃ© open"}, {"role": "assistant", "content": "yes"}]
    last = [{"role": "user", "content": "and tomorrow?"}, {"role": "assistant", "content": "no"}]
    others = [
        {"id": f"r{n}", "messages": [{"role": "user", "content": text(n)}, {"role": "assistant", "content": "ok"}]}
        for n in range(40)
    ]
    content = [{"id": "one", "messages": said + last}, {"id": "two", "messages": wrong + last}, *others]
    done = prepared(tmp_path, source(tmp_path / "t.jsonl", content, id="id"), clean=["fix_text", "exact_dedup"])
    assert dropped(done) == {"two": "same text and target as a kept row"}


def test_copies_of_test_rows_in_disguise_leave_train(tmp_path: Path) -> None:
    asked = [f"where is the card number {number * 7919} that i sent for" for number in range(6)]
    made = ["\u200b".join(asked[0]), asked[1].replace("e", "e\u00ad"), asked[2].replace("e", "\u0435")]
    made += [asked[3].replace("a", "á"), asked[4].replace(" ", "_"), " ".join(asked[5])]
    rows = [{"input": each, "target": "t"} for each in [*made, *(text(n) for n in range(30))]]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"input": each, "target": "t"}) + "\n" for each in asked))
    test = {"jsonl": {"path": str(tmp_path / "b.jsonl")}}
    split = {"test": test, "valid": 0.1}
    done = prepared(tmp_path, {"jsonl": {"path": str(tmp_path / "a.jsonl")}}, clean=[], split=split)
    left = {row.input for name in ("train", "valid") for row in done.split(name)}
    flagged = {each["id"] for each in read_jsonl(done.path / "ledger.jsonl") if each["action"] == "flag"}
    assert len(left & set(made)) == len(flagged)  # those dealt to valid are flagged
    assert len(flagged) < 4


def test_a_template_that_hides_near_rows_from_the_search_for_leaks_is_said_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minhash, "CROWD", 5)
    monkeypatch.setattr(minhash, "ROUNDS", 2)
    dice = random.Random(1)
    shared, own = (["".join(dice.choices("aeioubdfg", k=6)) for _ in range(count)] for count in (70, 720))
    rows = [{"input": " ".join(shared + own[12 * n : 12 * n + 12]), "target": "a"} for n in range(60)]
    said = Quiet()
    prepared(tmp_path, source(tmp_path / "t.jsonl", rows), said)
    lines = [each for each in said.said if "have much in common with a great many others" in each]
    begins = ["decontaminate: of valid, ", "decontaminate: of train, "]
    assert [line.startswith(begin) for line, begin in zip(lines, begins, strict=True)] == [True, True]
