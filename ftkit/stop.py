"""SIGTERM and Ctrl-C, heard from ftkit's first line on: a run ends where it can be resumed, and soon.

Imports nothing that takes long and knows no work. What is on disk may be left at any moment (see `store`), so a stop
need not wait: work looks at the flag between its steps, and what does not look in time is ended where it is. A thread
of its own hears the signal, since the main one may be inside a library for a while.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from ftkit.errors import FtkitError, InterruptedRunError, StoppedError

STOPPED = "stopped; the same command continues where it was"
SIGNALS: Mapping[int, type[FtkitError]] = {signal.SIGTERM: StoppedError, signal.SIGINT: InterruptedRunError}
CPU_S, LEAST_S, MOST_S = 3.5, 2.0, 20.0  # of processor time, if the clock says as much as the second; or of the clock
TICK_S = 0.1


class _Flag:
    """What was asked for, and whether there is work that looks at it."""

    asked: int | None = None
    is_looked_at = False


def listen() -> None:
    """From now on SIGTERM and Ctrl-C end the process with 75 and 130: at once, or as the work within `stop_flag` does.

    Also those that were held back until now.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _tick)
    signal.signal(signal.SIGPROF, _let_others_run)
    _thread.start_new_thread(_hear, (heard,))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def deaf() -> None:
    """The work is done: a signal changes nothing any more."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    for number in (*SIGNALS, signal.SIGPROF):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def stop_flag() -> Iterator[Callable[[], None]]:
    """Gives the function that raises once the user asked to stop; a second signal, or a few seconds, end it at once."""

    def check_stop() -> None:
        if _Flag.asked is not None:
            raise SIGNALS[_Flag.asked](STOPPED)

    _Flag.is_looked_at = True
    try:
        yield check_stop
        check_stop()
    finally:
        _Flag.is_looked_at = False


def forget() -> None:
    """What was stopped has ended, and other work goes on: the next signal is the first."""
    _Flag.asked = None
    signal.setitimer(signal.ITIMER_PROF, 0)


def _tick(_number: int, _frame: object) -> None:
    """A regular expression that is slow keeps other threads out, but lets handlers in: let them be called again."""
    signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)
    _let_others_run()


def _let_others_run(*_arguments: object) -> None:
    time.sleep(0.001)


def _hear(heard: int) -> None:
    """The thread: the first signal raises the flag, the second or the time ends the process."""
    begun_s = begun_cpu_s = 0.0
    while True:
        is_asked = _Flag.asked is not None
        if is_asked and _is_overdue(time.monotonic() - begun_s, time.process_time() - begun_cpu_s):
            _end()
        if not select.select([heard], [], [], TICK_S if is_asked else None)[0]:
            continue
        for number in (each for each in os.read(heard, 1) if each in SIGNALS):
            if not is_asked:
                begun_s, begun_cpu_s = time.monotonic(), time.process_time()
                _Flag.asked = number
            if is_asked or not _Flag.is_looked_at:
                _end()
            _write("stopping at the next safe point; once more to stop at once\n")


def _is_overdue(clock_s: float, cpu_s: float) -> bool:
    return (cpu_s > CPU_S and clock_s > LEAST_S) or clock_s > MOST_S


def _end() -> None:
    """End the process as it stands, as `kill -9` would, but with a word and a code."""
    assert _Flag.asked is not None
    cursor = "\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else ""  # bars hide it
    _write(f"{cursor}error: {STOPPED}\n")
    os._exit(SIGNALS[_Flag.asked].exit_code)


def _write(text: str) -> None:
    with suppress(OSError):  # of a terminal that is gone
        os.write(2, text.encode())
