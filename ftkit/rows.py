"""Rows of prepare as Arrow record batches, in a file or in memory: read a batch at a time, so that they need not fit.

Knows no format, no step and no split. Positions count from 0, in the order the rows were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

BATCH_ROWS = 20_000
BATCH_BYTES = 16 * 2**20
SORT_ROWS = 500_000  # of one bucket of `in_order`, which stands in memory
SORT_BYTES = 256 * 2**20


class Rows:
    """What `write` or `of` made.

    Iterating reads all columns of one batch after another; `batches` reads some columns, `column` the whole of one
    (meant for short ones), `take` some columns at some positions.
    """

    def __init__(self, reader: Any, starts: list[int], path: Path | None = None) -> None:
        self.path = path
        self._reader = reader
        self._starts = starts

    @classmethod
    def write(cls, path: Path, batches: Iterable[Table]) -> Rows:
        """Write tables to a file and open it. The first one gives the columns; it may be empty."""
        import pyarrow as pa

        with pa.OSFile(str(path), "wb") as sink:
            starts = _write(sink, batches)
        return cls(pa.ipc.open_file(pa.OSFile(str(path))), starts, path)

    @classmethod
    def of(cls, table: Table) -> Rows:
        """A table as rows in memory."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        starts = _write(sink, [table])
        return cls(pa.ipc.open_file(sink.getvalue()), starts)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Table]:
        return self.batches()

    @property
    def num_bytes(self) -> int:
        """Size of the file; 0 in memory."""
        return 0 if self.path is None else self.path.stat().st_size

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._reader.schema.names)

    def batches(self, *names: str) -> Iterator[Table]:
        """One batch after another, with the named columns, or all."""
        for index in range(len(self._starts) - 1):
            yield self._batch(index, names)

    def column(self, name: str) -> polars.Series:
        """One whole column."""
        import polars

        return polars.concat([batch[name] for batch in self.batches(name)])

    def take(self, positions: NDArray[np.integer[Any]], *names: str) -> Table:
        """The rows at these positions, in their order; a position may stand several times."""
        import numpy as np
        import polars

        if not len(positions):
            return self._batch(0, names).clear()
        order = np.argsort(positions, kind="stable")
        ascending = np.asarray(positions)[order]
        cuts = np.searchsorted(ascending, self._starts)
        parts = [
            self._batch(index, names)[ascending[begin:end] - self._starts[index]]
            for index, (begin, end) in enumerate(pairwise(cuts.tolist()))
            if begin < end
        ]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return polars.concat(parts)[back]

    def _batch(self, index: int, names: tuple[str, ...]) -> Table:
        import polars

        batch = self._reader.get_batch(index)
        table = polars.from_arrow(_alone(batch.select(list(names))) if names else batch)
        assert isinstance(table, polars.DataFrame)
        return table


def in_order(rows: Rows, keys: polars.Series, folder: Path) -> Iterator[Table]:
    """The rows sorted by one key each, as batches; ties stay in order. `folder` holds buckets meanwhile."""
    import numpy as np
    import polars

    row_bytes = rows.num_bytes // max(len(rows), 1) + 1
    bucket_rows = max(1, min(SORT_ROWS, SORT_BYTES // row_bytes))
    batch_rows = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
    rank = np.empty(len(rows), np.int64)
    sorted_keys = polars.DataFrame({"key": keys}).with_row_index().sort("key", maintain_order=True)
    rank[sorted_keys["index"].to_numpy()] = np.arange(len(rows))
    buckets: dict[int, list[Path]] = {}
    begin = 0
    for number, batch in enumerate(rows):
        ranked = batch.with_columns(polars.Series("_rank", rank[begin : begin + batch.height]))
        begin += batch.height
        for (bucket,), part in ranked.group_by(polars.col("_rank") // bucket_rows):
            path = folder / f"bucket-{bucket}-{number}.arrow"
            part.write_ipc(path)
            buckets.setdefault(int(str(bucket)), []).append(path)
    for bucket in sorted(buckets):
        parts = [polars.read_ipc(path, memory_map=False) for path in buckets[bucket]]
        for path in buckets[bucket]:
            path.unlink()
        yield from polars.concat(parts).sort("_rank").drop("_rank").iter_slices(batch_rows)
    if not buckets:
        yield from rows


def _alone(batch: Any) -> Any:
    """The columns in memory of their own: those of a batch share a buffer, and one would keep all of them."""
    import pyarrow as pa

    columns = [pa.concat_arrays([column[:1], column[1:]]) for column in batch.columns]
    return pa.record_batch(columns, schema=batch.schema)


def _write(sink: Any, batches: Iterable[Table]) -> list[int]:
    """Write one record batch for each table; returns where each begins, and the number of rows."""
    import pyarrow as pa

    starts = [0]
    writer = None
    for table in batches:
        arrow = table.rechunk().to_arrow()
        if writer is None:
            writer = pa.ipc.new_file(sink, arrow.schema)
        for batch in arrow.combine_chunks().to_batches(max_chunksize=BATCH_ROWS) or [_empty(arrow.schema)]:
            writer.write_batch(batch)
            starts.append(starts[-1] + batch.num_rows)
    assert writer is not None, "no batch, so no columns are known"
    writer.close()
    return starts


def _empty(schema: Any) -> Any:
    import pyarrow as pa

    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)
