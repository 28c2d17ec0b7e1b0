"""Arrow files and streams (IPC), and folders of `Dataset.save_to_disk`. Ids default to '<file>:<row>', from 1.

Knows no other format and no stage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats.arrow_rows import class_names
from ftkit.prepare.formats.arrow_types import ArrowReader, ArrowSchema, ArrowStream, ArrowTable
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.formats.openers import SourceFile, files_named, refuse_foreign, start_of
from ftkit.prepare.sources import FileSource, Part, tabular
from ftkit.registry import component

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"


class Arrow(FileSource):
    """Arrow files, with the types they have; class numbers of the datasets library become their names."""

    endings: ClassVar[tuple[str, ...]] = (".arrow", ".arrows", ".ipc", ".feather")

    def files(self, ctx: Context) -> list[SourceFile]:
        """Those of a folder of `save_to_disk` are what its manifest lists, in that order, others are sorted by name.

        Raises DataError for a folder of several splits, and for a manifest that is damaged.
        """
        path = ctx.resolve(self.path)
        if (path / "dataset_dict.json").is_file():
            splits = _listed(path / "dataset_dict.json", "splits")
            raise DataError(f"{path}: holds the splits {', '.join(splits)}; name one, as {path / splits[0]}")
        if (path / "state.json").is_file():
            return files_named(path, _listed(path / "state.json", "_data_files", "filename"))
        return super().files(ctx)


@component
def read(config: Arrow, ctx: Context) -> Iterator[Batch]:
    """All rows. Raises DataError where a file is damaged or a column missing."""
    parts = (part for file in config.files(ctx) for part in _parts(file))
    yield from tabular(config, parts, ctx)


def _listed(path: Path, key: str, inner: str | None = None) -> list[str]:
    """Names that a manifest of the datasets library lists: what else lies in the folder is none of its rows."""
    try:
        listed: Value = json.loads(path.read_bytes())[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        listed = None
    items = listed if isinstance(listed, list) else []
    names = [each.get(inner) if inner is not None and isinstance(each, dict) else each for each in items]
    if not names or not all(
        isinstance(name, str) and name == Path(name).name and name not in ("", "..") for name in names
    ):
        raise DataError(f"{path}: {key}: expected a list of names; save the data set anew, or name its Arrow files")
    return [str(name) for name in names]


def _parts(file: SourceFile) -> Iterator[Part]:
    import pyarrow as pa

    start = start_of(file.path)
    if not start.startswith((_FILE, _STREAM)):
        refuse_foreign(file.path, start, wanted="an Arrow file")
        raise DataError(f"{file.path}: neither an Arrow file nor an Arrow stream; use the source of its format")
    try:
        with pa.memory_map(str(file.path)) as source:
            for schema, batch in _batches(source, is_file=start.startswith(_FILE)):
                yield Part(file.name, str(file.path), batch, class_names(schema))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file.path}: the Arrow file is damaged or cut off: {message}; get it again") from None


def _batches(source: BinaryIO, *, is_file: bool) -> Iterator[tuple[ArrowSchema, ArrowTable]]:
    import pyarrow as pa

    if is_file:
        reader: ArrowReader = pa.ipc.open_file(source)
        yield reader.schema, reader.schema.empty_table()  # the file is named where it has no row
        for index in range(reader.num_record_batches):
            yield reader.schema, reader.get_batch(index)
    else:
        stream: ArrowStream = pa.ipc.open_stream(source)
        yield stream.schema, stream.schema.empty_table()
        for batch in stream:
            yield stream.schema, batch
