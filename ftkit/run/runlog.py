"""Progress that is also written down: every line of a run goes to `run.log` with its time.

Knows no stage; wraps whatever shows progress to the user.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from ftkit.contracts import Bar, Progress
from ftkit.errors import visible


class RunLog:
    """Passes bars on, and writes lines to the log as well."""

    def __init__(self, progress: Progress, path: Path) -> None:
        self._progress = progress
        self._path = path

    def __enter__(self) -> RunLog:
        self._file = self._path.open("a", encoding="utf-8")
        self._write("---")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._write(f"{type(error).__name__}: {error}")
        self._file.close()

    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> AbstractContextManager[Bar]:
        """A bar of the wrapped progress."""
        return self._progress.bar(description, total, unit, done)

    def say(self, text: str) -> None:
        """Show a line and write it down."""
        self._write(text)
        self._progress.say(text)

    def _write(self, text: str) -> None:
        self._file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {visible(text)}\n")
        self._file.flush()
