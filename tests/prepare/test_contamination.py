"""Hits on held-out texts, against plain string search and brute force."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import in_memory
from similarity_by_hand import jaccard

from ftkit.prepare.texts import containment, minhash
from ftkit.prepare.texts.containment import Holds, Parts
from ftkit.prepare.texts.contamination import Hits, hits
from ftkit.prepare.texts.ngrams import bytes_of
from ftkit.prepare.texts.similarity import read_plain, text_keys

LONG = "what is the exchange rate of the pound against the euro when i pay by card"
QUESTION = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."


def hits_on(held_out: Sequence[str], texts: Sequence[str], *, fold: bool = False, **options: Any) -> Hits:
    """Hits of the texts."""
    with read_plain(in_memory(held_out), in_memory(texts), fold=fold) as plain:
        return hits(plain, num_held_out=len(held_out), num_texts=len(texts), **options)


def found(texts: Sequence[str], held_out: Sequence[str], threshold: float | None = 0.8) -> list[tuple[object, ...]]:
    """Hits of texts called a, b, c … on held-out texts called A, B, C …"""
    rows = hits_on(held_out, texts, threshold=threshold).table.iter_rows()
    return [("abcdefgh"[text], "ABCDEFGH"[held], *rest) for text, held, *rest in rows]


def test_a_text_equal_after_normalising_is_a_hit_on_the_first_such_held_out_text() -> None:
    assert found(["Hello!", "other", "hello"], ["no", "HELLO", "hello?"]) == [
        ("a", "B", 1.0, "equal"),
        ("c", "B", 1.0, "equal"),
    ]


def test_texts_without_words_are_hits_only_where_they_are_equal() -> None:
    assert found(["👍", "", "?"], ["👎", "?", ""]) == [("b", "C", 1.0, "equal"), ("c", "B", 1.0, "equal")]


def test_a_text_around_a_long_held_out_text_contains_it() -> None:
    around = f"Answer in one word.\n{LONG.upper()}? Thank you, and many greetings from the other side of the sea"
    assert found([around], [LONG], threshold=None) == [("a", "A", jaccard(around, LONG), "contains")]


def test_a_held_out_text_is_contained_as_whole_words_only() -> None:
    assert found([f"a{LONG} b", f"a {LONG}s b", f"a {LONG}"], [LONG], threshold=None)[0][0] == "c"


@pytest.mark.parametrize(
    ("held", "is_looked_for"),
    [
        ("a b c d e f g h i j k l m", True),  # 13 words
        ("a b c d e f g h i j k l", False),
        ("x" * 50, True),
        ("x" * 49, False),
        ("自然語言處理" * 9, True),
    ],
)
def test_a_short_held_out_text_is_not_looked_for_in_others(held: str, is_looked_for: bool) -> None:
    kinds = [hit[3] for hit in found([f"so {held} and so on, in a text of its own"], [held], threshold=None)]
    assert kinds == ["contains"] * is_looked_for


def test_the_longest_contained_text_is_named() -> None:
    longer = LONG + " abroad"
    assert found([f"tell me {longer} please"], [LONG, longer, longer + "!"], threshold=None)[0][1] == "B"


def test_a_near_text_is_a_hit_on_the_nearest_and_containing_goes_before_near() -> None:
    near, nearer = LONG.replace("pound", "dollar"), LONG.replace("pound", "pond")
    assert found([LONG], [near, nearer]) == [("a", "B", jaccard(LONG, nearer), "near")]
    assert found([LONG + " now"], [nearer, LONG]) == [("a", "B", jaccard(LONG, LONG + " now"), "contains")]
    assert found([LONG], [near, nearer], threshold=None) == []


def test_no_texts_give_no_hits() -> None:
    assert found([], [LONG]) == found([LONG], []) == []


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 7]))
def test_contained_texts_are_those_that_string_search_finds(seed: int, num_words: int) -> None:
    """Few words and periodic texts: many beginnings look alike. Small chunks: texts lie across none."""
    rng = random.Random(seed)
    words = ["ab", "a", "b", "é", "漢"][:num_words]
    texts = [" ".join(rng.choices(words, k=rng.randint(0, 60))) for _ in range(20)]
    parts = [text[: rng.randint(0, 80)].strip() for text in rng.sample(texts, 10)]
    parts += [" ".join(rng.choices(words, k=rng.randint(10, 40))) for _ in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containment, "CHUNK", rng.choice([40, 1000]))
        holds = Parts(*bytes_of(polars.Series(parts))).held_by(*bytes_of(polars.Series(texts)))
    assert holds_of(holds) == [
        (number, max(within, key=lambda part: (len(parts[part].encode()), -part)))
        for number, text in enumerate(texts)
        if (within := [part for part, what in enumerate(parts) if is_long(what) and f" {what} " in f" {text} "])
    ]


def test_threads_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(4)
    words = LONG.split()
    held = [" ".join(rng.choices(words, k=rng.randint(8, 20))) for _ in range(30)]
    texts = [rng.choice(["please ", ""]) + rng.choice(held) + rng.choice([" now", "", "s"]) for _ in range(200)]
    expected = hits_on(held, texts, threshold=0.7, threads=1).table
    monkeypatch.setattr("ftkit.prepare.texts.similarity.BATCH_TEXTS", 7)
    assert set(expected["kind"]) == {"equal", "contains", "near"}
    assert hits_on(held, texts, threshold=0.7, threads=3).table.equals(expected)


def test_a_template_that_crowds_the_buckets_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "CROWD", 5)
    monkeypatch.setattr(minhash, "ROUNDS", 2)
    rng = random.Random(1)
    shared, own = (["".join(rng.choices("aeioubdfg", k=6)) for _ in range(count)] for count in (70, 960))
    texts = [" ".join(shared + own[12 * number : 12 * number + 12]) for number in range(80)]
    said: list[str] = []
    found = hits_on(texts[40:], texts[:40], threshold=0.8, say=said.append)
    assert found.table.is_empty()
    assert "and were not compared with all of them" in said[0]


@pytest.mark.parametrize(("name", "num_equal"), [("banking77", 25), ("clinc150", 19), ("goemotions", 93)])
def test_test_rows_equal_to_a_train_row_are_as_many_as_is_known(name: str, num_equal: int, shared_data: Path) -> None:
    train, test = public_texts(shared_data / name)
    result = hits_on(train, test, threshold=None)
    equal = result.table.filter(polars.col("kind") == "equal")
    assert equal.height == num_equal
    keys = set(text_keys(polars.Series(train)))
    expected = [place for place, key in enumerate(text_keys(polars.Series(test))) if key in keys]
    assert equal["text"].to_list() == expected
    in_test = set(text_keys(polars.Series(test)))
    assert result.is_equalled.tolist() == [key in in_test for key in text_keys(polars.Series(train))]


def test_gsm8k_questions_within_prompts_are_found(shared_data: Path) -> None:
    """A train file that was made of test questions, each within an instruction; the clean ones stay unnamed."""
    train, test = (
        [json.loads(line)["question"] for line in (shared_data / "gsm8k" / f"{name}.jsonl").read_text().splitlines()]
        for name in ("train", "test")
    )
    leaked = [f"Solve this step by step.\n\n{text} Think before you answer, and end with the number." for text in test]
    texts = train[:2000] + leaked
    result = hits_on(test, texts, threshold=0.8).table
    assert result["text"].to_list() == list(range(2000, 2000 + len(test)))
    assert result["held_out"].to_list() == list(range(len(test)))
    assert set(result["kind"]) == {"contains"}


def holds_of(holds: Holds) -> list[tuple[int, int]]:
    return list(zip(holds.text.tolist(), holds.part.tolist(), strict=True))


def is_long(text: str) -> bool:
    return len(text) >= 50 or len(text.split()) >= 13


def public_texts(folder: Path) -> tuple[list[str], list[str]]:
    if folder.name == "banking77":
        files = [(folder / f"{name}.csv").read_bytes().decode() for name in ("train", "test")]
        train, test = ([row["text"] for row in csv.DictReader(io.StringIO(file, newline=""))] for file in files)
        return train, test
    if folder.name == "clinc150":
        data = json.loads((folder / "data_full.json").read_text())
        return [text for text, _ in data["train"]], [text for text, _ in data["test"]]
    files = [(folder / f"{name}.tsv").read_text() for name in ("train", "test")]
    train, test = ([line.split("\t")[0] for line in file.splitlines()] for file in files)
    return train, test


CYRILLIC = str.maketrans("aeopcyx", "аеорсух")
DISGUISES = {
    "zero-width spaces": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: text.replace("e", "e\u00ad"),
    "byte order marks": lambda text: f"\ufeff{text}\u2060",
    "look-alike letters": lambda text: text.translate(CYRILLIC),
    "accents": lambda text: text.replace("e", "é").replace("a", "à").replace("o", "o\u0308"),
    "underscores": lambda text: text.replace(" ", "_"),
    "letters spaced": lambda text: " ".join(text),
    "full width": lambda text: "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text),
    "curly quotes": lambda text: text.replace("'", "’"),
    "controls": lambda text: text.replace("t", "t\x07"),
    "no spaces": lambda text: text.replace(" ", ""),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_copied_row_is_found_in_every_disguise(disguise: str, shared_data: Path) -> None:
    _, test = public_texts(shared_data / "banking77")
    test = [text for text in test if len(text) >= 25][:15]
    found = hits_on([DISGUISES[disguise](text) for text in test], test, fold=True, threshold=None)
    assert found.table["kind"].to_list() == ["equal"] * 15


def test_short_rows_that_an_accent_or_a_sign_tells_apart_are_no_copies() -> None:
    test = ["schon", "C++", "si", "3 + 5", "great :)"]
    train = ["schön", "C#", "sí", "3 - 5", "great :("]
    assert hits_on(train, test, fold=True, threshold=0.8).table.is_empty()
