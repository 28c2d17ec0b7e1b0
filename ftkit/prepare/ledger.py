"""What was done to every row: events on their way to `ledger.jsonl`, dropped rows to `dropped.jsonl`, and the funnel.

Knows no step and no split. All goes to disk as it comes; only counts stay in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.prepare.summary import FunnelLine

if TYPE_CHECKING:
    from ftkit.contracts import Progress, Table

ACTIONS = {"drop": "dropped", "change": "changed", "flag": "flagged", "add": "added"}
SHOWN = ("id", "input", "target")  # of a dropped row
DROPPED = ("id", "step", "input", "target")
COLUMNS = ("id", "step", "action", "reason", "kept_id", "score")
WRITTEN_ROWS = 100_000  # at a time


@dataclass
class Line:
    """One step of the funnel: rows that went in, and how many of them each action met (a row counts once)."""

    step: str
    rows_in: int
    counts: dict[str, int]

    @property
    def record(self) -> FunnelLine:
        """The same, as `summary.json` has it."""
        return FunnelLine(step=self.step, rows_in=self.rows_in, **self.counts)

    def __str__(self) -> str:
        done = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count) or "nothing to do"
        return f"{self.step}: {self.rows_in:,} rows, {done}"


class Ledger:
    """Collects events by step; the steps stand in the file in the order in which `begin` was called."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._lines: list[Line] = []

    def begin(self, step: str) -> int:
        """A new line of the funnel; returns its number."""
        self._lines.append(Line(step, 0, dict.fromkeys(ACTIONS.values(), 0)))
        return len(self._lines) - 1

    def add(self, number: int, num_rows: int, events: Table) -> None:
        """Events of a step on some of its rows; all events of one row come in the same call."""
        import polars

        line = self._lines[number]
        line.rows_in += num_rows
        if events.is_empty():
            return
        counts: Iterator[tuple[str, int]] = (
            events.group_by("action").agg(polars.col("id").hash().n_unique()).iter_rows()
        )
        for action, count in counts:
            line.counts[ACTIONS[action]] += count
        with self._part(number).open("ab") as file:
            for some in events.with_columns(step=polars.lit(line.step)).select(COLUMNS).iter_slices(WRITTEN_ROWS):
                some.write_ndjson(file)

    def keep(self, number: int, rows: Table) -> None:
        """Rows that a step drops, as they are now, so that they can be looked at."""
        import polars

        if not rows.is_empty():
            with self._dropped(number).open("ab") as file:
                shown = rows.select(SHOWN)
                shown.with_columns(step=polars.lit(self._lines[number].step)).select(DROPPED).write_ndjson(file)

    def say(self, number: int, *, seconds: float = 0.0) -> None:
        """Say what a step did, once it is done, and how fast where the time it took is known."""
        line = self._lines[number]
        self._progress.say(f"{line}; {line.rows_in / seconds:,.0f} rows/s" if seconds else str(line))

    def write(self, out: Path) -> None:
        """`ledger.jsonl` and `dropped.jsonl`: all events and all dropped rows so far, step after step."""
        numbers = range(len(self._lines))
        _join(out / "ledger.jsonl", [self._part(number) for number in numbers])
        _join(out / "dropped.jsonl", [self._dropped(number) for number in numbers])

    @property
    def funnel(self) -> tuple[FunnelLine, ...]:
        """One record a step."""
        return tuple(line.record for line in self._lines)

    @property
    def worst(self) -> str:
        """'; dropped: …' for the message that nothing is left; empty where nothing was dropped."""
        lines = [line for line in self._lines if line.counts["dropped"]]
        dropped = [f"{line.step} {line.counts['dropped']:,} of {line.rows_in:,}" for line in lines]
        return f"; dropped: {', '.join(dropped)}" if dropped else ""

    def _part(self, number: int) -> Path:
        return self._folder / f"events-{number}.jsonl"

    def _dropped(self, number: int) -> Path:
        return self._folder / f"dropped-{number}.jsonl"


def _join(path: Path, parts: list[Path]) -> None:
    with path.open("wb") as out:
        for part in parts:
            if part.exists():
                with part.open("rb") as file:
                    shutil.copyfileobj(file, out)
