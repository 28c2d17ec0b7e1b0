"""Each cleaning step on rows that can be seen, and all of them on made-up rows."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import ftfy
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.cleaning import exact_dedup, fix_text, label_conflicts, length, near_dedup
from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import find, names
from ftkit.similarity import jaccard, text_key

CTX = Context()
SENTENCE = "my card has not come yet and i wait for it since monday please tell me when it will be here"
WORDS = SENTENCE.split()
NEAR = SENTENCE.replace("monday", "tuesday")


def table(*rows: tuple[str, str] | tuple[str, str, str]) -> polars.DataFrame:
    """Rows of (input, target) or (input, target, group), with ids 1, 2, 3 …; a row is its own group."""
    values = [(str(number), row[0], row[1], (*row, str(number))[2]) for number, row in enumerate(rows, 1)]
    return polars.DataFrame(values, schema=["id", "input", "target", "group"], orient="row")


def dropped(cleaned: Cleaned) -> dict[str, str | None]:
    """The dropped ids, each with the row it was dropped for."""
    return {event.id: event.kept_id for event in cleaned.events if event.action == "drop"}


@pytest.mark.parametrize(
    ("text", "expected", "change"),
    [
        ("plain words, 3 < 4 and 5 > 4", "plain words, 3 < 4 and 5 > 4", None),
        ("the cafÃ© is “open”", 'the café is "open"', "characters repaired"),
        ("fish &amp; chips", "fish & chips", "characters repaired"),
        (" two\n", "two", "outer white space removed"),
        ("a<br>b<BR/>c", "a\nb\nc", "HTML removed"),
        ('<p class="x">Hello&nbsp;<b>you</b></p><p>bye</p>', "Hello you\nbye", "HTML removed"),
        ("<span>one.</span><span>Two</span>, <b>th</b>ree", "one. Two, three", "HTML removed"),
        ("if a<b then <unknown> stays", "if a<b then <unknown> stays", None),
        ("nul\0 gone", "nul gone", "characters repaired"),
        ("Now!&nbsp; Or never", "Now! Or never", "characters repaired, HTML removed"),
    ],
)
def test_fix_text_repairs_and_says_how(text: str, expected: str, change: str | None) -> None:
    cleaned = fix_text.apply(fix_text.FixText(), table((text, "x")), CTX)
    assert cleaned.table["input"].to_list() == [expected]
    events = [Event("1", "fix_text", "change", f"input: {change}")] if change else []
    assert cleaned.events == events


def test_fix_text_repairs_targets_but_keeps_their_tags() -> None:
    cleaned = fix_text.apply(fix_text.FixText(), table(("x", " <b>cafÃ©</b>")), CTX)
    assert cleaned.table["target"].to_list() == ["<b>café</b>"]
    assert [event.reason for event in cleaned.events] == ["target: characters repaired, outer white space removed"]


def test_html_can_be_kept() -> None:
    cleaned = fix_text.apply(fix_text.FixText(html="keep"), table(("a<br>b", "x")), CTX)
    assert cleaned.table["input"].to_list() == ["a<br>b"]


def test_fix_text_equals_ftfy_on_its_own_cases(shared_data: Path) -> None:
    """Facts of the cases: 70 in the wild, all change; of 31 negative ones 27 stay."""
    changed = {}
    for name in ("in-the-wild", "negative"):
        cases = json.loads((shared_data / "ftfy_cases" / f"{name}.json").read_text(encoding="utf-8"))
        texts = [case["original"] for case in cases]
        fixed = fix_text.apply(fix_text.FixText(), table(*((text, "x") for text in texts)), CTX)
        assert fixed.table["input"].to_list() == [ftfy.fix_text(text).strip() for text in texts]
        changed[name] = (len(texts), len(fixed.events))
    assert changed == {"in-the-wild": (70, 70), "negative": (31, 4)}


def test_the_fast_path_leaves_out_only_what_ftfy_would_not_change(shared_data: Path) -> None:
    rows = (shared_data / "goemotions" / "train.tsv").read_text(encoding="utf-8").split("\n")[:12_000]
    texts = [row.split("\t")[0] for row in rows if row]
    plain = [text for text in texts if re.fullmatch(r"[\t\n\x20-\x25\x27-\x7e]*", text)]
    assert len(plain) > 8_000
    assert [text for text in plain if ftfy.fix_text(text) != text] == []


@given(st.text(alphabet=st.characters(max_codepoint=127, exclude_characters="<"), max_size=30))
def test_ascii_is_repaired_as_ftfy_would(text: str) -> None:
    cleaned = fix_text.apply(fix_text.FixText(), table((text, "x")), CTX)
    assert cleaned.table["input"].to_list() == [ftfy.fix_text(text).strip()]


@pytest.mark.parametrize(
    ("options", "text", "target", "reason"),
    [
        ({}, " \n", "x", "input is empty"),
        ({}, "hi", " ", "target is empty"),
        ({}, "h", "x", None),
        ({"min_chars": 3}, " hi ", "x", "2 characters, fewer than 3"),
        ({"max_chars": 3}, "four", "x", "4 characters, more than 3"),
        ({"min_words": 2}, "one", "x", "1 words, fewer than 2"),
        ({"max_words": 2}, "one two three", "x", "3 words, more than 2"),
        ({"min_chars": 3, "max_chars": 7, "min_words": 2, "max_words": 2}, "one two", "x", None),
    ],
)
def test_length_drops_what_is_outside_its_bounds(
    options: dict[str, int], text: str, target: str, reason: str | None
) -> None:
    cleaned = length.apply(length.Length(**options), table((text, target)), CTX)
    assert [event.reason for event in cleaned.events] == ([reason] if reason else [])
    assert cleaned.table.height == (0 if reason else 1)


def test_bounds_that_leave_no_room_are_refused() -> None:
    with pytest.raises(ValueError, match="max_words 3 is below min_words 4"):
        length.Length(min_words=4, max_words=3)


def test_exact_dedup_keeps_the_first_of_each_text_and_target() -> None:
    rows = table(("My card?", "a"), ("my CARD", "a"), ("my card", "b"), ("👍", "a"), ("👎", "a"), ("👍", "a"))
    cleaned = exact_dedup.apply(exact_dedup.ExactDedup(), rows, CTX)
    assert dropped(cleaned) == {"2": "1", "6": "4"}
    assert cleaned.table["id"].to_list() == ["1", "3", "4", "5"]


def test_near_dedup_drops_a_row_near_to_a_kept_one_with_its_similarity() -> None:
    rows = table((SENTENCE, "a"), (NEAR, "a"), ("else", "a"))
    cleaned = near_dedup.apply(near_dedup.NearDedup(), rows, CTX)
    (event,) = cleaned.events
    assert (event.id, event.action, event.kept_id) == ("2", "drop", "1")
    assert event.score == round(jaccard(SENTENCE, NEAR), 6) >= 0.8
    assert cleaned.table["id"].to_list() == ["1", "3"]


def test_near_dedup_flags_and_joins_near_rows_of_different_targets() -> None:
    rows = table((SENTENCE, "a", "ann"), (NEAR, "b", "bob"), ("something else", "b", "bob"))
    cleaned = near_dedup.apply(near_dedup.NearDedup(), rows, CTX)
    (event,) = cleaned.events
    assert (event.id, event.action, event.kept_id) == ("2", "flag", "1")
    assert event.reason == "nearly the same text as a kept row, whose target is 'a'"
    assert cleaned.table["group"].to_list() == ["ann", "ann", "ann"]  # bob's other row comes along


def test_a_chain_drops_only_rows_near_to_a_kept_one() -> None:
    """Each text is near to the next, the ends are not: the second goes, the third stays, in one group."""
    chain = ["a " * 3 + " ".join(WORDS[start : start + 16]) for start in (0, 1, 2)]
    assert jaccard(chain[0], chain[1]) >= 0.8 > jaccard(chain[0], chain[2])
    cleaned = near_dedup.apply(near_dedup.NearDedup(), table(*((text, "x") for text in chain)), CTX)
    assert dropped(cleaned) == {"2": "1"}
    assert cleaned.table.rows() == [("1", chain[0], "x", "1"), ("3", chain[2], "x", "1")]


def test_the_threshold_decides() -> None:
    rows = table((SENTENCE, "a"), (NEAR, "a"))
    assert near_dedup.apply(near_dedup.NearDedup(threshold=0.95), rows, CTX).events == []


def test_label_conflicts_drops_all_rows_of_a_text_with_several_targets() -> None:
    rows = table(("My card", "b"), ("fine", "a"), ("my card!", "a"), ("fine", "a"))
    cleaned = label_conflicts.apply(label_conflicts.LabelConflicts(), rows, CTX)
    assert [(event.id, event.action, event.reason) for event in cleaned.events] == [
        ("1", "drop", "same text under 'a', 'b'"),
        ("3", "drop", "same text under 'a', 'b'"),
    ]
    flagged = label_conflicts.apply(label_conflicts.LabelConflicts(action="flag"), rows, CTX)
    assert [event.action for event in flagged.events] == ["flag", "flag"]
    assert flagged.table.height == 4


def messy(seed: int, count: int = 120) -> polars.DataFrame:
    """Rows with every defect: repeated, edited, conflicting, empty, broken."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 12))) for _ in range(count // 3)]
    texts += [text.upper() + rng.choice(["", "!", " now", "<br>", " cafÃ©"]) for text in texts]
    texts += ["", " ", "👍", "👎", "?!"]
    groups = [f"g{rng.randrange(40)}" for _ in texts]
    rng.shuffle(texts)
    return table(*((text, rng.choice("ab"), group) for text, group in zip(texts, groups, strict=True)))


