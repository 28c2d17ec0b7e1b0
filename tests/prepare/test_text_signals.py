"""Signals of repetition and quality held against their definitions, and the two steps that judge by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import quality, repetition
from ftkit.prepare.texts.text_signals import signals

CTX = Context()


def table(*rows: tuple[str, str]) -> polars.DataFrame:
    """Rows of (input, target), with ids 1, 2, 3 …"""
    values = [(str(number), *row, str(number), 1.0) for number, row in enumerate(rows, 1)]
    return polars.DataFrame(values, schema=["id", "input", "target", "group", "weight"], orient="row")


def inputs(*texts: str) -> polars.DataFrame:
    return table(*((text, "x") for text in texts))


def said(cleaned: Cleaned) -> list[tuple[str, str, str]]:
    """Events as (id, action, reason)."""
    return cleaned.events.select("id", "action", "reason").rows()


def counted(words: Sequence[str], size: int, *, top: bool) -> float:
    """Share of characters in the most frequent n-gram, or in repeats of n-grams, from their definitions."""
    grams = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    counts = Counter(grams)
    frequent = [gram for gram in counts if counts[gram] > 1]
    if top:
        best = max(frequent, key=lambda gram: (counts[gram], sum(map(len, gram)), -grams.index(gram)), default=None)
        starts = [start for start, gram in enumerate(grams) if gram == best]
    else:
        starts = [start for start, gram in enumerate(grams) if gram in grams[:start]]
    covered = {place for start in starts for place in range(start, start + size)}
    return sum(len(words[place]) for place in covered) / max(1, sum(map(len, words)))


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=25), max_size=4))
def test_shares_of_repeated_n_grams_are_those_of_their_definition(texts: list[list[str]]) -> None:
    found = signals(polars.Series([" ".join(words) for words in texts], dtype=polars.String))
    for words, row in zip(texts, found.to_dicts(), strict=True):
        for size in (2, 3, 4):
            assert row[f"top_{size}_grams"] == pytest.approx(counted(words, size, top=True), abs=1e-12)
        for size in range(5, 11):
            assert row[f"duplicate_{size}_grams"] == pytest.approx(counted(words, size, top=False), abs=1e-12)


def test_signals_by_hand() -> None:
    text = "Buy NOW!\nbuy more\n\n  Buy NOW!  \n\n- item # 12...\n\nbuy more"
    (row,) = signals(polars.Series([text])).to_dicts()
    assert row["num_words"] == 12
    assert row["mean_word_length"] == pytest.approx((3 + 3 + 3 + 4 + 3 + 3 + 4 + 2 + 3 + 4) / 10)
    assert row["alphabetic_words"] == pytest.approx(9 / 12)
    assert row["symbols_per_word"] == pytest.approx(2 / 12)
    assert row["ellipsis_lines"] == pytest.approx(1 / 5)
    assert row["bullet_lines"] == pytest.approx(1 / 5)
    assert row["duplicate_lines"] == pytest.approx(2 / 5)
    assert row["duplicate_line_chars"] == pytest.approx(16 / (8 + 8 + 8 + 8 + 14))
    assert row["duplicate_paragraphs"] == 0  # 'Buy NOW!' and 'buy more' stood in one paragraph, and alone in others
    assert row["top_2_grams"] == pytest.approx(14 / 32)  # 'buy more', twice; 'buy now' is shorter


def test_a_text_without_words_has_no_signals() -> None:
    for row in signals(polars.Series(["", "!?", None], dtype=polars.String)).to_dicts():
        assert row.pop("num_words") in (0, 1, None)
        assert row.pop("mean_word_length") is None
        assert set(row.values()) <= {0.0, None}


# ---- repetition ----

PROSE = " ".join(f"w{number:03}" for number in range(100))  # 100 words of 4 characters, all different


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE, None),
        (PROSE.replace(" ", "\n") + "\nthe end" * 50, "duplicate lines 0.327, more than 0.3"),  # 49 / 150
        (PROSE.replace(" ", "\n") + ("\n" + "x" * 40) * 4, "duplicate line chars 0.214, more than 0.2"),  # 120 / 560
        (PROSE + " of the" * 24, "top 2-grams 0.231, more than 0.2"),  # 24 * 5 / (400 + 24 * 5)
        ("the same words again " * 25, "top 2-grams 0.588, more than 0.2"),  # 'words again': 10 of 17 characters
        (PROSE + " " + PROSE[:99], "duplicate 5-grams 0.167, more than 0.15"),  # 20 of 120 words
        (" ".join(map(chr, range(0xAC00, 0xAC64))), "mean word length 1.0, less than 3.0"),
        (PROSE.replace("w", "w" * 8), "mean word length 11.0, more than 10.0"),
        (PROSE.replace(" ", " # "), "symbols per word 0.497, more than 0.1"),  # 99 / 199
        (PROSE.replace(" ", " word...\nof ", 8), "ellipsis lines 0.889, more than 0.3"),  # 8 of 9 lines
        ("- " + PROSE.replace(" ", "\n- "), "bullet lines 1.0, more than 0.9"),
        (" ".join(str(number) for number in range(1000, 1120)), "alphabetic words 0.0, less than 0.8"),
    ],
)
def test_repetition_drops_texts_out_of_the_papers_bounds(text: str, reason: str | None) -> None:
    cleaned = repetition.apply(repetition.Repetition(), inputs(text), CTX)
    assert said(cleaned) == ([("1", "drop", f"input: {reason}")] if reason else [])


def test_short_texts_are_not_judged_by_their_repetition() -> None:
    text = "no no no no no no"
    assert repetition.apply(repetition.Repetition(), inputs(text), CTX).events.height == 0
    cleaned = repetition.apply(repetition.Repetition(min_words=6), inputs(text), CTX)
    assert said(cleaned) == [("1", "drop", "input: top 2-grams 1.0, more than 0.2")]


def test_targets_are_judged_where_the_recipe_says_so() -> None:
    rows = table((PROSE, " ".join(["yes"] * 100)))
    assert repetition.apply(repetition.Repetition(), rows, CTX).table.height == 1
    cleaned = repetition.apply(repetition.Repetition(field="either", action="flag"), rows, CTX)
    assert said(cleaned) == [("1", "flag", "target: top 2-grams 1.0, more than 0.2")]


# ---- quality ----


def test_quality_lowers_the_weight_and_says_by_how_much() -> None:
    """Of 20 words 12 have a letter: 0.6 / 0.8. All repeated: the quality is 0, and the floor decides."""
    figures = " ".join([*(f"word{place}x" for place in range(12)), *(str(number) for number in range(8))])
    rows = inputs(figures, "again and again and " * 10, PROSE).with_columns(weight=polars.Series([2.0, 1.0, 3.0]))
    cleaned = quality.apply(quality.Quality(floor=0.2), rows, CTX)
    assert cleaned.table["weight"].to_list() == [1.5, pytest.approx(0.2), 3.0]
    first, second = cleaned.events.rows()
    assert first == ("1", "change", "quality of input 0.75: weight times 0.75", None, 0.75)
    assert second[2].endswith(": weight times 0.2")
    assert second[4] < 0.2


def test_the_lower_quality_of_input_and_target_counts() -> None:
    half = "one two three four five 1 2 3 4 5"
    cleaned = quality.apply(quality.Quality(field="either"), table((PROSE, half)), CTX)
    assert cleaned.table["weight"].to_list() == [0.625]
    assert said(cleaned) == [("1", "change", "quality of target 0.625: weight times 0.625")]


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from(["0", "#", "same words in a row again", "a line\n"]))
def test_more_of_what_is_bad_never_gives_a_better_quality(some: int, more: int, bad: str) -> None:
    low, high = sorted((some, more))
    texts = [f"{PROSE}\n" + f"{bad} " * count for count in (low, high)]
    weights = quality.apply(quality.Quality(), inputs(*texts), CTX).table["weight"].to_list()
    assert 0 < weights[1] <= weights[0] <= 1
