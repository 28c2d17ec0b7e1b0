"""Parquet files. Ids default to '<file>:<row>', counted from 1.

Knows no other format and no stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats.arrow_rows import class_names
from ftkit.prepare.formats.arrow_types import ArrowSchema, ArrowTable
from ftkit.prepare.formats.openers import BLOCK_BYTES, SourceFile, refuse_foreign, start_of
from ftkit.prepare.rows import BATCH_BYTES, BATCH_ROWS
from ftkit.prepare.sources import FileSource, Part, tabular
from ftkit.registry import component


class Parquet(FileSource):
    """Parquet files, with the types they have; class numbers of the datasets library become their names."""

    endings: ClassVar[tuple[str, ...]] = (".parquet", ".pq")


class _RowGroup(Protocol):
    @property
    def total_byte_size(self) -> int: ...


class _Metadata(Protocol):
    @property
    def num_rows(self) -> int: ...

    @property
    def num_row_groups(self) -> int: ...

    def row_group(self, index: int) -> _RowGroup: ...


@component
def read(config: Parquet, ctx: Context) -> Iterator[Batch]:
    """All rows, a part of a row group at a time. Raises DataError where a file is damaged or a column missing."""
    parts = (part for file in config.files(ctx) for part in _parts(file))
    yield from tabular(config, parts, ctx)


def _parts(file: SourceFile) -> Iterator[Part]:
    import pyarrow as pa
    from pyarrow import parquet

    start = start_of(file.path)
    if not start.startswith(b"PAR1"):
        refuse_foreign(file.path, start, wanted="a parquet file")
        raise DataError(f"{file.path}: not a parquet file: it does not begin with PAR1; use the source of its format")
    try:
        with parquet.ParquetFile(file.path, buffer_size=BLOCK_BYTES, pre_buffer=False) as reader:
            schema: ArrowSchema = reader.schema_arrow
            num_rows = max(min(BATCH_ROWS, BATCH_BYTES // _row_bytes(reader.metadata)), 1)
            yield Part(file.name, str(file.path), schema.empty_table())  # the file is named where it has no row
            batches: Iterator[ArrowTable] = reader.iter_batches(batch_size=num_rows, use_threads=False)
            for batch in batches:
                yield Part(file.name, str(file.path), batch, class_names(schema))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file.path}: the parquet file is damaged or cut off: {message}; get it again") from None


def _row_bytes(meta: _Metadata) -> int:
    """Mean size of a row when unpacked, at least 1."""
    num_bytes = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    return max(num_bytes // max(meta.num_rows, 1), 1)
