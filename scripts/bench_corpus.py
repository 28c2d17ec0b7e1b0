"""The corpus of the benchmarks: texts made of pieces of the public sets, with exact and near duplicates.

Knows the public data's files, and nothing of what is measured. The same seed gives the same rows.
"""

from __future__ import annotations

import csv
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

SEED = 17
SHARED_ROWS = 1_000_000  # larger corpora are written for ftkit only
BATCH = 20_000
PIECE_CHARS = 80  # part of a sentence: two texts share one, and hardly ever several
MEAN_LOG, SPREAD_LOG = 5.8, 0.6  # of the length in characters: the mean is near 400
SHORTEST, LONGEST = 40, 2000
EXACT, NEAR = 0.2, 0.1  # shares of copies, and of copies with some words edited
EDITED_WORDS = (0.01, 0.1)  # shares of the words, so that pairs lie on both sides of 0.8


@dataclass(frozen=True)
class Corpus:
    """The same rows for ftkit, for the rivals, and as a recipe's source."""

    arrow: Path
    jsonl: Path
    source: Path
    num_rows: int


def write_corpus(data: Path, folder: Path, num_rows: int) -> Corpus:
    """Make the rows, and write them in three forms."""
    import polars

    from ftkit.prepare.rows import Rows
    from ftkit.prepare.texts.normal import normalised

    paths = [folder / f"{num_rows}.{kind}" for kind in ("arrow", "normalised.jsonl", "jsonl")]
    corpus = Corpus(paths[0], paths[1], paths[2], num_rows)
    if corpus.arrow.exists():
        return corpus
    say(f"making {num_rows:,} rows")
    begun = time.perf_counter()

    def batches() -> Iterator[polars.DataFrame]:
        with open(corpus.jsonl, "w") as plain_lines, open(corpus.source, "w") as lines:
            for number, table in enumerate(tables_of(data, num_rows)):
                ids = polars.Series("id", [str(number * BATCH + place) for place in range(table.height)])
                if num_rows <= SHARED_ROWS:
                    plain = normalised(table["input"]).alias("text").to_frame()
                    plain.write_ndjson(plain_lines)
                    table.write_ndjson(lines)
                yield table.select(ids, "input", "target", ids.alias("group"))

    Rows.write(corpus.arrow, batches())
    say(f"  {time.perf_counter() - begun:.0f} s")
    return corpus


def tables_of(data: Path, num_rows: int) -> Iterator[polars.DataFrame]:
    """The rows of `rows_of`, BATCH at a time, as input and target."""
    import polars

    rows = rows_of(data, num_rows=num_rows)
    while some := list(islice(rows, BATCH)):
        yield polars.DataFrame(some, schema=["input", "target"], orient="row")


def say(text: str) -> None:
    """A line for who waits."""
    print(text, file=sys.stderr, flush=True)


def rows_of(data: Path, *, num_rows: int) -> Iterator[tuple[str, str]]:
    """Text and target of so many rows, in random order; a copy has the target of its original, and may precede it."""
    pieces = pieces_of(data)
    rng = random.Random(f"{SEED} kinds {num_rows}")
    num_originals = round(num_rows * (1 - EXACT - NEAR))
    next_original = iter(rng.sample(range(num_originals), num_originals))
    kinds = bytearray(b"o" * num_originals + b"e" * round(num_rows * EXACT))
    kinds += b"n" * (num_rows - len(kinds))
    order = list(range(num_rows))
    rng.shuffle(order)
    for number in order:
        kind = kinds[number]
        original = next(next_original) if kind == ord("o") else rng.randrange(num_originals)
        text, target = _original(pieces, random.Random(f"{SEED} text {original}"))
        yield (_edited(text, rng) if kind == ord("n") else text), target


def _original(pieces: list[tuple[str, str]], rng: random.Random) -> tuple[str, str]:
    wanted = min(max(rng.lognormvariate(MEAN_LOG, SPREAD_LOG), SHORTEST), LONGEST - PIECE_CHARS)
    text, target = pieces[rng.randrange(len(pieces))]
    while len(text) < wanted:
        text += " " + pieces[rng.randrange(len(pieces))][0]
    return text, target


def _edited(text: str, rng: random.Random) -> str:
    """Some words, one at least, are dropped, doubled, swapped with the next one, or cut."""
    words = text.split()
    for _ in range(max(1, round(rng.uniform(*EDITED_WORDS) * len(words)))):
        place = rng.randrange(len(words))
        word = words[place]
        words[place : place + 1] = rng.choice(([], [word, word], [word[: len(word) // 2] or "x"], ["new", word]))
        words = words or [word]
    return " ".join(words)


def pieces_of(data: Path) -> list[tuple[str, str]]:
    """Distinct parts of sentences, each with the name of its set."""
    pieces: dict[str, str] = {}
    for name, text in _texts(data):
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            words, piece = sentence.split(), ""
            for word in words:
                piece = f"{piece} {word}".strip()
                if len(piece) >= PIECE_CHARS // 2:
                    pieces.setdefault(piece[:PIECE_CHARS], name)
                    piece = ""
    return sorted(pieces.items())


def _texts(data: Path) -> Iterator[tuple[str, str]]:
    """Name of the set, and text."""
    for file in ("train", "test"):
        for line in _lines(data / "gsm8k" / f"{file}.jsonl"):
            row = json.loads(line)
            yield from (("gsm8k", row["question"]), ("gsm8k", row["answer"]))
        with open(data / "banking77" / f"{file}.csv", newline="", encoding="utf-8") as lines:
            yield from (("banking77", row["text"]) for row in csv.DictReader(lines))
    for file in ("train", "dev", "test"):
        for line in _lines(data / "scitldr" / f"{file}.jsonl"):
            yield from (("scitldr", sentence) for sentence in json.loads(line)["source"])
        for line in _lines(data / "goemotions" / f"{file}.tsv"):
            yield "goemotions", line.split("\t")[0]
    splits = json.loads((data / "clinc150" / "data_full.json").read_text(encoding="utf-8"))
    yield from (("clinc150", text) for name in sorted(splits) for text, _ in splits[name])
    for path in sorted((data / "llmbar").glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            yield from (("llmbar", row[name]) for name in ("input", "output_1", "output_2"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]
