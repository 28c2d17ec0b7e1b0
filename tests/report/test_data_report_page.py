"""The page of the data report: links that lead somewhere, sentences, and data that nothing gets out of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from prepared_folders import NO_FUNNEL, event, hostile, nine_rows, page_of, prepared, row, sample

from ftkit.report.data import page as data_page
from ftkit.report.data.findings import findings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return nine_rows(tmp_path / "prepare")


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


def test_reasons_beyond_the_first_kinds_are_counted_together(tmp_path: Path) -> None:
    letters = [f"{one}{two}" for one in "abcdefgh" for two in "abcdefgh"]
    ledger = [event(f"d{name}", "pattern", "drop", f"has {name}") for name in letters]
    funnel = [{"step": "pattern", "rows_in": 65, **NO_FUNNEL, "dropped": 64}]
    folder = prepared(tmp_path, train=[row("t1", "x")], ledger=ledger, funnel=funnel)
    step = findings(folder)["steps"][0]
    assert (len(step["reasons"]), step["events_of_other_reasons"]) == (50, 14)
    assert "other reasons" in page_of(folder)


def test_a_long_text_is_cut_and_its_whole_length_said(tmp_path: Path) -> None:
    folder = prepared(tmp_path, train=[row("t1", "y" * 5000)])
    text = findings(folder)["texts"]["t1"]
    assert (len(text["input"]), text["num_input_chars"]) == (2000, 5000)
    data_page.write(folder)
    assert f"{'y' * 300} <span" in (page := (folder / "data.html").read_text()) and "… 5,000 characters" in page
    assert "y" * 301 not in page


WRITE = "from pathlib import Path; from ftkit.report.data import page; page.write(Path('{}'), threads={})"


def test_the_bytes_are_the_same_for_any_hash_seed_and_number_of_threads(tmp_path: Path, root: Path) -> None:
    written = []
    for seed in ("1", "2"):
        folder = sample(tmp_path / seed, root)
        env = {**os.environ, "PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": seed}
        subprocess.run([sys.executable, "-c", WRITE.format(folder, seed)], check=True, env=env)
        written.append([(folder / name).read_bytes() for name in ("data.json", "data.html")])
    assert written[0] == written[1]
