"""The step near_dedup: what it drops, flags and joins, against brute force on made-up rows."""

from __future__ import annotations

import random
from functools import cache
from itertools import combinations

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from similarity_by_hand import jaccard, shingles

from ftkit.contracts import Context, Machine, Marked, Quiet
from ftkit.errors import DataError
from ftkit.prepare.cleaning import near_dedup
from ftkit.prepare.cleaning.near_dedup import NearDedup
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts import minhash
from ftkit.prepare.texts.similarity import text_key

SENTENCE = "my card has not come yet and i wait for it since monday please tell me when it will be here"
WORDS = SENTENCE.split()
NEAR = SENTENCE.replace("monday", "tuesday")


def table(*rows: tuple[str, str] | tuple[str, str, str]) -> polars.DataFrame:
    """Rows of (input, target) or (input, target, group), with ids 1, 2, 3 …; a row is its own group."""
    values = [(str(number), row[0], row[1], (*row, str(number))[2]) for number, row in enumerate(rows, 1)]
    return polars.DataFrame(values, schema=["id", "input", "target", "group"], orient="row")


def marked(rows: polars.DataFrame, *, ctx: Context | None = None, **options: object) -> Marked:
    return near_dedup.apply(NearDedup.model_validate(options), Rows.of(rows), ctx or Context())


def dropped(result: Marked) -> dict[str, str]:
    """The dropped ids, each with the row it was dropped for."""
    drops = result.events.filter(polars.col("action") == "drop")
    return dict(zip(drops["id"], drops["kept_id"], strict=True))


def after(rows: polars.DataFrame, result: Marked) -> polars.DataFrame:
    """The rows that stay, with their new groups."""
    return rows.with_columns(**result.columns).filter(~polars.col("id").is_in(list(dropped(result))))


def test_a_row_near_to_a_kept_one_is_dropped_with_its_similarity() -> None:
    result = marked(table((SENTENCE, "a"), (NEAR, "a"), ("else", "a")))
    (event,) = result.events.rows(named=True)
    assert (event["id"], event["action"], event["kept_id"]) == ("2", "drop", "1")
    assert event["reason"] == "nearly the same text, and the same target, as a kept row"
    assert event["score"] == round(jaccard(SENTENCE, NEAR), 6) >= 0.8


def test_near_rows_of_different_targets_are_flagged_and_joined() -> None:
    result = marked(table((SENTENCE, "a", "ann"), (NEAR, "b", "bob"), ("something else", "b", "bob")))
    (event,) = result.events.rows(named=True)
    assert (event["id"], event["action"], event["kept_id"]) == ("2", "flag", "1")
    assert event["reason"] == "nearly the same text as a kept row, whose target is 'a'"
    assert result.columns["group"].to_list() == ["ann", "ann", "ann"]  # bob's other row comes along


def test_a_dropped_row_joins_the_group_of_the_row_it_repeats_and_its_own_group_does_not() -> None:
    result = marked(table((SENTENCE, "a", "zoe"), (NEAR, "a", "bob"), ("something else", "b", "bob")))
    assert dropped(result) == {"2": "1"}
    assert result.columns["group"].to_list() == ["zoe", "zoe", "bob"]


def test_a_chain_drops_only_rows_near_to_a_kept_one() -> None:
    """Each text is near to the next, the ends are not: the second goes, the third stays, in one group."""
    chain = ["a " * 3 + " ".join(WORDS[start : start + 16]) for start in (0, 1, 2)]
    assert jaccard(chain[0], chain[1]) >= 0.8 > jaccard(chain[0], chain[2])
    rows = table(*((text, "x") for text in chain))
    result = marked(rows)
    assert dropped(result) == {"2": "1"}
    assert after(rows, result).rows() == [("1", chain[0], "x", "1"), ("3", chain[2], "x", "1")]


def test_the_threshold_decides() -> None:
    rows = table((SENTENCE, "a"), (NEAR, "a"))
    assert marked(rows, threshold=0.95).events.is_empty()
    assert marked(rows, threshold=0.95).columns == {}


def test_texts_without_words_are_near_only_where_they_are_equal() -> None:
    assert dropped(marked(table(("👍", "a"), ("👎", "a"), (" 👍", "a"), ("", "a"), (" ", "a")))) == {"3": "1", "5": "4"}


def test_the_longest_of_near_rows_is_kept_on_request() -> None:
    longer = SENTENCE + " now"
    rows = table((SENTENCE, "a"), (longer, "a"), (NEAR, "a"))
    assert dropped(marked(rows)) == {"2": "1", "3": "1"}
    assert dropped(marked(rows, keep="longest")) == {"1": "2", "3": "2"}


def test_the_newest_of_near_rows_is_kept_on_request() -> None:
    rows = table((SENTENCE, "a"), (NEAR, "a"))
    assert dropped(marked(rows.with_columns(time=polars.Series(["2024-05-01", "2024-05-02"])), keep="newest")) == {
        "1": "2"
    }
    with pytest.raises(DataError, match=r"data\.split\.time"):
        marked(rows, keep="newest")


