"""Progress as lines of JSON, for other programs: what is said, how far each piece of work is, how it ended.

Knows no stage; wraps whatever shows progress to the user.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import Field

from ftkit.contracts import Bar, Progress
from ftkit.records import dump
from ftkit.store import JsonRecord

EVERY_S = 1.0  # a line of a piece of work, and one at its beginning and end


class Event(JsonRecord):
    """A line of `--events`."""

    time: str = Field(description="when, as 2026-01-31T12:00:00+0000")
    event: Literal["message", "progress", "finished", "error"] = Field(
        description="a line for the user, how far a piece of work is, or how the command ended"
    )
    text: str = Field(description="the line, the name of the work, the error; empty where it ended well")
    done: int | None = Field(description="units done; null but for progress")
    total: int | None = Field(description="units there are; null but for progress")
    unit: str | None = Field(description="what is counted: rows, steps; null but for progress")


class Events:
    """Passes all on, and appends it to a file, line by line."""

    def __init__(self, progress: Progress, path: Path) -> None:
        self._progress = progress
        self._path = path

    def __enter__(self) -> Events:
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write("finished" if error is None else "error", "" if error is None else str(error))
        self._file.close()

    @contextmanager
    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> Iterator[Bar]:
        """A bar of the wrapped progress, whose moves are written down."""
        with self._progress.bar(description, total, unit, done) as bar:
            noted = _Noted(bar, self, (description, total, unit), done)
            noted.write()
            try:
                yield noted
            finally:
                noted.write()

    def say(self, text: str) -> None:
        """Show a line and write it down."""
        self.write("message", text)
        self._progress.say(text)

    def write(
        self,
        event: Literal["message", "progress", "finished", "error"],
        text: str,
        done: int | None = None,
        total: int | None = None,
        unit: str | None = None,
    ) -> None:
        """One line, at once."""
        line = Event(
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"), event=event, text=text, done=done, total=total, unit=unit
        )
        self._file.write(dump(line.as_json()) + "\n")
        self._file.flush()


class _Noted:
    """A bar that tells of itself, once a second at most."""

    def __init__(self, bar: Bar, events: Events, named: tuple[str, int, str], done: int) -> None:
        self._bar, self._events = bar, events
        self._named, self._done = named, done
        self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count units done."""
        self._done += count
        self._bar.advance(count, note)
        if time.monotonic() - self._last > EVERY_S:
            self.write()

    def write(self) -> None:
        """How far it is."""
        description, total, unit = self._named
        self._last = time.monotonic()
        self._events.write("progress", description, self._done, total, unit)