@pytest.mark.parametrize("step", names("cleaning"))
@pytest.mark.parametrize("seed", [1, 2])
def test_every_step_accounts_for_every_row_and_is_idempotent(step: str, seed: int) -> None:
    component = find("cleaning", step)
    config, rows = component.config_type(), messy(seed)
    cleaned = component.function(config, rows, CTX)
    gone = [event.id for event in cleaned.events if event.action == "drop"]
    assert sorted(cleaned.table["id"].to_list() + gone) == sorted(rows["id"].to_list())
    assert cleaned.table.columns == ["id", "input", "target", "group"]
    assert {event.step for event in cleaned.events} == {step}
    again = component.function(config, cleaned.table, CTX)
    assert again.table.equals(cleaned.table)
    assert [event for event in again.events if event.action != "flag"] == []


@pytest.mark.parametrize("step", names("cleaning"))
def test_every_step_takes_an_empty_table(step: str) -> None:
    component = find("cleaning", step)
    cleaned = component.function(component.config_type(), messy(1).clear(), CTX)
    assert cleaned.table.height == 0
    assert cleaned.events == []


def test_a_row_is_dropped_as_near_only_where_a_kept_row_is_near() -> None:
    rows = messy(3, 300)
    cleaned = near_dedup.apply(near_dedup.NearDedup(), rows, CTX)
    text = dict(zip(rows["id"].to_list(), rows["input"].to_list(), strict=True))
    kept = set(cleaned.table["id"].to_list())
    assert len(dropped(cleaned)) > 20
    for event in cleaned.events:
        assert event.kept_id in kept
        same = text_key(text[event.id]) == text_key(text[event.kept_id or ""])
        assert event.score == (1.0 if same else round(jaccard(text[event.id], text[event.kept_id or ""]), 6))
