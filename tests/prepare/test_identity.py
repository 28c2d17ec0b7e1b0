"""What counts as the same row: one rule for steps that compare, for leaks between splits, and for the guard."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars
import pytest
from golden_examples import Split, golden

from ftkit.contracts import Context, Marked, Quiet
from ftkit.errors import DataError
from ftkit.prepare.rows import Rows
from ftkit.records import Example, Message, read_jsonl
from ftkit.registry import choice_of, names
from ftkit.run.artifacts import Prepared
from ftkit.run.guards import no_test_row_in_train
from ftkit.run.stages.prepare import PrepareConfig, run

HISTORY = polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
THANKS = "Thanks!"


def talk(*said: str) -> tuple[Message, ...]:
    return tuple(Message(role="user", content=text) for text in said)


def example(name: str, history: tuple[Message, ...], text: str, target: str) -> Example:
    return Example(id=name, input=text, target=target, group=name, history=history)


SAME = {
    "case and punctuation": (((), "Where is it?", "a"), ((), "where is IT", "a")),
    "a conversation": ((talk("My parcel?", "It left."), THANKS, "a"), (talk("my parcel", "it left"), "thanks", "a")),
    "a text alone": (((), "", "It rains."), ((), "", "it rains")),
}
OTHER = {
    "the last turn of other conversations": ((talk("My parcel?"), THANKS, "a"), (talk("My money?"), THANKS, "a")),
    "a conversation and its last turn": ((talk("My parcel?"), THANKS, "a"), ((), THANKS, "a")),
    "texts alone": (((), "", "It rains."), ((), "", "It snows.")),
    "signs without a word": (((), "👍", "a"), ((), "👎", "a")),
}
PAIRS = [*((name, pair, True) for name, pair in SAME.items()), *((name, pair, False) for name, pair in OTHER.items())]


def rows_of(*examples: Example) -> Rows:
    names = ("id", "input", "target", "group")
    table = polars.DataFrame([[getattr(row, name) for name in names] for row in examples], schema=names, orient="row")
    histories = polars.Series([list(row.history) for row in examples], dtype=HISTORY)
    return Rows.of(table.with_columns(history=histories, weight=polars.lit(1.0)))


def dropped_by(step: str, options: dict[str, Any], *examples: Example) -> set[str]:
    marked: Marked = choice_of("cleaning").model_validate({step: options})(rows_of(*examples), Context())
    return set(marked.events.filter(polars.col("action") == "drop")["id"])


@pytest.mark.parametrize(("name", "pair", "is_same"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_steps_and_the_guard_take_the_same_rows_for_the_same(name: str, pair: Any, is_same: bool) -> None:
    one, other = example("1", *pair[0]), example("2", *pair[1])
    found = {"2"} if is_same else set()
    assert dropped_by("exact_dedup", {}, one, other) == found
    assert dropped_by("near_dedup", {"threshold": 1.0}, one, other) == found
    assert no_test_row_in_train([one], [other]).status == ("failed" if is_same else "passed")


def test_a_text_alone_is_no_answer_that_contradicts_another() -> None:
    one, other = (example(name, (), "", text) for name, text in (("1", "It rains."), ("2", "it rains")))
    assert dropped_by("label_conflicts", {}, one, other) == set()
    asked = [example("3", (), "How is it?", "It rains."), example("4", (), "how is it", "It snows.")]
    assert dropped_by("label_conflicts", {}, one, other, *asked) == {"3", "4"}


# whole runs of prepare


def source(path: Path, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"jsonl": {"path": str(path), **options}}


def prepared(out: Path, source: Any, progress: Quiet | None = None, **data: Any) -> Prepared:
    out.mkdir()
    block = {"source": source, "clean": [], **data}
    config = PrepareConfig.model_validate({"task": "generate", "seed": 17, "data": block})
    return run(config, out, Context(progress=progress or Quiet()))


def words(number: int) -> str:
    """Twelve words that no other number's text has: below 13, so that no text is looked for within another."""
    dice = random.Random(number)
    return " ".join("".join(dice.choices("abcdefghiklmnoprstuvw", k=6)) for _ in range(12))


def asked(count: int, begin: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"r{n}", "input": words(n), "target": f"answer {n}"} for n in range(begin, begin + count)]


IDS = {"id": "id", "input": "input", "target": "target"}


