"""SIGTERM and Ctrl-C as a flag that work looks at between its steps, so that it ends where it can be resumed.

Knows no work.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftkit.errors import InterruptedRunError, StoppedError


@contextmanager
def stop_flag() -> Iterator[Callable[[], None]]:
    """Gives the function that raises once the user asked to stop; the second signal does not wait for it."""
    asked: list[int] = []

    def remember(number: int, _frame: object) -> None:
        if asked:  # the second signal does not wait
            raise KeyboardInterrupt
        asked.append(number)
        print("stopping at the next safe point; once more to stop at once", file=sys.stderr)

    def check_stop() -> None:
        if asked:
            kind = StoppedError if asked[0] == signal.SIGTERM else InterruptedRunError
            raise kind("stopped; the same command continues where it was")

    before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield check_stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
