"""Data sets of the hub, through the datasets library. Ids default to '<split>:<row>', counted from 1.

Knows no other source and no stage. Rows are those of one commit, whose name enters the stage's key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Protocol

from pydantic import Field

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError, MachineError
from ftkit.hub import Repository, commit_of, explained, first_line, gated, libraries_offline
from ftkit.prepare.formats.arrow_types import ArrowTable
from ftkit.prepare.rows import BATCH_ROWS
from ftkit.prepare.sources import Part, SourceConfig, tabular
from ftkit.registry import component


class Hub(SourceConfig):
    """One split of a data set of the hub, best with a `revision`."""

    repository: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="owner/name")
    revision: str | None = Field(None, description="commit, tag or branch; default: the newest commit")
    config_name: str | None = Field(None, description="configuration of the data set, where it has several")
    split: str = Field("train", description="split of the data set")

    is_remote: ClassVar[bool] = True

    @property
    def on_hub(self) -> Repository:
        """The repository, as errors name it."""
        return Repository(
            "dataset", self.repository, self.revision, place=f"hub data set {self.repository}", revision_key="revision"
        )

    def content_id(self, ctx: Context) -> str:
        """'repository@commit'. Raises MachineError where it cannot be asked for."""
        return f"{self.repository}@{commit_of(self.on_hub, offline=ctx.offline)}"


class _Rows(Protocol):
    """A split, as the datasets library gives it; the library has no types."""

    @property
    def features(self) -> Mapping[str, object]: ...

    def with_format(self, type: str) -> _Rows: ...

    def iter(self, batch_size: int) -> Iterator[ArrowTable]: ...

    def __len__(self) -> int: ...


@component
def read(config: Hub, ctx: Context) -> Iterator[Batch]:
    """All rows; class numbers become their names. Raises MachineError or DataError."""
    import datasets

    place = f"hub data set {config.repository}"
    rows = _load(config, ctx)
    if not len(rows):
        raise DataError(f"{place}: split {config.split!r} has no row")
    labels: dict[str, list[str]] = {
        name: feature.names for name, feature in rows.features.items() if isinstance(feature, datasets.ClassLabel)
    }
    tables = rows.with_format("arrow").iter(batch_size=BATCH_ROWS)
    parts = (Part(config.split, f"{place}: {config.split}", table, labels) for table in tables)
    yield from tabular(config, parts, ctx)


def _load(config: Hub, ctx: Context) -> _Rows:
    import datasets

    commit = commit_of(config.on_hub, offline=ctx.offline)
    with libraries_offline(ctx.offline), explained(config.on_hub, offline=ctx.offline):
        try:
            rows: _Rows = datasets.load_dataset(
                config.repository, config.config_name, split=config.split, revision=commit
            )
            return rows
        except datasets.exceptions.DatasetsError as error:
            if "is a gated dataset" in str(error):
                raise gated(config.on_hub) from None
            raise MachineError(f"hub data set {config.repository}: {first_line(error)}") from None
        except ValueError as error:  # unknown split or configuration
            raise DataError(f"hub data set {config.repository}: {first_line(error)}") from None
