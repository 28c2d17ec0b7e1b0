"""Rows of prepare as Arrow record batches, in a file or in memory: read a batch at a time, so that they need not fit.

Knows no format, no step and no split. Positions count from 0, in the order the rows were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

BATCH_ROWS = 20_000
BATCH_BYTES = 16 * 2**20
MAPPED_BYTES = 128 * 2**20  # of a file that is read in place; of a larger one all pages would stay in memory
SORT_ROWS = 500_000  # of one bucket of `in_order`, which stands in memory
SORT_BYTES = 256 * 2**20


class Rows:
    """What `write` or `of` made.

    Iterating reads all columns of one batch after another; `batches` reads some columns, `column` the whole of one
    (meant for short ones), `take` some columns at some positions. `only` leaves rows out.
    """

    def __init__(
        self,
        schema: Any,
        written_starts: list[int],
        *,
        path: Path | None = None,
        written: Any = None,
        stays: NDArray[np.bool_] | None = None,
    ) -> None:
        self.path = path
        self._written = written  # the bytes, where they are in memory
        self._schema = schema
        self._written_starts = written_starts
        self._stays = stays  # which of the rows written are meant; None: all
        self._starts = written_starts
        if stays is not None:
            counts = (int(stays[begin:end].sum()) for begin, end in pairwise(written_starts))
            self._starts = list(accumulate(counts, initial=0))

    @classmethod
    def write(cls, path: Path, batches: Iterable[Table]) -> Rows:
        """Write tables to a file and open it. The first one gives the columns; it may be empty."""
        import pyarrow as pa

        with pa.OSFile(str(path), "wb") as sink:
            schema, starts = _write(sink, batches)
        return cls(schema, starts, path=path)

    @classmethod
    def of(cls, table: Table) -> Rows:
        """A table as rows in memory."""
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        schema, starts = _write(sink, [table])
        return cls(schema, starts, written=sink.getvalue())

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Table]:
        return self.batches()

    @property
    def row_bytes(self) -> int:
        """Mean size of a row, at least 1."""
        num_bytes = self._written.size if self.path is None else self.path.stat().st_size
        return 1 + num_bytes // max(self._written_starts[-1], 1)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._schema.names)

    def batches(self, *names: str) -> Iterator[Table]:
        """One batch after another, with the named columns, or all."""
        reader = self._opened(names)
        for index in range(len(self._starts) - 1):
            yield self._table(reader, index, names)

    def only(self, stays: polars.Series) -> Rows:
        """The rows that stay, one value for each row; they are read from where they stand, and nothing is written."""
        import numpy as np

        mask = np.ones(self._written_starts[-1], bool) if self._stays is None else self._stays.copy()
        mask[mask] = stays.to_numpy()
        return Rows(self._schema, self._written_starts, path=self.path, written=self._written, stays=mask)

    def column(self, name: str) -> polars.Series:
        """One whole column."""
        import polars

        return polars.concat([_alone(batch)[name] for batch in self.batches(name)])

    def take(self, positions: NDArray[np.integer[Any]], *names: str) -> Table:
        """The rows at these positions, in their order; a position may stand several times."""
        import numpy as np
        import polars

        if not len(positions):
            return self._table(self._opened(names), 0, names).clear()
        order = np.argsort(positions, kind="stable")
        ascending = np.asarray(positions)[order]
        cuts = np.searchsorted(ascending, self._starts)
        reader = self._opened(names)
        parts = [
            _alone(self._table(reader, index, names)[ascending[begin:end] - self._starts[index]])
            for index, (begin, end) in enumerate(pairwise(cuts.tolist()))
            if begin < end
        ]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return polars.concat(parts)[back]

    def _table(self, reader: Any, index: int, names: tuple[str, ...]) -> Table:
        import polars

        batch = reader.get_batch(index)
        table = polars.from_arrow(batch.select(list(names)) if names else batch)
        assert isinstance(table, polars.DataFrame)
        if self._stays is None:
            return table
        begin, end = self._written_starts[index : index + 2]
        return table.filter(polars.Series(self._stays[begin:end]))

    def _opened(self, names: tuple[str, ...] = ()) -> Any:
        """A reader of the named columns, or of all: of a file no others are read, and take no memory."""
        import pyarrow as pa

        fields = sorted({self.columns.index(name) for name in names}) or None
        source = self._written
        if self.path is not None:
            is_small = self.path.stat().st_size <= MAPPED_BYTES
            source = pa.memory_map(str(self.path)) if is_small else pa.OSFile(str(self.path))
        # pyarrow's own pool touches fresh pages at each batch: five times as slow
        return pa.ipc.open_file(
            source, options=pa.ipc.IpcReadOptions(included_fields=fields), memory_pool=pa.system_memory_pool()
        )


def in_order(rows: Rows, keys: Table, folder: Path) -> Iterator[Table]:
    """The rows sorted by the columns of `keys`, as batches; ties stay in order.

    What would not fit in memory stands in buckets in `folder` meanwhile.
    """
    import polars

    bucket_rows = max(1, min(SORT_ROWS, SORT_BYTES // rows.row_bytes))
    batch_rows = max(1, min(BATCH_ROWS, BATCH_BYTES // rows.row_bytes))
    ranked = _ranked(rows, keys)
    buckets = iter([list(ranked)]) if len(rows) <= bucket_rows else _buckets(ranked, bucket_rows, folder)
    for parts in buckets:
        bucket = polars.concat(parts).sort("_rank").drop("_rank")
        yield from bucket.iter_slices(batch_rows) if bucket.height else [bucket]


def cut(batches: Iterable[Table], counts: Iterable[int]) -> Iterator[Iterator[Table]]:
    """The first so many rows, then the next so many; each part is read before the next one is asked for."""
    rest = iter(batches)
    held = [next(rest)]

    def part(count: int) -> Iterator[Table]:
        if count == 0:
            yield held[0].head(0)
        while count > 0:
            batch = held.pop() if held and held[0].height else next(rest)
            yield batch.head(count)
            held[:] = [batch.slice(count)]
            count -= batch.height

    yield from map(part, counts)


def _ranked(rows: Rows, keys: Table) -> Iterator[Table]:
    """The rows with the place that each will have."""
    import numpy as np
    import polars

    rank = np.empty(keys.height, np.int64)
    in_turn = keys.with_row_index("_place").sort(keys.columns, maintain_order=True)["_place"]
    rank[in_turn.to_numpy()] = np.arange(keys.height)
    begin = 0
    for batch in rows:
        yield batch.with_columns(polars.Series("_rank", rank[begin : begin + batch.height]))
        begin += batch.height


def _buckets(ranked: Iterable[Table], bucket_rows: int, folder: Path) -> Iterator[list[Table]]:
    """Rows of the lowest places, then of the next; all go to files first, which are deleted once they are read."""
    import polars

    paths: dict[int, list[Path]] = {}
    for number, batch in enumerate(ranked):
        for (bucket,), part in batch.group_by(polars.col("_rank") // bucket_rows):
            path = folder / f"bucket-{bucket}-{number}.arrow"
            part.write_ipc(path)
            paths.setdefault(int(str(bucket)), []).append(path)
    for bucket in sorted(paths):
        yield [polars.read_ipc(path, memory_map=False) for path in paths[bucket]]
        for path in paths[bucket]:
            path.unlink()


def _alone(table: Table) -> Table:
    """The same in memory of its own: a text holds on to all that was read with it, and so does what was picked."""
    import polars
    import pyarrow as pa

    batch = table.to_arrow().combine_chunks()
    columns = [pa.concat_arrays([column.chunk(0)[:1], column.chunk(0)[1:]]) for column in batch.columns if len(column)]
    if not columns:
        return table
    found = polars.from_arrow(pa.table(columns, schema=batch.schema))
    assert isinstance(found, polars.DataFrame)
    return found


def _write(sink: Any, batches: Iterable[Table]) -> tuple[Any, list[int]]:
    """Write one record batch for each table; returns the schema, and where each begins, with the number of rows."""
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
    return arrow.schema, starts


def _empty(schema: Any) -> Any:
    import pyarrow as pa

    return pa.record_batch([pa.nulls(0, field.type) for field in schema], schema=schema)  # array() imports pandas
