"""Near pairs against brute force over sets of shingles."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import resource
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_memory import in_memory
from similarity_by_hand import jaccard, normalise, shingles

from ftkit.errors import MachineError
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts import minhash, spool
from ftkit.prepare.texts.minhash import NearPairs, Order
from ftkit.prepare.texts.similarity import (
    Column,
    clusters,
    digests,
    fingerprints,
    near_pairs,
    near_plain_pairs,
    plain_jaccards,
    read_plain,
)


def test_digests_are_sixteen_bytes_of_blake2b() -> None:
    found = digests(polars.Series(["hi", "", "hi"]))
    assert found[0].tobytes() == found[2].tobytes() == hashlib.blake2b(b"hi", digest_size=16).digest()
    assert found[1].tobytes().hex() == "cae66941d9efbd404e4d88758ea67670"  # of no bytes, by b2sum -l 128


def test_fingerprints_tell_texts_apart_by_both_of_their_numbers() -> None:
    texts = polars.Series([f"{number:03}" * length for number in range(1000) for length in range(9)]).unique()
    found = fingerprints(texts)
    assert len(texts) == 8001  # '' stands once
    assert [len(np.unique(found[:, side])) for side in (0, 1)] == [8001, 8001]
    assert not (found[:, 0] == found[:, 1]).any()
    assert (fingerprints(texts.reverse())[::-1] == found).all()


def test_shingles_are_character_five_grams_and_a_short_text_is_its_own() -> None:
    assert shingles("My card") == {"my ca", "y car", " card"}
    assert shingles("Hi!") == {"hi"}
    assert shingles("  ") == set()


def test_jaccard_of_a_hand_worked_pair() -> None:
    # abcde bcdef | abcde bcdef cdefg: two of three
    assert jaccard("abcdef", "abcdefg") == 2 / 3
    assert jaccards(["abcdef", "Hi", ""], ["ABCDEFG", "hi!", ""]) == [2 / 3, 1, 0]


@given(st.lists(st.tuples(st.text("abé漢 ", max_size=30), st.text("abé漢 ", max_size=30)), max_size=6))
def test_similarities_of_a_column_are_those_of_its_texts(pairs: list[tuple[str, str]]) -> None:
    assert jaccards(*([pair[side] for pair in pairs] for side in (0, 1))) == [jaccard(*pair) for pair in pairs]


def test_ngrams_of_a_large_alphabet_are_compared_exactly() -> None:
    """20,000 different characters need 15 bits each: five of them have no room in 64 bits beside a pair's number."""
    letters = [chr(0x4E00 + code) for code in range(20_000)]
    one, other = "".join(letters), "".join(letters[:10_000] + letters[10_001:])
    assert jaccards([one, one], [other, one]) == [jaccard(one, other), 1.0]


def test_pairs_of_texts_against_others_name_positions_in_each_list() -> None:
    ours = ["what is the exchange rate today", "close my account please"]
    theirs = ["hello", "Close my account, please!", "what is the exchange rate now today"]
    found = near_pairs(in_memory(ours), threshold=0.7, against=in_memory(theirs))
    assert triples(found) == [(0, 2, jaccard(ours[0], theirs[2])), (1, 1, 1.0)]


@pytest.mark.parametrize("texts", [[], [""], ["", ""], ["one"], ["👍", "👎"]])
def test_texts_without_a_partner_give_no_pair(texts: list[str]) -> None:
    assert triples(near_pairs(in_memory(texts), threshold=0.8)) == []
    assert triples(near_pairs(in_memory(texts), threshold=0.8, against=in_memory([]))) == []


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_made_up_near_texts_are_found_as_brute_force_finds_them(threshold: float) -> None:
    assert agree_with_brute_force(near_texts(seed=5, count=150), threshold) >= 20


@pytest.mark.parametrize(
    ("name", "num_pairs"), [("banking77", 4), ("clinc150", 4), ("goemotions", 1), ("gsm8k", 0), ("aqua", 250)]
)
def test_near_pairs_of_public_sets_are_found_as_brute_force_finds_them(
    name: str, num_pairs: int, shared_data: Path
) -> None:
    texts = public_texts(shared_data, name)
    assert agree_with_brute_force(texts[:800], 0.5) >= num_pairs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["banking77", "clinc150", "goemotions", "gsm8k"])
def test_near_pairs_of_five_thousand_rows_are_found_as_brute_force_finds_them(name: str, shared_data: Path) -> None:
    agree_with_brute_force(public_texts(shared_data, name)[:5000], 0.8)


