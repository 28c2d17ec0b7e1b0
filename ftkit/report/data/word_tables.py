"""Tables of the data report on words, scripts and languages of the inputs; all of it escaped.

Lays out what `findings` found and computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ftkit.contracts import Json
from ftkit.report.data.lists import Lists, entries, shortened
from ftkit.report.markup import NOTHING, Cell, Grid, Html, count, escape, folded, percent

Cells: TypeAlias = list[list[Cell]]


def words(report: Json, lists: Lists) -> str:
    """Frequent phrases by split, and those that set labels apart."""
    of_words = report["words"]
    note = (
        f"Of the first {count(of_words['sample_rows'])} rows of each split, and of each text its first "
        f"{count(of_words['sample_characters'])} characters; splits are in an order of chance. "
        "Counted are rows, however often a row has the words; a row without an input counts with its target."
    )
    html = f'<p class="note">{note}</p>'
    for split, each in of_words["splits"].items():
        if each["phrases"]:
            tables = "".join(_phrases(split, each, size, lists) for size in (1, 2, 3))
            own = Html(f'<div class="several">{tables}</div>')
            title = f"{split}, {count(each['sample'])} rows"
            html += f"<h3>{escape(title)}</h3>{own}" if split == "train" else folded(title, own)
    return html + (_cues(of_words["cues"], lists) if of_words["cues"] else "")


def _phrases(split: str, each: Json, size: int, lists: Lists) -> str:
    own = [phrase for phrase in each["phrases"] if phrase["words"] == size]
    if not own:
        return ""
    what = "one word" if size == 1 else f"{size} words"
    numbers = [(count(phrase["num_rows"]), entries(phrase["ids"], phrase["text"])) for phrase in own]
    links = lists.numbers(f"{split}: rows with the most frequent phrases of {what}", numbers)
    table: Cells = [
        [phrase["text"], link, percent(phrase["num_rows"] / each["sample"])]
        for phrase, link in zip(own, links, strict=True)
    ]
    return Grid(f"Phrases of {what}", ("words", "rows", "share"), table).html


def _cues(cues: Sequence[Json], lists: Lists) -> str:
    links = lists.numbers(
        "Rows with the phrases that set labels apart",
        [(percent(cue["share"]), entries(cue["ids"], f"{cue['label']}: {cue['text']}")) for cue in cues],
    )
    tables = "".join(
        Grid(
            shortened(label),
            ("words", "its rows", "others"),
            [
                [cue["text"], link, percent(cue["share_elsewhere"])]
                for cue, link in zip(cues, links, strict=True)
                if cue["label"] == label
            ],
        ).html
        for label in dict.fromkeys(cue["label"] for cue in cues)
    )
    note = "Share of a label's rows in train that have the words, and of all other rows; the surest difference first."
    return f'<h3>Words that set labels apart</h3><p class="note">{note}</p><div class="several">{tables}</div>'


def scripts(report: Json, lists: Lists) -> str:
    """Scripts and languages of a sample, by split."""
    html = _kinds("Script", "most letters of the input are", report["scripts"], lists)
    if report["languages"] is None:
        return f'{html}<p class="note">Languages are counted where the extra ftkit[language] is installed.</p>'
    return html + _kinds("Language", "the input most likely is", report["languages"], lists)


def _kinds(what: str, how: str, by_split: Mapping[str, Json], lists: Lists) -> str:
    names = list(dict.fromkeys(kind["name"] for each in by_split.values() for kind in each["kinds"]))
    table: Cells = []
    for name in names:
        cells: list[Cell] = [name]
        for split, each in by_split.items():
            kind = next((kind for kind in each["kinds"] if kind["name"] == name), None)
            rows = kind["num_rows"] if kind else 0
            link = lists.number(rows, f"{split}: {name}", entries(kind["ids"])) if kind and rows else escape(NOTHING)
            share = f" ({percent(rows / each['sample'])})" if rows else ""
            with_any = kind["num_rows_with_any"] if kind else None
            more = f", {count(with_any)} with any" if with_any and with_any > rows else ""
            cells.append(Html(f"{link}{escape(share + more)}"))
        table.append(cells)
    sizes = ", ".join(f"{split} {count(each['sample'])}" for split, each in by_split.items())
    caption = f"{what} that {how} in; of the first rows of each split: {sizes}"
    return Grid(caption, (what.lower(), *by_split), table).html