@pytest.mark.parametrize("way", names("splitting"))
@pytest.mark.parametrize("identity", [None, "{id}"])
def test_no_two_splits_share_a_row_however_often_it_stands_in_the_source(
    way: str, identity: str | None, tmp_path: Path
) -> None:
    """Conversations of one to three turns, each of few texts, in other letters and customers at times."""
    dice = random.Random(5)

    def said() -> str:
        return dice.choice([str, str.upper, str.title])(words(dice.randrange(200)) + dice.choice(["", "!", " ?"]))

    rows = []
    for number in range(150):
        turns = [{"role": ("user", "assistant")[n % 2], "content": said()} for n in range(dice.choice([2, 2, 4]))]
        start = dice.choice([0, 0, 0, 1])  # without a first turn of the user the answer is a text alone
        rows.append({"id": f"r{number}", "messages": turns[start:], "day": number % 40, "who": f"c{number // 2}"})
    split = {"valid": 0.2, "test": 0.3, "by": {way: golden(Split, way).options}, "time": "day", "group": "who"}
    given = source(tmp_path / "t.jsonl", rows, id="id")
    done = prepared(tmp_path / "out", given, split=split, decontaminate={"identity": identity})
    train, valid, test = (done.split(name) for name in ("train", "valid", "test"))
    for one, other in ((train, test), (train, valid), (valid, test)):
        assert no_test_row_in_train(one, other).detail == "no equal row, no shared group"


@pytest.mark.parametrize("way", names("splitting"))
def test_equal_rows_stay_in_one_split_where_no_step_drops_them(way: str, tmp_path: Path) -> None:
    """Each text stands three times, in other letters; the last is answered otherwise, and one customer asks twice."""
    rows = [
        {"input": write(words(n)), "target": target, "day": n, "who": f"c{n // 2}" if not place else f"{n}-{place}"}
        for n in range(60)
        for place, (write, target) in enumerate(((str, "a"), (str.upper, "a"), (str.title, "b")))
    ]
    split = {"by": {way: golden(Split, way).options}, "time": "day", "group": "who"}
    done = prepared(tmp_path / "out", source(tmp_path / "t.jsonl", rows), split=split)
    assert sum(done.summary.rows.values()) == 180
    found = {name: {row.input.lower() for row in done.split(name)} for name in ("train", "valid", "test")}
    assert sum(len(texts) for texts in found.values()) == 60
    assert all(len(done.split(name)) == 3 * len(texts) > 0 for name, texts in found.items())
    assert len({row.group for name in found for row in done.split(name)}) == 30


def test_conversations_that_end_alike_are_no_leak(tmp_path: Path) -> None:
    def turns(*said: str) -> dict[str, Any]:
        roles = ("user", "assistant")
        return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]}

    rows = [turns(words(n), "We look into it.", THANKS, "You are welcome.") for n in range(60)]
    done = prepared(tmp_path / "out", source(tmp_path / "t.jsonl", rows), clean=["exact_dedup", "near_dedup"])
    assert done.summary.rows == {"train": 42, "valid": 6, "test": 12}
    assert no_test_row_in_train(done.split("train"), done.split("test")).status == "passed"


def test_nearly_equal_texts_alone_are_dropped_but_for_one(tmp_path: Path) -> None:
    rows = [{"text": words(n)} for n in range(30)] + [{"text": words(n) + " x"} for n in range(3)]
    steps = ["exact_dedup", "near_dedup", "label_conflicts"]
    done = prepared(tmp_path / "out", source(tmp_path / "t.jsonl", rows), clean=steps)
    events = read_jsonl(done.path / "ledger.jsonl")
    assert [(event["step"], event["action"], event["id"], event["kept_id"]) for event in events] == [
        ("near_dedup", "drop", f"t.jsonl:{n + 31}", f"t.jsonl:{n + 1}") for n in range(3)
    ]


def test_an_identity_of_the_recipe_hides_no_equal_row(tmp_path: Path) -> None:
    """All test rows stand word for word in train, under other ids."""
    mine = source(tmp_path / "t.jsonl", asked(100), **IDS)
    given = source(tmp_path / "test.jsonl", [{**row, "id": f"t{row['id']}"} for row in asked(40)], **IDS)
    split = {"valid": 0.1, "test": given}
    done = prepared(tmp_path / "out", mine, split=split, decontaminate={"identity": "{id}"})
    assert not {row.input for row in done.split("train")} & {row.input for row in done.split("test")}
    assert no_test_row_in_train(done.split("train"), done.split("test")).status == "passed"
    assert done.summary.stood_in_train["test"].equal == 34  # the others stood in valid, which they leave too
    assert not {row.input for row in done.split("valid")} & {row.input for row in done.split("test")}


