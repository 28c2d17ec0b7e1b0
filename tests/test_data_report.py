"""The data report: its numbers, the rows behind them, a page that nothing in the data gets out of, and pairs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data_page import duplicates, prepared_rows
from ftkit.data_page import page as data_page
from ftkit.data_page import words as data_words
from ftkit.data_page.findings import findings
from ftkit.errors import DataError

HOSTILE = """<script>alert("1")</script>&amp; 'x' "y" \u202e\u200f\x00\x1b[31m` </details></td><img src=x onerror=y>"""
NO_FUNNEL = {"dropped": 0, "changed": 0, "flagged": 0}


def row(name: str, text: str, target: str = "a", group: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "input": text, "target": target, "group": group or name, **more}


def event(name: str, step: str, action: str, reason: str = "why", kept: str | None = None, score: float | None = None):
    return {"id": name, "step": step, "action": action, "reason": reason, "kept_id": kept, "score": score}


def gone(name: str, step: str, text: str, target: str = "a") -> dict[str, Any]:
    return {"id": name, "step": step, "input": text, "target": target}


def prepared(folder: Path, **files: Sequence[dict[str, Any]] | Sequence[str]) -> Path:
    """A folder as prepare writes it, of what is given; the rest is empty."""
    folder.mkdir(exist_ok=True)
    for name in ("train", "valid", "test", "ledger", "dropped"):
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in files.get(name, ()))
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    summary = {"labels": files.get("labels", []), "funnel": files.get("funnel", [])}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine rows came: four were dropped, one was added, six are in the splits."""
    return prepared(
        tmp_path / "prepare",
        labels=["a", "b", "c"],
        train=[
            row("t1", "Where is my parcel?", "a", "g1", weight=1.0),
            row("t2", "my parcel is late", "a", "g1", weight=0.25),
            row("t3", "Ça va b", "b", "g2", weight=0.5),
            row("t4", "WHERE is my parcel", "b", "g3", weight=1.0),
        ],
        valid=[row("v1", "Где посылка", "a", "g4", weight=1.0)],
        test=[row("e1", "where is my: parcel", "a", "g3", weight=1.0)],
        dropped=[
            gone("d1", "length", "hi"),
            gone("d2", "near_dedup", "Where is the parcel?"),
            gone("d3", "near_dedup", "where is my parcels"),
        ],
        ledger=[
            event("file.jsonl:7", "read", "drop", "not JSON"),
            event("d1", "length", "drop", "1 words, fewer than 3"),
            event("t3", "fix_text", "change", "input: characters repaired"),
            event("t3", "fix_text", "change", "target: characters repaired"),
            event("d3", "near_dedup", "drop", "nearly the same", "t1", 0.91),
            event("d2", "near_dedup", "drop", "nearly the same", "t1", 0.8),
            event("t2", "label_errors", "flag", "'a' by 0.1, 'b' by 0.4", None, 0.3),
            event("t4", "label_errors", "flag", "'b' by 0.1, 'a' by 0.9", None, 0.8),
            event("t2", "augment", "add", "case", "t1"),
        ],
        funnel=[
            {"step": "read", "rows_in": 9, **NO_FUNNEL, "dropped": 1},
            {"step": "length", "rows_in": 8, **NO_FUNNEL, "dropped": 1},
            {"step": "fix_text", "rows_in": 7, **NO_FUNNEL, "changed": 1},
            {"step": "near_dedup", "rows_in": 7, **NO_FUNNEL, "dropped": 2},
            {"step": "label_errors", "rows_in": 3, **NO_FUNNEL, "flagged": 2},
            {"step": "augment", "rows_in": 3, **NO_FUNNEL, "added": 1},
        ],
    )


def test_rows_that_came_are_those_kept_and_dropped_less_those_added(folder: Path) -> None:
    splits = {"train": 4, "valid": 1, "test": 1}
    assert findings(folder)["rows"] == {"came": 9, "dropped": 4, "added": 1, "kept": 6, "splits": splits}


def test_events_are_counted_by_reason_without_numbers_and_names(folder: Path) -> None:
    steps = {(step["step"], step["action"]): step for step in findings(folder)["steps"]}
    assert [(*key, step["rows"], step["events"]) for key, step in steps.items()] == [
        ("read", "drop", 1, 1),
        ("length", "drop", 1, 1),
        ("fix_text", "change", 1, 2),
        ("near_dedup", "drop", 2, 2),
        ("label_errors", "flag", 2, 2),
        ("augment", "add", 1, 1),
    ]
    assert steps["length", "drop"]["reasons"] == [{"reason": "… words, fewer than …", "events": 1}]
    assert steps["label_errors", "flag"]["reasons"] == [{"reason": "'…' by …, '…' by …", "events": 2}]


def test_pairs_begin_with_the_least_alike_and_flags_with_the_highest_score(folder: Path) -> None:
    steps = {step["step"]: step for step in findings(folder)["steps"]}
    near = steps["near_dedup"]
    assert [(pair["id"], pair["kept_id"], pair["score"]) for pair in near["examples"]] == [
        ("d2", "t1", 0.8),
        ("d3", "t1", 0.91),
    ]
    assert (near["pairs"], near["similarities"]) == (
        2,
        [{"from": 0.8, "to": 0.85, "pairs": 1}, {"from": 0.9, "to": 0.95, "pairs": 1}],
    )
    assert [example["id"] for example in steps["label_errors"]["examples"]] == ["t4", "t2"]
    assert steps["augment"]["pairs"] == 0


def test_lengths_have_a_mean_quantiles_of_rows_and_bars(folder: Path) -> None:
    lengths = {(each["side"], each["unit"]): each for each in findings(folder)["lengths"]}
    words = lengths["input", "words"]
    train = words["splits"]["train"]  # 4, 4, 3 and 4 words
    assert train["mean"] == 3.75
    assert [(point["share"], point["value"], point["id"]) for point in train["quantiles"]] == [
        *[(0.0, 3, "t3"), (0.05, 3, "t3"), (0.25, 3, "t3"), (0.5, 4, "t1")],
        *[(0.75, 4, "t1"), (0.95, 4, "t1"), (1.0, 4, "t1")],
    ]
    assert words["bars"] == {"begin": 2, "width": 1, "last_is_open": False}  # v1 has two words
    assert (train["bars"], words["splits"]["valid"]["bars"]) == ([0, 1, 3], [1, 0, 0])
    assert lengths["input", "characters"]["splits"]["test"]["mean"] == len("where is my: parcel")


@settings(max_examples=40)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60))
def test_quantiles_and_bars_are_those_of_numpy(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    rows = [row(f"r{place}", "x" * length) for place, length in enumerate(lengths)]
    each = findings(prepared(tmp_path_factory.mktemp("data"), train=rows))["lengths"][0]
    found = each["splits"]["train"]
    for point in found["quantiles"]:
        assert point["value"] == np.quantile(lengths, point["share"], method="inverted_cdf")
        assert lengths[int(point["id"][1:])] == point["value"]
    begin, width, bars = each["bars"]["begin"], each["bars"]["width"], found["bars"]
    edges = [begin + width * place for place in range(len(bars))] + [max(*lengths, begin + width * len(bars)) + 1]
    assert bars == np.histogram(lengths, edges)[0].tolist()
    assert len(bars) <= 24
    assert each["bars"]["last_is_open"] == (max(lengths) >= begin + width * len(bars))


def test_labels_are_counted_and_those_that_are_missing_are_named(folder: Path) -> None:
    labels = findings(folder)["labels"]
    assert [
        (each["label"], {split: number["rows"] for split, number in each["splits"].items()})
        for each in labels["counts"]
    ] == [
        ("a", {"train": 2, "valid": 1, "test": 1}),
        ("b", {"train": 2, "valid": 0, "test": 0}),
        ("c", {"train": 0, "valid": 0, "test": 0}),
    ]
    assert labels["counts"][0]["splits"]["train"]["ids"] == ["t1", "t2"]
    assert labels["absent"] == {"train": ["c"], "valid": ["b", "c"], "test": ["b", "c"]}
    assert [(each["label"], each["rows"]) for each in labels["rarest"]] == [("c", 0), ("b", 2), ("a", 2)]


def test_inputs_that_stand_twice_are_found_in_a_split_and_between_splits(folder: Path) -> None:
    repeats = findings(folder)["repeats"]
    assert repeats["inside"]["train"] == {"rows": 1, "pairs": [{"id": "t4", "kept_id": "t1"}]}
    assert repeats["between"] == [
        {"splits": ["train", "valid"], "rows": 0, "pairs": []},
        {"splits": ["train", "test"], "rows": 1, "pairs": [{"id": "e1", "kept_id": "t1"}]},
        {"splits": ["valid", "test"], "rows": 0, "pairs": []},
    ]


def test_the_same_input_after_another_history_is_no_repeat(tmp_path: Path) -> None:
    hi, bye = ([{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}] for text in ("hi", "bye"))
    train = [row("t1", "yes", history=hi), row("t2", "yes", history=bye), row("t3", "yes", history=[])]
    found = findings(prepared(tmp_path, train=train, test=[row("e1", "Yes!", history=bye)]))
    assert found["repeats"]["inside"]["train"]["rows"] == 0
    assert found["repeats"]["between"][1]["pairs"] == [{"id": "e1", "kept_id": "t2"}]
    assert found["suspicious"]["empty_history"]["train"] == {"rows": 1, "ids": ["t3"]}


def test_plain_texts_without_an_input_are_told_apart_by_their_targets(tmp_path: Path) -> None:
    train = [row("t1", "", "one text"), row("t2", "", "another text")]
    found = findings(prepared(tmp_path, train=train, test=[row("e1", "", "One text.")]))
    assert found["repeats"]["inside"]["train"]["rows"] == 0
    assert found["repeats"]["between"][1]["pairs"] == [{"id": "e1", "kept_id": "t1"}]
    assert found["words"]["splits"]["train"]["phrases"][0]["text"] == "text"


def test_texts_of_signs_only_are_the_same_where_the_signs_are(tmp_path: Path) -> None:
    found = findings(prepared(tmp_path, train=[row("t1", "👍"), row("t2", "👎"), row("t3", "👍 ")]))
    assert found["repeats"]["inside"]["train"]["pairs"] == [{"id": "t3", "kept_id": "t1"}]


def test_groups_are_counted_and_those_in_several_splits_found(folder: Path) -> None:
    groups = findings(folder)["groups"]
    assert groups["splits"]["train"] == {"groups": 3, "of_several_rows": 1}
    assert groups["largest"] == [{"group": "g1", "split": "train", "rows": 2, "ids": ["t1", "t2"]}]
    assert [each for each in groups["between"] if each["rows"]] == [
        {"splits": ["train", "test"], "rows": 1, "ids": ["e1"]}
    ]


def test_suspicious_rows_are_named(folder: Path) -> None:
    odd = findings(folder)["suspicious"]
    assert odd["shortest"][0] == {"id": "t3", "length": 7}
    assert odd["longest"][0] == {"id": "t1", "length": 19}
    assert odd["target_in_input"]["train"] == {"rows": 1, "ids": ["t3"]}  # 'a' is no word of its own in 'parcel'
    assert odd["low_weight"] == {"rows": 2, "lowest": [{"id": "t2", "weight": 0.25}, {"id": "t3", "weight": 0.5}]}
    assert (odd["rare_labels"]["labels"], odd["rare_labels"]["rows"]) == (3, 4)
    assert odd["empty_history"] is None


def test_texts_are_those_of_the_rows_named_and_say_where_they_are(folder: Path) -> None:
    texts = findings(folder)["texts"]
    splits = {"t1": "train", "t2": "train", "t3": "train", "t4": "train", "v1": "valid", "e1": "test"}
    dropped = {"d1": "dropped by length", "d2": "dropped by near_dedup", "d3": "dropped by near_dedup"}
    assert {name: text["where"] for name, text in texts.items()} == splits | dropped
    assert texts["d2"]["input"] == "Where is the parcel?"


def test_a_long_text_is_cut_and_its_whole_length_said(tmp_path: Path) -> None:
    folder = prepared(tmp_path, train=[row("t1", "y" * 5000)])
    text = findings(folder)["texts"]["t1"]
    assert (len(text["input"]), text["num_input_chars"]) == (2000, 5000)
    data_page.write(folder)
    assert f"{'y' * 300} <span" in (page := (folder / "data.html").read_text()) and "… 5,000 characters" in page
    assert "y" * 301 not in page


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


class Tags(HTMLParser):
    """Names, ids and targets of links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


def page_of(folder: Path) -> str:
    data_page.write(folder)
    return (folder / "data.html").read_text(encoding="utf-8")


def sample(folder: Path, root: Path) -> Path:
    """A hundred labels, long lists and pairs, of the committed sample."""
    lines = (root / "data" / "support_tickets.jsonl").read_text().splitlines()[:1500]
    rows = [json.loads(line) for line in lines]
    rows = [row(r["id"], r["text"], f"label {place % 100}", r["customer"]) for place, r in enumerate(rows)]
    pairs = [(rows[place], rows[place + 1]) for place in range(1300, 1400, 2)]
    return prepared(
        folder,
        labels=[f"label {number}" for number in range(100)],
        train=rows[:1000],
        valid=rows[1000:1100],
        test=rows[1100:1300],
        dropped=[gone(one["id"], "near_dedup", one["input"], one["target"]) for one, _ in pairs],
        ledger=[event(one["id"], "near_dedup", "drop", "near", kept["id"], 0.9) for one, kept in pairs],
        funnel=[{"step": "near_dedup", "rows_in": 1350, **NO_FUNNEL, "dropped": 50}],
    )


def hostile(folder: Path) -> Path:
    """Hostile text wherever text comes from rows, labels, steps or reasons."""
    names = [f"{HOSTILE}{number}" for number in range(6)]
    return prepared(
        folder,
        labels=[HOSTILE, "b"],
        train=[row(name, f"{HOSTILE} {name}", HOSTILE, HOSTILE, weight=0.5) for name in names[:4]],
        valid=[row(names[4], HOSTILE, HOSTILE, HOSTILE)],
        test=[row(names[5], HOSTILE, HOSTILE)],
        dropped=[gone("d1", HOSTILE, f"{HOSTILE} more", HOSTILE)],
        ledger=[
            event("d1", HOSTILE, "drop", HOSTILE, names[0], 0.9),
            event(names[1], HOSTILE, "flag", HOSTILE, None, 0.9),
        ],
        funnel=[{"step": HOSTILE, "rows_in": 7, **NO_FUNNEL, "dropped": 1, "flagged": 1}],
    )


@pytest.mark.parametrize("kind", ["small", "sample", "hostile", "no events", "one row"])
def test_every_link_leads_to_one_place_on_the_page(kind: str, folder: Path, tmp_path: Path, root: Path) -> None:
    made = {
        "small": lambda: folder,
        "sample": lambda: sample(tmp_path, root),
        "hostile": lambda: hostile(tmp_path),
        "no events": lambda: prepared(tmp_path, train=[row("t1", "one"), row("t2", "two")]),
        "one row": lambda: prepared(tmp_path, test=[row("t1", "")]),
    }
    tags = Tags(page_of(made[kind]()))
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert tags.links and {link.removeprefix("#") for link in tags.links} <= set(tags.ids)


def test_the_number_of_a_step_leads_to_its_rows(folder: Path) -> None:
    page = page_of(folder)
    table = page[page.index("Rows of each step") : page.index("Reasons, without")]
    rows = dict(re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', table))
    for name, number, ids in [
        ("read", "1", ["file.jsonl:7"]),
        ("length", "1", ["d1"]),
        ("fix_text", "1", ["t3", "t3"]),
        ("near_dedup", "2", ["d2", "d3"]),
        ("label_errors", "2", ["t4", "t2"]),
        ("augment", "1", ["t2"]),
    ]:
        ((anchor, shown),) = re.findall(r'<a href="#([^"]+)">([\d,]+)</a>', rows[name])
        listed = page[page.index(f'id="{anchor}"') :].partition("</details>")[0]
        assert (shown, re.findall(r'<th scope="row" dir="auto">([^<]+)</th>', listed)) == (number, ids)


def test_the_page_says_first_what_came_of_the_rows(folder: Path) -> None:
    page = page_of(folder)
    assert "9 rows came in, 4 were dropped, 1 was added, and 6 are in the splits." in page
    assert "Most were dropped by near_dedup: 2 rows with the reason “nearly the same”." in page
    assert 'Rows of test with an input that stands in train too: <a href="#duplicates-and-leaks">1</a>' in page
    assert "valid has no row of 2 labels: b, c." in page


def test_a_single_row_is_spoken_of_as_one(tmp_path: Path) -> None:
    ledger, funnel = [event("d1", "length", "drop")], [{"step": "length", "rows_in": 2, **NO_FUNNEL, "dropped": 1}]
    page = page_of(prepared(tmp_path, train=[row("t1", "x")], ledger=ledger, funnel=funnel))
    assert "2 rows came in, 1 was dropped, and 1 is in the splits." in page
    assert "Most were dropped by length: 1 row with the reason “why”." in page


def test_a_run_without_steps_says_so(tmp_path: Path) -> None:
    page = page_of(prepared(tmp_path, train=[row("t1", "one text")], test=[row("e1", "two words")]))
    assert "2 rows came in, none were dropped, and 2 are in the splits." in page
    assert "No step ran: the rows are as they came." in page
    assert "No row gave way to another." in page
    assert "Rows per label" not in page


def test_nothing_in_the_data_gets_out_of_its_text(tmp_path: Path) -> None:
    page = page_of(hostile(tmp_path))
    tags = Tags(page)
    assert not tags.names & {"script", "img", "iframe", "object", "link", "base", "form"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert not set("\x00\x1b\u202e") & set(page)
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;" in page


def test_pairs_stand_side_by_side_with_differing_words_marked(folder: Path) -> None:
    page = page_of(folder)
    assert "Where is <mark>the</mark> parcel?" in page
    assert "Where is <mark>my</mark> parcel?" in page


def test_a_hundred_labels_are_all_shown(tmp_path: Path, root: Path) -> None:
    page = page_of(sample(tmp_path, root))
    assert "100 labels, the most frequent in train first." in page
    assert all(f">label {number}</th>" in page for number in range(100))


def test_of_very_many_labels_the_first_and_the_last_are_shown(tmp_path: Path) -> None:
    labels = [f"label {number:03}" for number in range(300)]
    train = [
        row(f"{label}/{copy}", f"{label} {copy}", label)
        for place, label in enumerate(labels)
        for copy in range(1 + (place < 150))
    ]
    page = page_of(prepared(tmp_path, train=train, labels=labels))
    assert "Shown are the first and the last 100; data.json has all." in page
    assert ">label 099</th>" in page and ">label 100</th>" not in page
    assert len(json.loads((tmp_path / "data.json").read_text())["labels"]["counts"]) == 300


WRITE = "from pathlib import Path; from ftkit.data_page import page; page.write(Path('{}'))"


def test_the_bytes_are_the_same_for_any_hash_seed_and_number_of_threads(tmp_path: Path, root: Path) -> None:
    written = []
    for seed in ("1", "2"):
        folder = sample(tmp_path / seed, root)
        env = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": seed}
        subprocess.run([sys.executable, "-c", WRITE.format(folder)], check=True, env=env)
        written.append([(folder / name).read_bytes() for name in ("data.json", "data.html")])
    assert written[0] == written[1]


def test_how_much_is_read_at_a_time_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = findings(folder)
    monkeypatch.setattr(prepared_rows, "CHUNK_BYTES", 1)
    assert findings(folder) == whole


def test_reasons_beyond_the_first_kinds_are_counted_together(tmp_path: Path) -> None:
    letters = [f"{one}{two}" for one in "abcdefgh" for two in "abcdefgh"]
    ledger = [event(f"d{name}", "pattern", "drop", f"has {name}") for name in letters]
    funnel = [{"step": "pattern", "rows_in": 65, **NO_FUNNEL, "dropped": 64}]
    folder = prepared(tmp_path, train=[row("t1", "x")], ledger=ledger, funnel=funnel)
    step = findings(folder)["steps"][0]
    assert (len(step["reasons"]), step["events_of_other_reasons"]) == (50, 14)
    assert "other reasons" in page_of(folder)


def test_a_damaged_or_missing_file_is_named(folder: Path) -> None:
    (folder / "dropped.jsonl").write_text('{"id": "x"\n')
    with pytest.raises(DataError, match=r"dropped\.jsonl: not what prepare wrote"):
        findings(folder)
    (folder / "dropped.jsonl").unlink()
    with pytest.raises(DataError, match=r"dropped\.jsonl: missing; run prepare again"):
        findings(folder)


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
    one = prepared_rows.Row("d1", "dropped by near_dedup", left, "a", len(left), 1)
    other = prepared_rows.Row("t1", "train", right, "b", len(right), 1)
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
