"""Progress on a terminal: bars on stderr for what takes longer than two seconds, lines for what must be known.

Knows no stage. Where stderr is no terminal, a bar becomes a line every ten seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ftkit.errors import READER_GONE, visible

SHOW_AFTER_S = 2.0
LINE_EVERY_S = 10.0


def print_styled(text: Text) -> None:
    """A text in its styles on stdout; what others wrote in it cannot steer the terminal."""
    console = _Piped(highlight=False, soft_wrap=True)
    parts = ((visible(part.text), part.style or "") for part in text.render(console))
    console.print(Text.assemble(*parts))


class _Piped(Console):
    """A console whose reader may leave early, as `| head` does."""

    def on_broken_pipe(self) -> None:
        sys.exit(READER_GONE)


class TerminalBar:
    """One bar; shown once it has lasted two seconds."""

    def __init__(self, terminal: Terminal, description: str, total: int, unit: str, done: int) -> None:
        self._terminal = terminal
        self._description = visible(description)
        self._total = total
        self._unit = unit
        self._done = self._before = done
        self._begun = self._last = time.monotonic()
        self._task = terminal.bars.add_task(
            escape(visible(description)), total=total, completed=done, visible=False, note=""
        )

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count units done; show the rate, the time left and a note."""
        self._done += count
        now = time.monotonic()
        elapsed = now - self._begun
        if elapsed < SHOW_AFTER_S:
            self._terminal.bars.update(self._task, completed=self._done)
            return
        made = self._done - self._before
        text = f"{made / elapsed:,.1f} {self._unit}/s" + (f" · {visible(note)}" if note else "")
        self._terminal.bars.update(self._task, completed=self._done, visible=True, note=escape(text))
        if not self._terminal.console.is_terminal and now - self._last > LINE_EVERY_S:
            self._last = now
            left = elapsed / made * (self._total - self._done) if made else 0.0
            print(f"{self._description}: {self._done}/{self._total}, {text}, {left:.0f} s left", file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        self._terminal.bars.remove_task(self._task)


class Terminal:
    """Shows bars and lines on stderr while it is entered."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator[Terminal]:
        """Draw until the block ends."""
        with self.bars:
            yield self

    @contextmanager
    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> Iterator[TerminalBar]:
        """A bar for one piece of work."""
        bar = TerminalBar(self, description, total, unit, done)
        try:
            yield bar
        finally:
            bar.close()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)
