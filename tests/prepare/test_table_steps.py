"""Cleaning steps that compare rows, and the one that adds rows, on rows that can be seen and on public sets."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from similarity_by_hand import normalise_each
from table_steps import Event, apply, banking, drops_of, events_of, table

from ftkit.contracts import Context, Marked
from ftkit.errors import DataError
from ftkit.prepare.cleaning import augment
from ftkit.prepare.cleaning.augment import Augment


def left(rows: polars.DataFrame, marked: Marked) -> polars.DataFrame:
    gone = marked.events.filter(polars.col("action") == "drop")["id"]
    return rows.filter(~polars.col("id").is_in(gone.implode()))


def words_of(texts: Sequence[str]) -> list[str]:
    """The normalised texts, or a text where it has no word or sign."""
    return [plain or text for plain, text in zip(normalise_each(texts), texts, strict=True)]


TEXTS = ["My card?", "my CARD", "my card", "My  card?", "👍", "👎", "ｍｙ card", "other"]
SAME = {
    "words": [{1, 2, 3, 4, 7}, {5}, {6}, {8}],
    "case": [{1, 4}, {2, 3, 7}, {5}, {6}, {8}],
    "none": [{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}],
}


@pytest.mark.parametrize(("normalize", "same"), SAME.items())
def test_exact_dedup_keeps_the_first_of_what_counts_as_equal(normalize: str, same: list[set[int]]) -> None:
    rows = table(*((text, "a") for text in TEXTS))
    marked = apply("exact_dedup", rows, normalize=normalize)
    expected = {(number, "drop", min(alike)) for alike in same for number in alike - {min(alike)}}
    assert drops_of(marked) == [(str(number), action, str(kept)) for number, action, kept in sorted(expected)]
    drops = marked.events.filter(polars.col("action") == "drop")
    assert set(drops["score"]) <= {1.0}
    assert set(drops["reason"]) <= {"same text and target as a kept row"}


def test_exact_dedup_says_which_texts_without_a_word_it_keeps_apart() -> None:
    rows = table(("...", "a"), ("?", "b"), ("...", "a"), ("?!", "a"), ("hi", "a"))
    assert events_of(apply("exact_dedup", rows)) == [("3", "drop", "1"), ("4", "flag", "1")]
    assert events_of(apply("exact_dedup", rows, target="any", keep="longest")) == [
        ("3", "drop", "1"),
        ("4", "flag", "1"),
        ("2", "flag", "1"),
    ]
    assert events_of(apply("exact_dedup", rows, normalize="none")) == [("3", "drop", "1")]


def test_exact_dedup_keeps_equal_texts_of_different_targets() -> None:
    rows = table(("my card", "a"), ("my card", "b"), ("my", "card a"), ("my card", "A"))
    assert events_of(apply("exact_dedup", rows)) == []


def test_an_input_does_not_borrow_from_its_target() -> None:
    rows = table(("1:a", "b"), ("1", ":ab"), ("ab", ""), ("a", "b"), ("", "ab"))
    assert events_of(apply("exact_dedup", rows, normalize="none")) == []


def test_exact_dedup_keeps_the_longest_or_the_newest() -> None:
    rows = table(("my card", "a", "2024-01-02"), ("My card!", "a", "2024-01-01"), ("my card", "a", "2024-03-01"))
    assert events_of(apply("exact_dedup", rows)) == [("2", "drop", "1"), ("3", "drop", "1")]
    assert events_of(apply("exact_dedup", rows, keep="longest")) == [("1", "drop", "2"), ("3", "drop", "2")]
    assert events_of(apply("exact_dedup", rows, keep="newest")) == [("1", "drop", "3"), ("2", "drop", "3")]


def test_the_newest_of_rows_without_a_time_is_an_error() -> None:
    with pytest.raises(DataError, match="keep: newest needs to know when a row was made; name that column as data"):
        apply("exact_dedup", table(("a", "b")), keep="newest")
    with pytest.raises(DataError, match="2: time is 'noon'; expected a date or time"):
        apply("exact_dedup", table(("a", "b", "2024-01-01"), ("a", "b", "noon")), keep="newest")


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("exact_dedup", {"keep": "longest"}),
        ("exact_dedup", {"keep": "newest"}),
        ("label_conflicts", {}),
        ("balance", {"max_per_label": 4}),
    ],
)
@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_which_rows_stay_does_not_depend_on_their_order(step: str, options: dict[str, Any], seed: int) -> None:
    dice = random.Random(seed)
    rows = table(*((dice.choice(TEXTS), dice.choice("ab"), str(dice.randrange(3))) for _ in range(20)))
    stay = left(rows, apply(step, rows, **options))
    mixed = rows.sample(fraction=1, shuffle=True, seed=seed)
    assert sorted(left(mixed, apply(step, mixed, **options))["id"]) == sorted(stay["id"])
    assert drops_of(apply(step, stay, **options)) == []  # and the step has nothing left to do


def split_lines(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_exact_dedup_drops_what_a_dictionary_of_goemotions_finds(shared_data: Path) -> None:
    found = split_lines(shared_data / "goemotions" / "train.tsv")
    rows = polars.DataFrame(found, schema=["input", "target", "id"], orient="row")
    first: dict[tuple[str, str], str] = {}
    words = words_of([text for text, _, _ in found])
    pairs = [
        (name, first.setdefault((plain, target), name)) for plain, (_, target, name) in zip(words, found, strict=True)
    ]
    assert drops_of(apply("exact_dedup", rows)) == [(name, "drop", kept) for name, kept in pairs if name != kept]
    without_targets = rows.with_columns(target=polars.lit(""))
    assert len(apply("exact_dedup", without_targets, normalize="none").events) == 183  # shared/data/README.md
    # 75 of the 554 that have the words of an earlier text differ in an emoji, a smiley or a sign
    assert Counter(apply("exact_dedup", without_targets).events["action"]) == {"drop": 479}


def test_exact_dedup_finds_28_of_banking77(shared_data: Path) -> None:
    """Of 31 that have the words of an earlier text, three differ in a currency or a smiley."""
    rows = banking(shared_data)
    assert len(apply("exact_dedup", rows.with_columns(target=polars.lit(""))).events) == 28
    assert len(apply("exact_dedup", rows.with_columns(target=polars.lit("")), normalize="none").events) == 0


CONFLICT = [("My card", "b"), ("fine", "a"), ("my card!", "a"), ("fine", "a"), ("MY CARD", "b"), ("x", "p"), ("X", "q")]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("drop", [("1", "drop", None), ("3", "drop", None), ("5", "drop", None), ("6", "drop", None),
                  ("7", "drop", None)]),
        ("flag", [("1", "flag", None), ("3", "flag", None), ("5", "flag", None), ("6", "flag", None),
                  ("7", "flag", None)]),
        ("majority", [("3", "drop", "1"), ("6", "drop", None), ("7", "drop", None)]),
    ],
)  # fmt: skip
def test_rows_of_one_text_with_several_targets_are_treated_as_asked(action: str, expected: list[Event]) -> None:
    marked = apply("label_conflicts", table(*CONFLICT), action=action)
    assert events_of(marked) == expected


def test_a_conflict_names_the_targets_the_most_frequent_first() -> None:
    reasons = apply("label_conflicts", table(*CONFLICT)).events["reason"].to_list()
    assert reasons == ["same text under 'b', 'a'"] * 3 + ["same text under 'p', 'q'"] * 2
    decided = apply("label_conflicts", table(*CONFLICT), action="majority").events["reason"].to_list()
    assert decided == [
        "same text under 'b', 'a'; first is the most frequent",
        "same text under 'p', 'q'; none is the most frequent",
        "same text under 'p', 'q'; none is the most frequent",
    ]
    many = table(*(("same", letter * 70) for letter in "gfedcba"))
    assert apply("label_conflicts", many).events["reason"][0] == (
        f"same text under {', '.join(repr(letter * 57 + '…') for letter in 'abcde')} and 2 more"
    )


def test_label_conflicts_finds_what_a_dictionary_of_goemotions_finds(shared_data: Path) -> None:
    found = split_lines(shared_data / "goemotions" / "train.tsv")
    rows = polars.DataFrame(found, schema=["input", "target", "id"], orient="row")
    targets: dict[str, Counter[str]] = defaultdict(Counter)
    words = words_of([text for text, _, _ in found])
    for plain, (_, target, _) in zip(words, found, strict=True):
        targets[plain][target] += 1
    conflict = [(name, target, targets[plain]) for plain, (_, target, name) in zip(words, found, strict=True)]
    conflict = [row for row in conflict if len(row[2]) > 1]
    assert apply("label_conflicts", rows).events["id"].to_list() == [name for name, _, _ in conflict]
    lost = []
    for name, target, counts in conflict:
        (best, most), (_, second) = counts.most_common(2)
        if most == second or target != best:
            lost.append(name)
    assert apply("label_conflicts", rows, action="majority").events["id"].to_list() == lost


def test_balance_drops_what_a_label_has_too_many() -> None:
    rows = table(*((f"text {number}", "ab"[number % 5 == 0]) for number in range(20)))
    marked = apply("balance", rows, max_per_label=6)
    assert Counter(left(rows, marked)["target"]) == {"a": 6, "b": 4}
    assert set(marked.events["reason"]) == {"one of 16 rows of its target, more than 6"}
    assert [int(name) for name in marked.events["id"]] == sorted(int(name) for name in marked.events["id"])


def test_balance_keeps_other_rows_with_another_seed_and_nested_ones_with_a_larger_number() -> None:
    rows = table(*((f"text {number}", "a") for number in range(40)))
    stay = {seed: set(left(rows, apply("balance", rows, max_per_label=20, seed=seed))["id"]) for seed in (1, 2)}
    assert stay[1] != stay[2]
    assert set(left(rows, apply("balance", rows, max_per_label=10, seed=1))["id"]) < stay[1]


def added(rows: polars.DataFrame, **options: Any) -> tuple[polars.DataFrame, list[tuple[str, str, str, str]]]:
    cleaned = augment.apply(Augment(**options), rows, Context())
    return cleaned.table, list(cleaned.events.select("id", "action", "reason", "kept_id").iter_rows())


def test_augment_adds_marked_copies_behind_their_row_and_leaves_the_rest_alone() -> None:
    rows = table(("Where is my new card", "a"), ("refund please", "b"))
    grown, events = added(rows, kinds=["case", "word_order"])
    assert grown["id"].to_list() == ["1", "1+case", "1+word_order", "2", "2+case", "2+word_order"]
    assert grown["target"].to_list() == ["a"] * 3 + ["b"] * 3
    assert grown["group"].to_list() == ["1"] * 3 + ["2"] * 3
    assert grown.filter(polars.col("id").is_in(["1", "2"])).equals(rows)
    assert grown["input"][5] == "please refund"
    assert grown["input"][1] in {"WHERE IS MY NEW CARD", "where is my new card"}
    assert events[0] == ("1+case", "add", "copy in another letter case", "1")
    assert events[3] == ("2+word_order", "add", "copy with neighbouring words swapped", "2")


def test_augment_makes_no_copy_that_equals_its_row() -> None:
    rows = table(("123 123", "a"), ("7", "b"), ("", "c"))
    grown, events = added(rows)
    assert grown.equals(rows)
    assert events == []


def test_augment_makes_as_many_different_copies_as_there_are() -> None:
    grown, _ = added(
        table(
            ("one two", "a"),
        ),
        kinds=["case"],
        copies=5,
    )
    assert grown["id"].to_list() == ["1", "1+case", "1+case2"]
    assert set(grown["input"]) == {"one two", "ONE TWO", "One two"}


def edits(one: str, other: str) -> int:
    """Levenshtein distance, where two letters changing places count once (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, left_char in enumerate(one, 1):
        row = [i]
        for j, right_char in enumerate(other, 1):
            cost = min(row[-1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (left_char != right_char))
            if i > 1 and j > 1 and left_char == other[j - 2] and one[i - 2] == right_char:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), st.integers(0, 9))
def test_augment_keeps_to_the_kinds_of_edit_it_names(text: str, seed: int) -> None:
    grown, events = added(table((text, "a")), copies=2, seed=seed)
    assert len(set(grown["input"])) == grown.height == 1 + len(events)
    for name, copy in grown.select("id", "input").iter_rows():
        if "+case" in name:
            assert copy in {text.lower(), text.upper(), text[:1].upper() + text[1:].lower()}
        if "+typos" in name:
            assert 1 <= edits(text, copy) <= 2  # one letter in 30
        if "+word_order" in name:
            assert sorted(copy.split()) == sorted(text.split())


def test_augment_refuses_an_id_that_is_there() -> None:
    grown, _ = added(table(("one two", "a")), kinds=["case"])
    with pytest.raises(DataError, match=r"1\+case: augment makes this id and it is there already"):
        added(grown, kinds=["case"], seed=3)
    with pytest.raises(ValueError, match="a kind stands twice"):
        Augment(kinds=["case", "case"])
