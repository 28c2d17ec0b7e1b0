"""Arrays too large to keep: written one after another, then read as one, from memory or from a temporary file.

Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import mmap
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ftkit.errors import MachineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEEP_BYTES = 1 << 28
Number = TypeVar("Number", bound=np.generic)


class Spool(Generic[Number]):
    """Arrays one after another: in memory, and beyond KEEP_BYTES in a temporary file that ends with the context."""

    def __init__(self, kind: type[Number]) -> None:
        self._kind = kind
        self._parts: list[NDArray[Number]] = []
        self._num_bytes = 0
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Spool[Number]:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.clear()
        self._map = None  # closes when the last view of it is gone
        if self._file is not None:
            self._file.close()

    def append(self, part: NDArray[Number]) -> None:
        """Keep one more. Raises MachineError where the temporary file finds no room."""
        self._parts.append(part)
        self._num_bytes += part.nbytes
        if self._num_bytes <= KEEP_BYTES:
            return
        try:
            self._file = self._file or TemporaryFile()  # noqa: SIM115 - closed by __exit__
            for each in self._parts:
                np.ascontiguousarray(each).tofile(self._file)
            self._file.flush()
        except OSError as error:
            raise MachineError(f"no room for temporary files ({error}); point TMPDIR at a larger disk") from error
        self._parts.clear()

    def view(self) -> NDArray[Number]:
        """All of it; `append` no more."""
        if self._file is None:
            if len(self._parts) != 1:
                self._parts = [np.concatenate([np.zeros(0, self._kind), *self._parts])]
            return self._parts[0]
        self._map = self._map or mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)
        numbers: NDArray[Any] = np.frombuffer(self._map, self._kind)
        return numbers

    def release(self) -> None:
        """Give back the memory that views of the file have taken; they stay valid."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
