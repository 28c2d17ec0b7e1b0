"""What ftkit uses of Arrow's tables, as types: pyarrow brings none of its own.

Types only; knows no library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, Self


class ArrowType(Protocol):
    """The type of a column; equal ones are equal and hash alike."""

    def __hash__(self) -> int: ...


class ArrowField(Protocol):
    """A column of a schema."""

    @property
    def type(self) -> ArrowType: ...


class ArrowSchema(Protocol):
    """Names and types of columns, and what was written beside them."""

    @property
    def names(self) -> list[str]: ...

    @property
    def metadata(self) -> Mapping[bytes, bytes] | None: ...

    def field(self, name: str) -> ArrowField: ...

    def empty_table(self) -> ArrowTable: ...

    def __iter__(self) -> Iterator[ArrowField]: ...


class ArrowArray(Protocol):
    """Values of one type: an array, or as a column of a table several of them."""

    @property
    def type(self) -> ArrowType: ...

    def validate(self, *, full: bool = False) -> None: ...

    def to_pylist(self) -> list[bytes | None]: ...

    def view(self, target: ArrowType) -> ArrowArray: ...

    def buffers(self) -> Sequence[bytes | None]: ...

    @property
    def offset(self) -> int: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[object]: ...

    def __getitem__(self, some: slice) -> Self: ...


class ArrowColumn(ArrowArray, Protocol):
    """A column of a table: arrays one after another."""

    @property
    def chunks(self) -> list[ArrowArray]: ...

    def chunk(self, index: int) -> ArrowArray: ...


class ArrowTable(Protocol):
    """A table or a record batch."""

    @property
    def num_rows(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def column_names(self) -> Iterable[str]: ...

    @property
    def columns(self) -> list[ArrowColumn]: ...

    @property
    def schema(self) -> ArrowSchema: ...

    def __getitem__(self, name: str) -> ArrowColumn: ...

    def slice(self, offset: int, length: int) -> Self: ...

    def filter(self, mask: list[bool]) -> Self: ...

    def select(self, names: list[str]) -> Self: ...

    def combine_chunks(self) -> Self: ...

    def to_batches(self) -> list[ArrowTable]: ...

    def get_total_buffer_size(self) -> int: ...


class ArrowReader(Protocol):
    """An Arrow file, a record batch at a time."""

    @property
    def schema(self) -> ArrowSchema: ...

    @property
    def num_record_batches(self) -> int: ...

    def get_batch(self, index: int) -> ArrowTable: ...


class ArrowStream(Protocol):
    """An Arrow stream: its record batches one after another."""

    @property
    def schema(self) -> ArrowSchema: ...

    def __iter__(self) -> Iterator[ArrowTable]: ...


class ArrowWriter(Protocol):
    """Writes an Arrow file, a record batch at a time."""

    def write_batch(self, batch: ArrowTable) -> None: ...

    def close(self) -> None: ...
