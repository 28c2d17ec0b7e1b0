"""Near pairs against brute force over sets of shingles."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.similarity import Pair, clusters, jaccard, near_pairs, normalise, shingles, text_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where's my CARD?!", "where s my card"),
        ("ﬁne  ½\tday", "fine 1 2 day"),
        ("Straße", "straße"),
        (" ?! 👍", ""),
    ],
)
def test_normalised_text_is_lower_case_words_joined_by_one_space(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_texts_without_a_word_are_the_same_only_if_they_are_equal() -> None:
    assert text_key("👍") != text_key("👎")
    assert text_key(" ?! ") == text_key("?!") == "?!"
    assert text_key("Hi!") == text_key("hi") == "hi"


def test_shingles_are_character_five_grams_and_a_short_text_is_its_own() -> None:
    assert shingles("My card") == {"my ca", "y car", " card"}
    assert shingles("Hi!") == {"hi"}
    assert shingles("  ") == set()


def test_jaccard_of_a_hand_worked_pair() -> None:
    # abcde bcdef | abcde bcdef cdefg: two of three
    assert jaccard("abcdef", "abcdefg") == 2 / 3


def test_pairs_of_texts_against_others_name_positions_in_each_list() -> None:
    ours = ["what is the exchange rate today", "close my account please"]
    theirs = ["hello", "Close my account, please!", "what is the exchange rate now today"]
    found = near_pairs(ours, threshold=0.7, against=theirs)
    assert found == [Pair(0, 2, jaccard(ours[0], theirs[2])), Pair(1, 1, 1.0)]


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["one"], ["👍", "👎"]])
def test_texts_without_a_partner_give_no_pair(texts: list[str]) -> None:
    assert near_pairs(texts, threshold=0.8) == []
    assert near_pairs(texts, threshold=0.8, against=[]) == []


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_made_up_near_texts_are_found_as_brute_force_finds_them(threshold: float) -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("aeioubcdfghlmnprst", k=rng.randint(2, 9))) for _ in range(400)]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 30))) for _ in range(150)]
    for text in texts[:150]:
        edited = text.split()
        for _ in range(rng.randint(0, 3)):
            edited[rng.randrange(len(edited))] = rng.choice(words)
        texts.append(" ".join(edited))
    assert agree_with_brute_force(texts, threshold) >= 20


@pytest.mark.parametrize(
    ("name", "num_pairs"), [("banking77", 4), ("clinc150", 4), ("goemotions", 1), ("gsm8k", 0), ("aqua", 250)]
)
def test_near_pairs_of_public_sets_are_found_as_brute_force_finds_them(
    name: str, num_pairs: int, shared_data: Path
) -> None:
    texts = public_texts(shared_data, name)
    assert agree_with_brute_force(texts[:800], 0.5) >= num_pairs


def test_formatting_alone_does_not_hide_a_pair(shared_data: Path) -> None:
    """Facts of aqua's dev rows: 231 of 254 pairs equal after normalising, 251 at 0.8, the lowest at 0.751."""
    plain, tokenised = (
        [json.loads(line)["question"] for line in (shared_data / "aqua" / name).read_text().splitlines()]
        for name in ("dev.json", "dev.tok.json")
    )
    assert sum(normalise(one) == normalise(two) for one, two in zip(plain, tokenised, strict=True)) == 231
    found = {(pair.left, pair.right) for pair in near_pairs(plain, threshold=0.8, against=tokenised)}
    assert sum((row, row) in found for row in range(254)) == 251
    assert round(min(map(jaccard, plain, tokenised)), 3) == 0.751


def test_thirteen_thousand_rows_take_less_than_ten_seconds(shared_data: Path) -> None:
    texts = public_texts(shared_data, "banking77")
    start = time.perf_counter()
    assert len(near_pairs(texts, threshold=0.8)) > 100
    assert len(texts) == 13_083
    assert time.perf_counter() - start < 10


def test_the_hash_seed_changes_nothing() -> None:
    code = (
        "from ftkit.similarity import near_pairs\n"
        "texts = [f'message number {i % 40} about the parcel {i}' for i in range(80)]\n"
        "print(near_pairs(texts, threshold=0.6))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b"Pair(" in outputs.pop()


def test_clusters_follow_chains_to_their_first_text() -> None:
    pairs = [Pair(3, 4, 0.9), Pair(1, 3, 0.8), Pair(5, 6, 1.0)]
    assert clusters(pairs, 7) == [0, 1, 2, 1, 1, 5, 5]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_clusters_are_the_connected_parts(links: list[tuple[int, int]]) -> None:
    found = clusters([Pair(one, other, 1.0) for one, other in links], 10)
    expected = list(range(10))
    for _ in range(10):  # spread the least number along every link until nothing can change
        for one, other in links:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert found == expected


@given(st.lists(st.text(max_size=12), max_size=8))
def test_every_pair_found_has_its_true_similarity(texts: list[str]) -> None:
    for pair in near_pairs(texts, threshold=0.5):
        assert pair.left < pair.right
        assert pair.similarity == jaccard(texts[pair.left], texts[pair.right]) >= 0.5


def agree_with_brute_force(texts: list[str], threshold: float) -> int:
    """No pair below the threshold, true similarities, recall of at least 0.99 at threshold + 0.05.

    Returns the number of true pairs.
    """
    sets = [shingles(text) for text in texts]
    true = {}
    for one, other in combinations(range(len(texts)), 2):
        shared = len(sets[one] & sets[other])
        similarity = shared / (len(sets[one]) + len(sets[other]) - shared) if shared else 0.0
        if similarity >= threshold:
            true[one, other] = similarity
    found = {(pair.left, pair.right): pair.similarity for pair in near_pairs(texts, threshold=threshold)}
    assert found.items() <= true.items()
    sure = {pair for pair, similarity in true.items() if similarity >= min(1.0, threshold + 0.05)}
    assert len(sure & found.keys()) >= 0.99 * len(sure)
    return len(true)


def public_texts(folder: Path, name: str) -> list[str]:
    if name == "banking77":
        rows = [
            row
            for file in ("train.csv", "test.csv")
            for row in csv.DictReader(io.StringIO((folder / name / file).read_bytes().decode(), newline=""))
        ]
        return [row["text"] for row in rows]
    if name == "clinc150":
        return [text for text, _ in json.loads((folder / name / "data_full.json").read_text())["train"]]
    if name == "goemotions":
        return [line.split("\t")[0] for line in (folder / name / "train.tsv").read_text().splitlines()]
    if name == "gsm8k":
        lines = (folder / name / "train.jsonl").read_text().splitlines()
        return [json.loads(line)["question"] for line in lines]
    files = [folder / name / file for file in ("test.json", "test.tok.json")]
    return [json.loads(line)["question"] for file in files for line in file.read_text().splitlines()]