def test_formatting_alone_does_not_hide_a_pair(shared_data: Path) -> None:
    """Facts of aqua's dev rows, plain and tokenised: of 254 pairs 216 are equal, 251 at 0.8, the lowest at 0.66."""
    plain, tokenised = (
        [json.loads(line)["question"] for line in (shared_data / "aqua" / name).read_text().splitlines()]
        for name in ("dev.json", "dev.tok.json")
    )
    assert sum(normalise(one) == normalise(two) for one, two in zip(plain, tokenised, strict=True)) == 216
    found = near_pairs(in_memory(plain), threshold=0.8, against=in_memory(tokenised))
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert sum((row, row) in pairs for row in range(254)) == 251
    assert round(min(jaccards(plain, tokenised)), 3) == 0.66


def test_a_text_longer_than_a_window_is_signed_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = near_texts(seed=8, count=60)
    expected = triples(near_pairs(in_memory(texts), threshold=0.6))
    monkeypatch.setattr(minhash, "WINDOW", 7)
    assert len(expected) > 10
    assert triples(near_pairs(in_memory(texts), threshold=0.6)) == expected


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_chunks_batches_and_temporary_files_change_nothing(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = near_texts(seed=9, count=150)
    expected = near_pairs(in_memory(texts), threshold=0.6, threads=1)
    monkeypatch.setattr(minhash, "FLUSH_PAIRS", 11)
    monkeypatch.setattr(minhash, "SIGN_BYTES", 500)
    monkeypatch.setattr(minhash, "VERIFY_CHARS", 200)
    monkeypatch.setattr("ftkit.prepare.texts.similarity.BATCH_TEXTS", 17)
    monkeypatch.setattr(spool, "KEEP_BYTES", 1000)
    found = near_pairs(in_memory(texts), threshold=0.6, threads=threads)
    assert len(found.left) > 90
    for name in ("left", "right", "similarity"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()


def test_a_temporary_file_that_finds_no_room_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "KEEP_BYTES", 1000)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with spool.Spool(np.uint8) as kept:
        kept.append(np.zeros(1000, np.uint8))
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            with pytest.raises(MachineError, match="point TMPDIR at a larger disk"):
                kept.append(np.zeros(100_000, np.uint8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_chosen_texts_of_a_column_are_compared_by_their_place_among_the_chosen() -> None:
    texts = ["close my account please", "hello there", "?", "close my account, please!", "Hello, there"]
    rows = Rows.of(polars.DataFrame({"id": list("abcde"), "input": texts}))
    with read_plain(Column(rows, "input")) as plain:
        assert triples(near_plain_pairs(plain, np.array([1, 3, 4]), threshold=0.8)) == [(0, 2, 1.0)]
        assert triples(near_plain_pairs(plain, np.array([0, 1, 2]), threshold=0.8)) == []
        assert triples(near_plain_pairs(plain, np.arange(5), threshold=0.8)) == [(0, 3, 1.0), (1, 4, 1.0)]


def test_texts_are_read_as_they_are_compared_and_those_that_count_as_the_same_have_one_number() -> None:
    with read_plain(in_memory(["Hi!", "?!"]), in_memory(["hi", "", "My Card"])) as plain:
        text = plain.text.view().tobytes()
        ends = zip(plain.begins.tolist(), plain.sizes.tolist(), strict=True)
        assert [text[begin : begin + size] for begin, size in ends] == [b"hi\0\0\0", b"", b"hi\0\0\0", b"", b"my card"]
        assert plain.distinct.place.tolist() == [0, 1, 3, 4]
        assert plain.distinct.number.tolist() == [0, 1, 0, 2, 3]


def test_texts_of_a_crowded_bucket_are_all_linked_to_the_first_in_order_that_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """60 texts that differ in one word of forty, and 60 of another kind: not 3,540 pairs, but two stars."""
    monkeypatch.setattr(minhash, "CROWD", 5)
    long = [" ".join(made_up_words(seed=seed, count=40)) for seed in (1, 2)]
    texts = [f"{long[number % 2]} number {number}" for number in range(120)]
    rank = np.arange(120)[::-1].copy()
    found = near_pairs(in_memory(texts), threshold=0.8, order=Order(rank, np.zeros(120, np.int64)))
    assert not len(found.crowded)
    assert set(zip(found.left.tolist(), found.right.tolist(), strict=True)) >= {
        (number, 118 + number % 2) for number in range(118)
    }
    assert len(found.left) < 400
    assert set(clusters(found, 120).tolist()) == {0, 1}
    assert all(pair[2] == jaccard(texts[pair[0]], texts[pair[1]]) for pair in triples(found))


def test_texts_of_a_crowded_bucket_meet_the_first_of_their_own_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "CROWD", 5)
    long = " ".join(made_up_words(seed=1, count=40))
    texts = [f"{long} number {number}" for number in range(60)]
    kind = np.arange(60) % 2
    found = near_pairs(in_memory(texts), threshold=0.8, order=Order(np.arange(60), kind))
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs >= {(number % 2, number) for number in range(2, 60)}


def test_a_crowd_that_is_not_near_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seventy of 82 words are a template: texts share most buckets of some band, and no two are near."""
    monkeypatch.setattr(minhash, "CROWD", 5)
    monkeypatch.setattr(minhash, "ROUNDS", 2)
    shared, own = made_up_words(seed=1, count=70), made_up_words(seed=2, count=720)
    texts = [" ".join(shared + own[12 * number : 12 * number + 12]) for number in range(60)]
    assert 0.7 < jaccard(texts[0], texts[1]) < 0.8
    found = near_pairs(in_memory(texts), threshold=0.85)
    assert triples(found) == []
    assert len(found.crowded) > 30


def test_a_crowd_against_others_gives_each_text_a_partner_that_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "CROWD", 5)
    long = " ".join(made_up_words(seed=1, count=40))
    ours = [f"{long} number {number}" for number in range(50)]
    theirs = [f"{long} count {number}" for number in range(40)]
    found = near_pairs(in_memory(ours), threshold=0.8, against=in_memory(theirs))
    assert set(found.left.tolist()) == set(range(50))
    assert all(pair[2] == jaccard(ours[pair[0]], theirs[pair[1]]) >= 0.8 for pair in triples(found))


def test_the_hash_seed_changes_nothing() -> None:
    code = (
        "import polars\n"
        "from ftkit.prepare.rows import Rows\n"
        "from ftkit.prepare.texts.similarity import Column, near_pairs\n"
        "texts = [f'message number {i % 40} about the parcel {i}' for i in range(80)]\n"
        "rows = Rows.of(polars.DataFrame({'text': texts}))\n"
        "found = near_pairs(Column(rows, 'text'), threshold=0.6)\n"
        "print(found.left.tolist(), found.right.tolist(), found.similarity.tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop().startswith(b"[0, ")


def test_clusters_follow_chains_to_their_first_text() -> None:
    pairs = NearPairs(np.array([3, 1, 5]), np.array([4, 3, 6]), np.array([0.9, 0.8, 1.0]))
    assert clusters(pairs, 7).tolist() == [0, 1, 2, 1, 1, 5, 5]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_clusters_are_the_connected_parts(links: list[tuple[int, int]]) -> None:
    ends = np.array(links, np.int64).reshape(-1, 2)
    found = clusters(NearPairs(ends[:, 0], ends[:, 1], np.ones(len(links))), 10)
    expected = list(range(10))
    for _ in range(10):  # spread the least number along every link until nothing can change
        for one, other in links:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert found.tolist() == expected


@given(st.lists(st.text(max_size=12), max_size=8))
def test_every_pair_found_has_its_true_similarity(texts: list[str]) -> None:
    for left, right, similarity in triples(near_pairs(in_memory(texts), threshold=0.5, threads=1)):
        assert left < right
        assert similarity == jaccard(texts[left], texts[right]) >= 0.5


def jaccards(left: Sequence[str], right: Sequence[str]) -> list[float]:
    with read_plain(in_memory(left), in_memory(right)) as plain:
        places = np.arange(len(left))
        return plain_jaccards(plain, places, places + len(left)).tolist()


def triples(pairs: NearPairs) -> list[tuple[int, int, float]]:
    return list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.similarity.tolist(), strict=True))


def near_texts(*, seed: int, count: int) -> list[str]:
    """`count` made-up texts, and as many that differ in up to three words."""
    rng = random.Random(seed)
    words = made_up_words(seed=seed, count=400)
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 30))) for _ in range(count)]
    for text in texts[:count]:
        edited = text.split()
        for _ in range(rng.randint(0, 3)):
            edited[rng.randrange(len(edited))] = rng.choice(words)
        texts.append(" ".join(edited))
    return texts


def made_up_words(*, seed: int, count: int) -> list[str]:
    rng = random.Random(f"words {seed}")
    return ["".join(rng.choices("aeioubcdfghlmnprst", k=rng.randint(2, 9))) for _ in range(count)]


def agree_with_brute_force(texts: Sequence[str], threshold: float) -> int:
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
    found = {(left, right): value for left, right, value in triples(near_pairs(in_memory(texts), threshold=threshold))}
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
