"""Words, scripts and languages of the data report."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import polars
import pytest
from prepared_folders import prepared, row

from ftkit.report.data import words as data_words
from ftkit.report.data.findings import findings


@pytest.mark.parametrize("size", [1, 2, 3])
def test_phrases_are_those_a_plain_count_finds(root: Path, size: int) -> None:
    lines = (root / "data" / "support_tickets.jsonl").read_text().splitlines()[:700]
    texts = [json.loads(line)["text"] for line in lines]
    words_of = [re.findall(r"\w+", unicodedata.normalize("NFKC", text[:1000]).lower()) for text in texts]
    num_rows: Counter[str] = Counter()
    num_times: Counter[str] = Counter()
    for words in words_of:
        own = [" ".join(words[place : place + size]) for place in range(len(words) - size + 1)]
        num_times.update(own)
        num_rows.update(set(own))
    expected = sorted(num_rows.items(), key=lambda item: (-item[1], item[0].split()))[:15]
    found = data_words.Phrases(polars.Series(texts)).top(size, 15, num_positions=2)
    assert [(phrase.text, phrase.num_rows) for phrase in found] == expected
    for phrase in found:
        assert phrase.num_times == num_times[phrase.text]
        having = [place for place, words in enumerate(words_of) if f" {phrase.text} " in f" {' '.join(words)} "]
        assert list(phrase.positions) == having[:2]


def test_words_that_set_a_label_apart_are_surest_first() -> None:
    texts = polars.Series(["cheap pills now", "buy pills now", "see you now", "lunch now", "a walk now", "pills? no"])
    targets = polars.Series(["spam", "spam", "ham", "ham", "ham", "ham"])
    first = data_words.Phrases(texts).cues(targets, 2, num_positions=3)
    # pills now: 2 of 2 and 0 of 4; pills: 2 of 2 and 1 of 4; now: 2 of 2 and 3 of 4
    assert [(cue.label, cue.text, cue.share, cue.share_elsewhere, cue.positions) for cue in first] == [
        ("spam", "pills now", 1.0, 0.0, (0, 1)),
        ("spam", "pills", 1.0, 0.25, (0, 1)),
    ]


def test_a_phrase_counts_within_one_text_only() -> None:
    found = data_words.Phrases(polars.Series(["red", "car red", "car", "", "…"]))
    assert [(phrase.text, phrase.num_rows) for phrase in found.top(1, 9, num_positions=1)] == [("car", 2), ("red", 2)]
    assert found.top(2, 9, num_positions=1) == []


def test_scripts_are_those_of_the_letters_names() -> None:
    texts = ["Где мой parcel", "日本の", "naïve", "12 %", "عربي a", "ꙮ", "𐌰𐌱", "ÀÉ где", ""]
    names = {"LATIN": "Latin", "CYRILLIC": "Cyrillic", "CJK": "Han", "HIRAGANA": "Hiragana", "ARABIC": "Arabic"}
    expected: Counter[str] = Counter()
    for text in texts:
        letters = [character for character in text if unicodedata.category(character).startswith("L")]
        kinds = Counter(names.get(unicodedata.name(letter).split()[0], "other") for letter in letters)
        expected[max(sorted(kinds), key=kinds.__getitem__) if kinds else "no letters"] += 1
    found = data_words.scripts(polars.Series(texts), num_positions=3)
    assert {kind.name: kind.num_rows for kind in found if kind.num_rows} == expected
    assert {kind.name: kind.num_rows_with_any for kind in found}["Latin"] == 4
    assert next(kind.positions for kind in found if kind.name == "no letters") == (3, 8)


def test_languages_are_counted_where_their_library_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    english = "The weather was lovely yesterday and we walked along the river for hours."
    german = "Das Wetter war gestern herrlich, und wir sind stundenlang am Fluss entlang gelaufen."
    train = [row("t1", german), row("t2", english), row("t3", f"{english} Nobody else was there.")]
    kinds = findings(prepared(tmp_path, train=train))["languages"]["train"]["kinds"]
    assert [(kind["name"], kind["num_rows"], kind["ids"]) for kind in kinds] == [
        ("en", 2, ["t2", "t3"]),
        ("de", 1, ["t1"]),
    ]
