"""Rows of prepare, in memory while they are few, else in a file: read a batch at a time, so that they need not fit.

Knows no format, no step and no split. Positions count from 0, in the order the rows were written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.prepare.formats.arrow_types import ArrowReader, ArrowSchema, ArrowTable, ArrowWriter

BATCH_ROWS = 20_000
BATCH_BYTES = 16 * 2**20
KEEP_BYTES = 64 * 2**20  # of rows that stay in memory
WASTE = 4  # times what rows say, and a little more, may stand in memory with them: texts that were left out, say
LITTLE_BYTES = 64 * 2**10
SORT_ROWS = 500_000  # of one bucket of `in_order`, which stands in memory
SORT_BYTES = 256 * 2**20


class _Layer(Protocol):
    """Some columns of all rows; every layer has the same batches."""

    @property
    def names(self) -> list[str]: ...

    @property
    def num_bytes(self) -> int: ...

    def reader(self, names: list[str]) -> Callable[[int], Table]:
        """Gives the batch of a number, with these columns."""
        ...

    def delete(self) -> None:
        """Free the memory, or delete the file."""
        ...


@dataclass(frozen=True)
class _InMemory:
    tables: list[Table]
    names: list[str]
    num_bytes: int

    def reader(self, names: list[str]) -> Callable[[int], Table]:
        return lambda index: self.tables[index].select(names)

    def delete(self) -> None:
        self.tables.clear()


@dataclass(frozen=True)
class _InFile:
    path: Path
    schema: ArrowSchema

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)

    @property
    def num_bytes(self) -> int:
        return self.path.stat().st_size

    def reader(self, names: list[str]) -> Callable[[int], Table]:
        """No other columns are read, and take no memory."""
        import polars
        import pyarrow as pa

        options = pa.ipc.IpcReadOptions(included_fields=sorted(map(self.schema.names.index, names)))
        # pyarrow's own pool touches fresh pages at each batch: five times as slow
        pool = pa.system_memory_pool()
        file: ArrowReader = pa.ipc.open_file(pa.OSFile(str(self.path)), options=options, memory_pool=pool)

        def read(index: int) -> Table:
            table = polars.from_arrow(file.get_batch(index).select(names))
            assert isinstance(table, polars.DataFrame)
            return table

        return read

    def delete(self) -> None:
        self.path.unlink()


class Rows:
    """What `write`, `kept`, `of` or `opened` made.

    Iterating reads all columns of one batch after another; `batches` reads some columns, `column` the whole of one
    (meant for short ones), `take` some columns at some positions. `only` leaves rows out, `with_columns` puts columns
    in place of others: nothing that was written is written again.
    """

    def __init__(
        self, layers: Sequence[_Layer], written_starts: list[int], stays: NDArray[np.bool_] | None = None
    ) -> None:
        self._layers = layers
        self._layer_of = {name: layer for layer in layers for name in layer.names}  # the last one has it
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
        return cls([_InFile(path, schema)], starts)

    @classmethod
    def kept(cls, path: Path, batches: Iterable[Table]) -> Rows:
        """The same in memory, where they are no more than KEEP_BYTES."""
        tables: list[Table] = []
        num_bytes = 0
        batches = _slices(batches)
        for table in batches:
            tables.append(compacted(table))
            num_bytes += int(table.estimated_size())
            if num_bytes > KEEP_BYTES:
                return cls.write(path, chain(tables, batches))
        return cls.of(*tables)

    @classmethod
    def of(cls, *batches: Table) -> Rows:
        """Tables as rows in memory. The first one gives the columns; it may be empty."""
        tables = list(_slices(batches))
        assert tables, "no batch, so no columns are known"
        starts = list(accumulate((table.height for table in tables), initial=0))
        num_bytes = sum(int(table.estimated_size()) for table in tables)
        return cls([_InMemory(tables, tables[0].columns, num_bytes)], starts)

    @classmethod
    def opened(cls, path: Path) -> Rows:
        """Rows that `write` wrote."""
        import pyarrow as pa

        with pa.OSFile(str(path)) as file:
            reader: ArrowReader = pa.ipc.open_file(file)
            counts = [reader.get_batch(index).num_rows for index in range(reader.num_record_batches)]
        return cls([_InFile(path, reader.schema)], list(accumulate(counts, initial=0)))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Table]:
        return self.batches()

    @property
    def row_bytes(self) -> int:
        """Mean size of a row, at least 1."""
        return 1 + sum(layer.num_bytes for layer in self._layers) // max(self._written_starts[-1], 1)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._layer_of)

    def batches(self, *names: str) -> Iterator[Table]:
        """One batch after another, with the named columns, or all."""
        read = self._reader(names)
        for index in range(len(self._starts) - 1):
            yield read(index)

    def column(self, name: str) -> polars.Series:
        """One whole column."""
        import polars

        return polars.concat([_alone(batch)[name] for batch in self.batches(name)])

    def take(self, positions: NDArray[np.int64], *names: str) -> Table:
        """The rows at these positions, in their order; a position may stand several times."""
        import numpy as np
        import polars

        read = self._reader(names)
        if not len(positions):
            return read(0).clear()
        order = np.argsort(positions, kind="stable")
        ascending = np.asarray(positions)[order]
        cuts = np.searchsorted(ascending, self._starts)
        parts = [
            _alone(read(index)[ascending[begin:end] - self._starts[index]])
            for index, (begin, end) in enumerate(pairwise(cuts.tolist()))
            if begin < end
        ]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return polars.concat(parts)[back]

    def only(self, stays: polars.Series) -> Rows:
        """The rows that stay; one value for each row."""
        import numpy as np

        mask = np.ones(self._written_starts[-1], bool) if self._stays is None else self._stays.copy()
        mask[mask] = stays.to_numpy()
        return Rows(self._layers, self._written_starts, mask)

    def with_columns(self, path: Path, columns: Mapping[str, polars.Series]) -> Rows:
        """The rows with these columns, new ones or others; one value for each row. They are `kept` by themselves."""
        import polars

        def batches() -> Iterator[Table]:
            table = polars.DataFrame(columns)
            for index, (begin, end) in enumerate(pairwise(self._starts)):
                yield self._spread(table[begin:end], index)

        (layer,) = Rows.kept(path, batches())._layers
        return Rows([*self._layers, layer], self._written_starts, self._stays)

    def delete(self) -> None:
        """Free their memory, or delete their files."""
        for layer in self._layers:
            layer.delete()

    def _reader(self, names: tuple[str, ...]) -> Callable[[int], Table]:
        """Gives the batch of a number, with these columns, or all."""
        import polars

        wanted = list(names or self.columns)
        chosen = [(layer, [name for name in wanted if self._layer_of[name] is layer]) for layer in self._layers]
        readers = [layer.reader(own) for layer, own in chosen if own]

        def read(index: int) -> Table:
            parts = [reader(index) for reader in readers]
            table = parts[0].hstack([each for part in parts[1:] for each in part]).select(wanted)
            if self._stays is None:
                return table
            here = polars.Series(self._stays[slice(*self._written_starts[index : index + 2])])
            return compacted(table.filter(here))

        return read

    def _spread(self, table: Table, index: int) -> Table:
        """The rows of a batch that stay, with empty rows where others were written."""
        import numpy as np
        import polars

        if self._stays is None:
            return table
        here = self._stays[slice(*self._written_starts[index : index + 2])]
        if not here.any():
            return table.clear(len(here))
        places = polars.when(polars.Series(here)).then(polars.Series(np.cumsum(here) - 1))
        return table.select(polars.all().gather(polars.select(places).to_series()))


def compacted(table: Table) -> Table:
    """The table, in memory of its own where much more stays in memory with it than its rows say."""
    import polars

    arrow: ArrowTable = table.to_arrow(compat_level=polars.CompatLevel.newest())
    if arrow.get_total_buffer_size() <= WASTE * table.estimated_size() + LITTLE_BYTES:
        return table
    return _alone(table) if table.height else table.clear()


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


def _slices(tables: Iterable[Table]) -> Iterator[Table]:
    """The tables, those of more than BATCH_ROWS rows in parts."""
    for table in tables:
        yield from table.iter_slices(BATCH_ROWS) if table.height else [table]


def _alone(table: Table) -> Table:
    """The same in memory of its own: a text holds on to all that was read with it, and so does what was picked."""
    import polars
    import pyarrow as pa

    arrow: ArrowTable = table.to_arrow()
    arrow = arrow.combine_chunks()
    arrays = [column.chunk(0) for column in arrow.columns if len(column)]
    if not arrays:
        return table
    copies = [pa.concat_arrays([array[:1], array[1:]]) for array in arrays]  # of one array it would be that array
    copy = polars.from_arrow(pa.table(copies, schema=arrow.schema))
    assert isinstance(copy, polars.DataFrame)
    return copy


def _write(sink: BinaryIO, batches: Iterable[Table]) -> tuple[ArrowSchema, list[int]]:
    """Write one record batch for each table; returns the schema, and where each begins, with the number of rows."""
    import pyarrow as pa

    starts = [0]
    writer: ArrowWriter | None = None
    for table in _slices(batches):
        arrow: ArrowTable = table.rechunk().to_arrow()
        if writer is None:
            writer = pa.ipc.new_file(sink, arrow.schema)
        for batch in arrow.combine_chunks().to_batches() or [_empty(arrow.schema)]:
            writer.write_batch(batch)
            starts.append(starts[-1] + batch.num_rows)
    assert writer is not None, "no batch, so no columns are known"
    writer.close()
    return arrow.schema, starts


def _empty(schema: ArrowSchema) -> ArrowTable:
    import pyarrow as pa

    columns = [pa.nulls(0, field.type) for field in schema]  # array() imports pandas
    batch: ArrowTable = pa.record_batch(columns, schema=schema)
    return batch
