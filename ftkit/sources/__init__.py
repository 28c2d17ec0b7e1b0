"""Where rows come from: one file per input format, a Config and `read(config, ctx, *, head=None) -> Table`.

Knows no format, no task and no model: here is what sources share. A table has the source's columns and `id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.registry import Config, suggest
from ftkit.store import file_digest


class SourceConfig(Config):
    """Base of every source's Config: which columns are the input, the target and the id.

    `is_remote` sources are not opened by `ftkit check --fast`.
    """

    input: str = Field("input", description="column of the text that goes in")
    target: str = Field("target", description="column of the label or answer")
    id: str | None = Field(None, description="column that names a row; default: file name and line")

    is_remote: ClassVar[bool] = False

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that rows must have."""
        return (self.input, self.target) if self.id is None else (self.input, self.target, self.id)

    def content_id(self, ctx: Context) -> str:
        """What stands for this source's content in a stage's key. Raises DataError where it is missing."""
        raise NotImplementedError(type(self).__name__)


class FileSource(SourceConfig):
    """Base of a source that is one local file."""

    path: str = Field(description="file, relative to the folder where the recipe's paths start")

    def content_id(self, ctx: Context) -> str:
        """SHA-256 of the file."""
        return file_digest(self.file(ctx))

    def file(self, ctx: Context) -> Path:
        """The file. Raises DataError where it is missing, a folder, or empty."""
        path = ctx.resolve(self.path)
        if path.is_dir():
            raise DataError(f"{path}: is a folder; expected a file (path of the source in the recipe)")
        if not path.is_file():
            folder = path.parent
            hint = _near(path.name, folder) if folder.is_dir() else f"; the folder {folder} does not exist either"
            raise DataError(f"{path}: no such file (path of the source in the recipe){hint}")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
        return path


def require_columns(place: str, columns: Iterable[str], wanted: Sequence[str]) -> None:
    """Raise DataError for the first wanted column that is not there, with the nearest that is."""
    known = list(columns)
    for name in wanted:
        if name not in known:
            raise DataError(f"{place}: there is no {name!r}{suggest(name, known)} (input, target, id of the source)")


def check_ids(ids: Sequence[str], places: Sequence[str]) -> None:
    """Raise DataError where an id stands twice; `places` says where each row came from."""
    seen: dict[str, str] = {}
    for name, place in zip(ids, places, strict=True):
        if name in seen:
            raise DataError(f"{place}: id {name!r} stands already at {seen[name]}; ids must differ")
        seen[name] = place


def _near(name: str, folder: Path) -> str:
    hint = suggest(name, sorted(entry.name for entry in folder.iterdir() if entry.is_file()))
    return hint if hint.startswith("; did") else ""
