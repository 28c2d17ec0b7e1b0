"""Pairs of a row that was dropped or flagged and the row it gave way to, with their texts, and how the two differ.

Reads a folder that prepare wrote; knows no step, no page and no colours: a line is made of spans, each with a style.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ftkit.errors import DataError
from ftkit.registry import suggest
from ftkit.report.data.prepared_rows import EVENT, ShownRow, chunks, rows_of
from ftkit.report.markup import CONTROLS, NOTHING
from ftkit.store import read_json

if TYPE_CHECKING:
    from ftkit.contracts import Table

TEXT_CHARS = 20_000  # of each text, at most
DIFF_WORDS = 1_000  # of each text that are compared: the time grows with their product
ALIKE_WORDS = 40  # a longer run of words in common is shortened to its ends
ENDS_WORDS = 12
MIN_WIDTH = 40
STEERING = re.compile(r"[\x80-\x84\x86-\x9f]")  # a terminal may obey them, a page does not

Style: TypeAlias = Literal["plain", "differs", "faint", "head"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A row that was dropped or flagged, and the one it gave way to: None where that is no row of the folder, but of a
    benchmark, say. `score` is their similarity, None where the step gives none.
    """

    step: str
    action: str
    reason: str
    score: float | None
    id: str
    kept_id: str
    row: ShownRow | None
    kept: ShownRow | None


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one style. `differs` marks words that the other text has not."""

    text: str
    style: Style


Line: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Words in a row that are all in both texts, or all in one of them. `num_left_out` of them stand not here, but
    belong before the `tail`.
    """

    differs: bool
    words: tuple[str, ...]
    num_left_out: int = 0
    tail: tuple[str, ...] = ()


def pairs(folder: Path, *, steps: Sequence[str] = (), min_score: float | None = None, limit: int) -> Iterator[Pair]:
    """Pairs in the order of the steps, of each step at most `limit`, the least alike first: those are in doubt.

    `steps` names some steps, none for all. With `min_score` pairs without a score are left out. Pairs of equal score
    stay in the order of the ledger. Raises DataError for a step that did not run.
    """
    known: list[str] = [line["step"] for line in read_json(folder / "summary.json")["funnel"]]
    for step in steps:
        if step not in known:
            raise DataError(f"{folder / 'summary.json'}: no step {step!r} ran{suggest(step, dict.fromkeys(known))}")
    first = _first_of_each_step(folder, min_score=min_score, limit=limit)
    events: list[tuple[str, str, str, str, str, float | None]] = [
        event for step, table in first.items() if not steps or step in steps for event in table.iter_rows()
    ]
    names = {name for event in events for name in (event[0], event[4])}
    rows = rows_of(folder, names, max_chars=TEXT_CHARS)
    for name, step, action, reason, kept_id, score in events:
        yield Pair(step, action, reason, score, name, kept_id, rows.get(name), rows.get(kept_id))


def _first_of_each_step(folder: Path, *, min_score: float | None, limit: int) -> dict[str, Table]:
    """Events with a kept row, by step."""
    import polars

    first: dict[str, Table] = {}
    for table in chunks(folder / "ledger.jsonl", EVENT):
        events = table.filter(polars.col("action").is_in(["drop", "flag"]) & polars.col("kept_id").is_not_null())
        for names, own in events.group_by("step", maintain_order=True):
            step = str(names[0])
            good = own if min_score is None else own.filter(polars.col("score") >= min_score)
            both = polars.concat([first[step], good]) if step in first else good
            first[step] = both.sort("score", nulls_last=True, maintain_order=True).head(limit)
    return first


def compared(left: str, right: str) -> tuple[list[Run], list[Run]]:
    """Both texts as runs of words, with those marked that the other has not; long runs in common are shortened.

    Words are runs without white space. Beyond 1,000 words of a text nothing is compared, and the rest is left out.
    """
    words, others = left.split(), right.split()
    ours, theirs = words[:DIFF_WORDS], others[:DIFF_WORDS]
    runs: tuple[list[Run], list[Run]] = ([], [])
    for what, begin, end, other_begin, other_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        differs = what != "equal"
        for side, part in zip(runs, (ours[begin:end], theirs[other_begin:other_end]), strict=True):
            if part:
                side.append(Run(True, tuple(part)) if differs else _shortened(part))
    for side, whole in zip(runs, (words, others), strict=True):
        if len(whole) > DIFF_WORDS:
            side.append(Run(False, (), len(whole) - DIFF_WORDS))
    return runs


