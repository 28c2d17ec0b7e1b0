"""Opening files: which files a path means, gz and zst unpacked, and what a file really is when it is not what was said.

Knows no format beyond its first bytes, no row and no recipe. Errors about a whole file are DataErrors that name it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ftkit.errors import DataError
from ftkit.registry import suggest

if TYPE_CHECKING:
    from gzip import GzipFile

BLOCK_BYTES = 1 << 20
PACKED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
START_BYTES = 64 << 10

_GLOB = re.compile(r"[*?[]")
_UNPACK = "unpack it, and name the file that holds the rows"
_BINARY = (  # first bytes, what such a file is, what to do
    (b"PAR1", "a parquet file", "use the source parquet"),
    (b"ARROW1", "an Arrow file", "use the source arrow"),
    (b"\xff\xff\xff\xff", "an Arrow stream", "use the source arrow"),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first"),
    (b"BZh", "compressed with bzip2", "unpack it, or pack it with gzip or zstd"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it, or pack it with gzip or zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it, or pack it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document (xls, doc)", "save it as xlsx or csv"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as csv"),
    (b"\x93NUMPY", "a numpy array", "save the rows as parquet or JSON lines"),
    (b"\x89HDF\r\n", "an HDF5 file", "save the rows as parquet"),
    (b"Obj\x01", "an Avro file", "save the rows as parquet"),
    (b"ORC", "an ORC file", "save the rows as parquet"),
    (b"FEA1", "a feather file of version 1", "save it anew as Arrow or parquet"),
    (b"GGUF", "a GGUF model", "name a file of rows"),
    (b"%PDF", "a PDF document", "extract its text first"),
    (b"\x89PNG", "a PNG picture", "name a file of rows"),
    (b"\xff\xd8\xff", "a JPEG picture", "name a file of rows"),
    (b"\x7fELF", "a program", "name a file of rows"),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[\]}(cqX\x8c])", re.S)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|\?xml|!--)", re.I)
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source. `name` begins the ids of its rows: the file's name, or its path below the folder."""

    path: Path
    name: str


def files_of(path: Path, *, endings: Sequence[str], elsewhere: str = "") -> list[SourceFile]:
    """The files that a path means, sorted by name: itself, those of a folder with these endings, or those of a glob.

    Hidden files are none of a folder or glob. Raises DataError where there is no file, or an empty one; `elsewhere` is
    what `Context.elsewhere` says of it.
    """
    if path.is_dir():
        files = _files_in(path, endings)
    elif not path.exists() and _GLOB.search(str(path)):
        files = _files_like(path, elsewhere)
    else:
        files = [SourceFile(path, path.name)]
    for file in files:
        _check(file.path, elsewhere)
    return files


def files_named(folder: Path, names: Sequence[str]) -> list[SourceFile]:
    """These files of a folder, in this order. Raises DataError where one is missing, empty, or a link out of it."""
    files = _inside(folder, [SourceFile(folder / name, name) for name in names])
    for file in files:
        _check(file.path)
    return files


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, unpacked where it is gzip or zstd by its first bytes. Constant memory.

    Raises DataError where it cannot be read, or the packed data is damaged or cut off; what stands before the damage
    has been given by then.
    """
    done = 0
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            packing = next((name for name, magic in PACKED.items() if start.startswith(magic)), "")
            with _unpacked(file, packing) as stream:
                while block := stream.read(BLOCK_BYTES):
                    done += len(block)
                    yield block
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        where = f" behind {done:,} bytes of unpacked data" if done else ""
        hint = "copy or download it again"
        raise DataError(f"{path}: the {packing} file is damaged or cut off{where} ({error}); {hint}") from None


def start_of(path: Path) -> bytes:
    """The first bytes of a file, as they are. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def refuse_foreign(path: Path, start: bytes, *, wanted: str, markup: bool = False) -> None:
    """Raise DataError where the first bytes are those of something that is certainly not `wanted`.

    `markup`: HTML and XML are welcome.
    """
    foreign = what_is(start)
    if foreign is not None and not (markup and foreign[0].endswith("page")):
        raise DataError(f"{path}: is {foreign[0]}, not {wanted}; {foreign[1]}")