def test_an_identity_of_the_recipe_finds_more_rows(tmp_path: Path) -> None:
    mine = source(tmp_path / "t.jsonl", [{**row, "page": f"page {n}"} for n, row in enumerate(asked(50))], **IDS)
    other = [{"id": f"t{n}", "input": words(200 + n), "target": "x", "page": f"Page {n}!"} for n in range(10)]
    split = {"valid": 0.1, "test": source(tmp_path / "test.jsonl", other, **IDS)}
    done = prepared(tmp_path / "out", mine, split=split, decontaminate={"identity": "{page}"})
    kept = {row.id for name in ("train", "valid") for row in done.split(name)}
    assert kept == {f"r{n}" for n in range(10, 50)}


@pytest.mark.parametrize("copy", [str, str.upper, lambda text: text + " x"], ids=["equal", "normalised", "near"])
def test_given_valid_rows_that_stand_in_test_leave_valid_and_are_listed(copy: Any, tmp_path: Path) -> None:
    valid = asked(40, 100)
    valid[7] = {**valid[7], "input": copy(words(307))}
    split = {
        "valid": source(tmp_path / "valid.jsonl", valid, **IDS),
        "test": source(tmp_path / "test.jsonl", asked(20, 300), **IDS),
    }
    said = Quiet()
    done = prepared(tmp_path / "out", source(tmp_path / "t.jsonl", asked(60), **IDS), said, split=split)
    assert done.summary.rows == {"train": 60, "valid": 39, "test": 20}
    (event,) = read_jsonl(done.path / "ledger.jsonl")
    assert (event["id"], event["step"], event["action"], event["kept_id"]) == (
        "r107", "decontaminate", "drop", "r307"
    )  # fmt: skip
    assert "decontaminate: 1 of 40 valid rows equal, contain or are near to a test row: they leave valid" in said.said


def test_given_valid_rows_of_which_more_than_a_twentieth_stand_in_test_are_refused_by_name(tmp_path: Path) -> None:
    split = {
        "valid": source(tmp_path / "valid.jsonl", [*asked(37, 100), *asked(3, 300)], **IDS),
        "test": source(tmp_path / "test.jsonl", [{**row, "id": f"t{row['id']}"} for row in asked(20, 300)], **IDS),
    }
    mine = source(tmp_path / "t.jsonl", asked(60), **IDS)
    with pytest.raises(DataError, match=r"data\.split\.valid: 3 of 40 rows .* r30\d: equal to a test row, tr30\d"):
        prepared(tmp_path / "out", mine, split=split)


def test_valid_rows_that_were_dealt_may_leave_in_any_number(tmp_path: Path) -> None:
    """The public files of many a data set overlap, and there are no others to give."""
    given = source(tmp_path / "test.jsonl", [{**row, "id": f"t{row['id']}"} for row in asked(30)], **IDS)
    mine = source(tmp_path / "t.jsonl", asked(100), **IDS)
    done = prepared(tmp_path / "out", mine, split={"valid": 0.2, "test": given})
    assert sum(done.summary.rows[name] for name in ("train", "valid")) == 70
    assert 1 <= 20 - done.summary.rows["valid"] <= 15


@pytest.mark.parametrize("roles", [("valid", "test"), ("source", "valid"), ("source", "test")])
@pytest.mark.parametrize("is_copied", [False, True])
def test_one_file_in_two_roles_is_refused_before_it_is_read(
    roles: tuple[str, str], is_copied: bool, tmp_path: Path
) -> None:
    named = {
        "source": source(tmp_path / "t.jsonl", asked(60), **IDS),
        "valid": source(tmp_path / "valid.jsonl", asked(20, 100), **IDS),
        "test": source(tmp_path / "test.jsonl", asked(20, 300), **IDS),
    }
    one, other = roles
    path = Path(named[one]["jsonl"]["path"])
    again = tmp_path / "again.jsonl" if is_copied else path
    again.write_bytes(path.read_bytes())
    named[other]["jsonl"]["path"] = str(again)
    split = {"valid": named["valid"], "test": named["test"]}
    keys = {"source": "data.source", "valid": "data.split.valid", "test": "data.split.test"}
    with pytest.raises(DataError, match=f"^{keys[one]} and {keys[other]} are the same rows") as raised:
        prepared(tmp_path / "out", named["source"], split=split)
    assert str(path) in str(raised.value) and str(again) in str(raised.value)