def _shortened(words: Sequence[str]) -> Run:
    if len(words) <= ALIKE_WORDS:
        return Run(False, tuple(words))
    return Run(False, tuple(words[:ENDS_WORDS]), len(words) - 2 * ENDS_WORDS, tuple(words[-ENDS_WORDS:]))


def left_out(num_words: int) -> str:
    """What stands in the place of words that are not shown."""
    return f"… {num_words:,} words …"


def rendered(pair: Pair, width: int, *, brackets: bool = False) -> list[Line]:
    """A head line, then both rows side by side, none wider than `width` cells of a terminal (at least 40).

    `brackets` puts differing words in brackets, for a terminal without styles. Control characters of the texts
    are replaced.
    """
    width = max(width, MIN_WIDTH)
    score = "" if pair.score is None else f", similarity {pair.score:.3f}"
    head = f"{pair.step}: {_verb(pair.action)}{score}: {pair.reason}"
    lines: list[Line] = _wrapped([Span(word, "head") for word in _clean(head).split()], width)
    left, right = compared(_text(pair.row), _text(pair.kept))
    cells = (width - 3) // 2
    columns = [
        [
            *_wrapped([Span(word, "faint") for word in _title(name, row).split()], cells),
            *_wrapped(_spans(runs, brackets=brackets), cells),
            *_wrapped([Span(word, "faint") for word in _foot(row).split()], cells),
        ]
        for name, row, runs in ((pair.id, pair.row, left), (pair.kept_id, pair.kept, right))
    ]
    for ours, theirs in zip_longest(*columns, fillvalue=()):
        gap = " " * (cells - sum(_cells(span.text) for span in ours))
        lines.append((*ours, Span(f"{gap} │ ", "faint"), *theirs))
    return lines


def plain(lines: Sequence[Line]) -> str:
    """The lines without styles."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


def _verb(action: str) -> str:
    return {"drop": "dropped", "flag": "flagged"}[action]


def _title(name: str, row: ShownRow | None) -> str:
    return _clean(f"{name} ({row.where})" if row else name)


def _text(row: ShownRow | None) -> str:
    return _clean(row.input) if row else ""


def _foot(row: ShownRow | None) -> str:
    if row is None:
        return "no row of this run: its text is not here"
    num_more = row.num_input_chars - len(row.input)
    more = f"… {num_more:,} more characters " if num_more > 0 else ""
    return _clean(f"{more}→ {row.target or NOTHING}")


def _clean(text: str) -> str:
    return STEERING.sub("\ufffd", CONTROLS.sub("\ufffd", text))


def _spans(runs: Sequence[Run], *, brackets: bool) -> list[Span]:
    """One span a word."""
    spans = []
    for run in runs:
        shown = " ".join(run.words)
        shown = f"[{shown}]" if run.differs and brackets else shown
        spans += [Span(word, "differs" if run.differs else "plain") for word in shown.split()]
        if run.num_left_out:
            spans += [Span(word, "faint") for word in left_out(run.num_left_out).split()]
        spans += [Span(word, "plain") for word in run.tail]
    return spans


def _wrapped(words: Sequence[Span], width: int) -> list[Line]:
    """Lines of words with one space between; a word that is longer than a line is cut into several."""
    lines: list[list[Span]] = [[]]
    room = width
    for word in words:
        for piece in _pieces(word, width):
            needed = _cells(piece.text) + (1 if lines[-1] else 0)
            if needed > room:
                lines.append([])
                room, needed = width, _cells(piece.text)
            elif lines[-1]:
                lines[-1].append(Span(" ", "plain"))
            lines[-1].append(piece)
            room -= needed
    return [tuple(line) for line in lines if line]


def _pieces(word: Span, width: int) -> Iterator[Span]:
    piece = ""
    room = width
    for character in word.text:
        if _cells(character) > room:
            yield Span(piece, word.style)
            piece, room = "", width
        piece += character
        room -= _cells(character)
    yield Span(piece, word.style)


def _cells(text: str) -> int:
    """Cells of a terminal: two for a wide character, none for one that joins the one before it."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