def what_is(start: bytes) -> tuple[str, str] | None:
    """What a file is by its first bytes, and what to do with it; None for text, and for what is not known."""
    if start.startswith(_POINTER):
        return "a git-LFS pointer to the file", "fetch the file itself with `git lfs pull`"
    if start.startswith(b"PK\x03\x04"):
        is_sheet = b"xl/" in start[:START_BYTES]
        return ("an xlsx workbook", "use the source xlsx") if is_sheet else ("a zip archive", _UNPACK)
    for magic, name, advice in _BINARY:
        if start.startswith(magic):
            return name, advice
    if _PICKLE.match(start):
        return "a Python pickle", "it can run code, so it is never opened: save the rows as parquet or JSON lines"
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if start and not start.strip(b"\0"):
        return "a run of NUL bytes", "the copy or download has failed: get it again"
    if markup := _MARKUP.match(start):
        kind = "an XML page" if markup[1].lower() == b"?xml" else "an HTML page"
        return kind, "the download has failed or asks for a login: open the page, and get the file itself"
    return None


def _unpacked(file: IO[bytes], packing: str) -> AbstractContextManager[IO[bytes] | GzipFile]:
    if packing == ".gz":
        import gzip

        return gzip.GzipFile(fileobj=file)
    if packing == ".zst":
        import pyarrow as pa

        stream: AbstractContextManager[IO[bytes]] = pa.CompressedInputStream(file, "zstd")
        return stream
    return nullcontext(file)


def _files_in(folder: Path, endings: Sequence[str]) -> list[SourceFile]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and entry.name[0] != ".")
    files = [SourceFile(folder / name, name) for name in names if name.lower().endswith(tuple(endings))]
    if not files:
        expected = ", ".join(endings)
        below = any(each.name.lower().endswith(tuple(endings)) for each in folder.glob("*/**/*"))
        hint = f"; there are some deeper down: {folder}/**/*{endings[0]}" if below else ""
        inside = f"only {names[0]!r}" if len(names) == 1 else f"{len(names)} others"
        seen = f" (it has {inside}; a glob such as {folder}/* takes any)" if names else ""
        raise DataError(f"{folder}: the folder has no file that ends in one of {expected}{seen}{hint}")
    return _inside(folder, files)


def _files_like(pattern: Path, elsewhere: str) -> list[SourceFile]:
    parts = pattern.parts
    fixed = next(place for place, part in enumerate(parts) if _GLOB.search(part))
    base = Path(*parts[:fixed])
    if not base.is_dir():
        raise DataError(f"{pattern}: the folder {base} does not exist{elsewhere} (path of the source in the recipe)")
    try:
        paths = [path for path in base.glob(str(Path(*parts[fixed:]))) if path.is_file()]
    except ValueError as error:
        raise DataError(f"{pattern}: not a pattern of file names: {error}") from None
    names = sorted(path.relative_to(base).as_posix() for path in paths)
    files = [SourceFile(base / name, name) for name in names if not re.search(r"(^|/)\.", name)]
    if not files:
        raise DataError(f"{pattern}: no file has a name like this{elsewhere} (path of the source in the recipe)")
    return _inside(base, files)


def _inside(folder: Path, files: list[SourceFile]) -> list[SourceFile]:
    """The files found in a folder. Raises DataError for a link out of it: what is read is what the folder holds."""
    root = folder.resolve()
    for file in files:
        real = file.path.resolve()
        if not real.is_relative_to(root):
            raise DataError(f"{file.path}: is a link out of the folder, to {real}; name that file itself, or copy it")
    return files


def _check(path: Path, elsewhere: str = "") -> None:
    if not path.exists():
        folder = path.parent
        hint = _near(path.name, folder) if folder.is_dir() else f"; the folder {folder} does not exist either"
        raise DataError(f"{path}: no such file{elsewhere} (path of the source in the recipe){hint}")
    if not path.is_file():
        raise DataError(f"{path}: is neither a file nor a folder (path of the source in the recipe)")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")


def _near(name: str, folder: Path) -> str:
    hint = suggest(name, sorted(entry.name for entry in folder.iterdir()))
    return hint if hint.startswith("; did") else ""