def test_no_rows_and_one_row_are_fine() -> None:
    assert marked(table(("a", "b")).clear()).events.is_empty()
    assert marked(table(("a", "b"))).events.is_empty()


def test_a_template_that_crowds_the_buckets_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "CROWD", 5)
    monkeypatch.setattr(minhash, "ROUNDS", 2)
    rng = random.Random(1)
    shared, own = (["".join(rng.choices("aeioubdfg", k=6)) for _ in range(count)] for count in (70, 720))
    rows = table(*((" ".join(shared + own[12 * number : 12 * number + 12]), "a") for number in range(60)))
    progress = Quiet()
    result = marked(rows, ctx=Context(progress=progress))
    assert set(result.events["action"]) == {"flag"}
    assert set(result.events["reason"]) == {near_dedup.CROWDED}
    assert not result.is_complete
    assert f"{result.events.height} texts have much in common with a great many others" in progress.said[0]


@pytest.mark.parametrize("keep", ["first", "longest"])
@pytest.mark.parametrize("crowd", [minhash.CROWD, 3])
def test_every_dropped_row_has_a_near_kept_row_and_no_two_kept_rows_of_a_target_are_near(
    keep: str, crowd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minhash, "CROWD", crowd)
    rows = messy(3, 300)
    result = marked(rows, keep=keep)
    kept = after(rows, result)
    text, target = (dict(zip(rows["id"], rows[name], strict=True)) for name in ("input", "target"))
    for event in result.events.rows(named=True):
        assert event["kept_id"] in set(kept["id"])
        assert (target[event["id"]] == target[event["kept_id"]]) == (event["action"] == "drop")
        assert event["score"] == round(similarity(text[event["id"]], text[event["kept_id"]]), 6) >= 0.8
    assert len(dropped(result)) > 50
    pairs = [(one, two) for one, two in combinations(kept.rows(named=True), 2)]
    assert len(set(kept["group"])) > 50
    near = [(one, two) for one, two in pairs if similarity(one["input"], two["input"]) >= 0.8]
    assert len(near) > 10
    assert all(one["target"] != two["target"] and one["group"] == two["group"] for one, two in near)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_nearest_kept_row_is_named_as_a_plain_loop_names_it(seed: int) -> None:
    rows = messy(seed, 120)
    kept: list[dict[str, str]] = []
    expected = {}
    for row in rows.rows(named=True):
        same = [other for other in kept if other["target"] == row["target"]]
        found = [(similarity(row["input"], other["input"]), -place) for place, other in enumerate(same)]
        if found and max(found)[0] >= 0.8:
            expected[row["id"]] = same[-max(found)[1]]["id"]
        else:
            kept.append(row)
    assert dropped(marked(rows)) == expected


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), keep=st.sampled_from(["longest", "newest"]))
def test_survivors_do_not_depend_on_the_order_of_the_rows(seed: int, keep: str) -> None:
    rows = messy(seed, 40).with_columns(time=polars.Series([number % 7 for number in range(45)]))
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    results = [(one, marked(one, keep=keep)) for one in (rows, shuffled)]
    assert {frozenset(dropped(result).items()) for _, result in results} == {frozenset(dropped(results[0][1]).items())}
    ours, theirs = (after(one, result).sort("id") for one, result in results)
    assert ours.equals(theirs)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), keep=st.sampled_from(["first", "longest"]))
def test_a_second_time_drops_and_joins_nothing(seed: int, keep: str) -> None:
    rows = messy(seed, 40)
    once = after(rows, marked(rows, keep=keep))
    again = marked(once, keep=keep)
    assert dropped(again) == {}
    assert again.columns == {}


def test_any_number_of_threads_gives_the_same_events() -> None:
    rows = messy(5, 300)
    results = [marked(rows, ctx=Context(machine=Machine(threads=threads))) for threads in (1, 2, 3)]
    assert len(dropped(results[0])) > 50
    assert all(result.events.equals(results[0].events) for result in results)
    assert all(result.columns["group"].equals(results[0].columns["group"]) for result in results)


@cache
def key_and_shingles(text: str) -> tuple[str, set[str]]:
    return text_key(text), shingles(text)


def similarity(one: str, other: str) -> float:
    (key, ours), (other_key, theirs) = key_and_shingles(one), key_and_shingles(other)
    return 1.0 if key == other_key else len(ours & theirs) / max(len(ours | theirs), 1)


def messy(seed: int, count: int) -> polars.DataFrame:
    """Rows that are repeated and edited, without words and with others' targets; `count` and five more."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 12))) for _ in range(count // 2)]
    texts += [text.upper() + rng.choice(["", "!", " now", "?", " 👍"]) for text in texts]
    texts += ["", " ", "👍", "👎", "?!"]
    rng.shuffle(texts)
    return table(*((text, rng.choice("ab"), f"g{rng.randrange(9 * count)}") for text in texts))
