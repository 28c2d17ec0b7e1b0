"""The error tree: every failure a user can meet, each class with the exit code of the command line.

Knows nothing of what raises it.

    FtkitError 70                our bug, unless a subclass says otherwise
    ├── RecipeError 2            the recipe or the command line is wrong
    ├── DataError 3              rows, files, columns, labels
    ├── MachineError 4           device, memory, disk, network, missing packages or models
    ├── DivergedError 5          training left the finite numbers
    ├── BusyError 6              the run directory is in use
    ├── ArtifactError 7          an artifact is damaged or belongs to something else
    ├── StoppedError 75          stopped by SIGTERM, resumable
    └── InterruptedRunError 130  stopped by Ctrl-C, resumable
"""

from __future__ import annotations

import re

READER_GONE = 141  # as a shell says of a command that SIGPIPE ended
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """A text for a terminal: what would steer it, or turn the order of its signs, as `\\u001b`. So JSON stays JSON.

    All that is printed goes through it: templates, column names and reports are written by others.
    """
    return _UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


class FtkitError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_code = 70


class RecipeError(FtkitError):
    """The recipe or the command line is wrong. `problems` holds one line per mistake."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(FtkitError):
    """Rows, files, columns or labels are not what the recipe says."""

    exit_code = 3


class MachineError(FtkitError):
    """Device, memory, disk, network, or something that has to be installed or downloaded first."""

    exit_code = 4


class DivergedError(FtkitError):
    """Loss or gradients became NaN or infinite; the last update was not applied."""

    exit_code = 5


class BusyError(FtkitError):
    """Another process holds the run directory."""

    exit_code = 6


class ArtifactError(FtkitError):
    """A stored artifact is damaged, incomplete, or was made from something else."""

    exit_code = 7


class StoppedError(FtkitError):
    """SIGTERM arrived; the same command continues."""

    exit_code = 75


class InterruptedRunError(FtkitError):
    """Ctrl-C arrived; the same command continues."""

    exit_code = 130


def is_out_of_memory(error: Exception) -> bool:
    """Also torch's own errors, by name and words: torch may not be loaded, and has no class for its CPU's."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "DefaultCPUAllocator: can't allocate memory" in str(error)
