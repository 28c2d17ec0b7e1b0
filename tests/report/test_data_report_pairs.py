"""Pairs of a row that was dropped or flagged and the row it gave way to, and how they are drawn side by side."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prepared_folders import NO_FUNNEL, event, gone, nine_rows, page_of, prepared, row

from ftkit.errors import DataError
from ftkit.report.data import duplicates, prepared_rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return nine_rows(tmp_path / "prepare")


def test_pairs_come_by_step_then_score_with_both_texts(folder: Path) -> None:
    found = list(duplicates.pairs(folder, limit=5))
    assert [(pair.step, pair.id, pair.kept_id, pair.score) for pair in found] == [
        ("near_dedup", "d2", "t1", 0.8),
        ("near_dedup", "d3", "t1", 0.91),
    ]
    assert found[0].row is not None and found[0].row.input == "Where is the parcel?"
    assert found[0].kept is not None and found[0].kept.where == "train"


def test_pairs_can_be_chosen_by_step_and_score_and_are_limited_by_step(tmp_path: Path) -> None:
    ledger = [event(f"x{place}", "exact_dedup", "drop", "same", "t1", 1.0) for place in range(4)]
    ledger += [event(f"n{place}", "near_dedup", "drop", "near", "t1", 0.9 - place / 10) for place in range(4)]
    ledger += [
        event("m1", "label_conflicts", "drop", "lost", "t1"),
        event("f1", "near_dedup", "flag", "near", "t1", 0.65),
    ]
    funnel = [{"step": step, "rows_in": 9} for step in ("exact_dedup", "near_dedup", "label_conflicts", "length")]
    folder = prepared(tmp_path, train=[row("t1", "x")], ledger=ledger, funnel=funnel)
    ids = lambda **chosen: [pair.id for pair in duplicates.pairs(folder, **chosen)]  # noqa: E731
    assert ids(limit=2) == ["x0", "x1", "n3", "f1", "m1"]
    assert ids(limit=9, steps=["near_dedup"], min_score=0.7) == ["n2", "n1", "n0"]
    assert ids(limit=9, steps=["label_conflicts"], min_score=0.1) == []
    assert ids(limit=9, steps=["length"]) == []
    with pytest.raises(DataError, match="no step 'near_dedupe' ran; did you mean 'near_dedup'"):
        ids(limit=9, steps=["near_dedupe"])


def test_a_pair_whose_kept_row_is_elsewhere_says_so(tmp_path: Path) -> None:
    ledger = [event("t9", "decontaminate", "drop", "in a benchmark", "against.0/7", 1.0)]
    funnel = [{"step": "decontaminate", "rows_in": 2, **NO_FUNNEL, "dropped": 1}]
    folder = prepared(
        tmp_path, train=[row("t1", "x")], dropped=[gone("t9", "decontaminate", "a b")], ledger=ledger, funnel=funnel
    )
    (pair,) = duplicates.pairs(folder, limit=1)
    assert pair.kept is None
    assert "its text is not here" in duplicates.plain(duplicates.rendered(pair, 120))
    assert "its text is not in this folder" in page_of(folder)


def pair_of(left: str, right: str, reason: str = "near") -> duplicates.Pair:
    one = prepared_rows.ShownRow("d1", "dropped by near_dedup", left, "a", len(left), 1)
    other = prepared_rows.ShownRow("t1", "train", right, "b", len(right), 1)
    return duplicates.Pair("near_dedup", "drop", reason, 0.875, "d1", "t1", one, other)


def test_a_pair_is_drawn_side_by_side_with_brackets_around_what_differs() -> None:
    lines = duplicates.rendered(pair_of("the parcel is very late", "the big parcel is late today"), 61, brackets=True)
    assert duplicates.plain(lines).splitlines() == [
        "near_dedup: dropped, similarity 0.875: near",
        "d1 (dropped by near_dedup)    │ t1 (train)",
        "the parcel is [very] late     │ the [big] parcel is late",
        "→ a                           │ [today]",
        "                              │ → b",
    ]


def test_spans_say_which_words_differ() -> None:
    lines = duplicates.rendered(pair_of("one two", "one three"), 60)
    differing = [span.text for line in lines for span in line if span.style == "differs"]
    assert differing == ["two", "three"]


def test_what_a_terminal_would_obey_is_replaced() -> None:
    text = duplicates.plain(duplicates.rendered(pair_of("a\x1b[31m \x9b5m \u202eb", "a\tb\nc", "bell \x07"), 80))
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\t"} & set(text)


@given(st.text(max_size=80), st.text(max_size=80), st.integers(1, 130))
def test_no_line_is_wider_than_the_terminal(left: str, right: str, width: int) -> None:
    from rich.cells import cell_len

    for line in duplicates.rendered(pair_of(left, right), width):
        text = "".join(span.text for span in line)
        if text.isprintable() and not any(unicodedata.combining(character) for character in text):
            assert cell_len(text) <= max(width, 40) + text.count("\ufffd")


words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=70)


@given(words, words)
def test_runs_in_common_are_the_same_on_both_sides_and_runs_lose_nothing(left: list[str], right: list[str]) -> None:
    ours, theirs = duplicates.compared(" ".join(left), " ".join(right))
    same = [[(run.words, run.num_left_out, run.tail) for run in side if not run.differs] for side in (ours, theirs)]
    assert same[0] == same[1]
    for whole, side in ((left, ours), (right, theirs)):
        assert sum(len(run.words) + run.num_left_out + len(run.tail) for run in side) == len(whole)
        if not any(run.num_left_out for run in side):
            assert [word for run in side for word in run.words] == whole


def test_a_long_run_in_common_and_a_very_long_text_are_shortened_and_said() -> None:
    left, right = duplicates.compared(
        " ".join(["same"] * 100 + ["end"]), " ".join(["same"] * 100 + ["stop"] + ["x"] * 2000)
    )
    assert left[0] == duplicates.Run(False, ("same",) * 12, 76, ("same",) * 12)
    assert right[-1] == duplicates.Run(False, (), 1101)
