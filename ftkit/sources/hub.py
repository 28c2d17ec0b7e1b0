"""Data sets of the hub, through the datasets library. Ids default to '<split>:<row>', counted from 1.

Knows no other source and no stage. Rows are those of one commit, whose name enters the stage's key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError, MachineError
from ftkit.registry import component
from ftkit.rows import BATCH_ROWS
from ftkit.sources import Part, SourceConfig, tabular

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


class Hub(SourceConfig):
    """One split of a data set of the hub, best with a `revision`."""

    repository: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="owner/name")
    revision: str | None = Field(None, description="commit, tag or branch; default: the newest commit")
    config_name: str | None = Field(None, description="configuration of the data set, where it has several")
    split: str = Field("train", description="split of the data set")

    is_remote: ClassVar[bool] = True

    def content_id(self, ctx: Context) -> str:
        """'repository@commit'. Raises MachineError where it cannot be asked for."""
        return f"{self.repository}@{_commit(self, ctx)}"


@component
def read(config: Hub, ctx: Context) -> Iterator[Batch]:
    """All rows; class numbers become their names. Raises MachineError or DataError."""
    place = f"hub data set {config.repository}"
    rows = _load(config, ctx)
    if not len(rows):
        raise DataError(f"{place}: split {config.split!r} has no row")
    labels = {name: feature.names for name, feature in rows.features.items() if hasattr(feature, "int2str")}
    tables = rows.with_format("arrow").iter(batch_size=BATCH_ROWS)
    parts = (Part(config.split, f"{place}: {config.split}", table, labels) for table in tables)
    yield from tabular(config, parts, ctx)


def _load(config: Hub, ctx: Context) -> Any:
    import datasets
    import httpx
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError

    commit = _commit(config, ctx)
    if ctx.offline:  # both libraries read their switch at import; the user asked this whole process to stay offline
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        return datasets.load_dataset(config.repository, config.config_name, split=config.split, revision=commit)
    except (datasets.exceptions.DatasetsError, HfHubHTTPError, httpx.TransportError, OSError) as error:
        if "is a gated dataset" in str(error):
            raise _gated(config) from None
        raise MachineError(f"hub data set {config.repository}: {_first_line(error)}") from None
    except ValueError as error:  # unknown split or configuration
        raise DataError(f"hub data set {config.repository}: {_first_line(error)}") from None


def _commit(config: Hub, ctx: Context) -> str:
    """The commit that `revision` means: asked of the hub, or offline what the hub said last time."""
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = f"hub data set {config.repository}"
    if config.revision is not None and _COMMIT.match(config.revision):
        return config.revision
    if ctx.offline or constants.HF_HUB_OFFLINE:
        return _commit_seen_last(config, Path(constants.HF_HUB_CACHE))
    try:
        commit = HfApi().dataset_info(config.repository, revision=config.revision).sha
    except GatedRepoError:
        raise _gated(config) from None
    except RevisionNotFoundError:
        raise MachineError(f"{place}: has no revision {config.revision!r}") from None
    except RepositoryNotFoundError:
        hint = "check the spelling; if it is private, `hf auth login`"
        raise MachineError(f"{place}: there is no such data set, or no access; {hint}") from None
    except (HfHubHTTPError, httpx.TransportError, OSError) as error:
        hint = "check the network, or use --offline with a copy that was downloaded before"
        raise MachineError(f"{place}: the hub did not answer: {_first_line(error)}; {hint}") from None
    assert commit is not None
    return commit


def _gated(config: Hub) -> MachineError:
    from huggingface_hub import constants

    url = f"{constants.ENDPOINT}/datasets/{config.repository}"
    return MachineError(f"hub data set {config.repository}: is gated; ask for access at {url}, then `hf auth login`")


def _commit_seen_last(config: Hub, cache: Path) -> str:
    folder = cache / f"datasets--{config.repository.replace('/', '--')}"
    reference = folder / "refs" / (config.revision or "main")
    if reference.is_file():
        return reference.read_text().strip()
    snapshots = [path.name for path in folder.glob("snapshots/*")]
    if len(snapshots) == 1 and config.revision is None:
        return snapshots[0]
    found = f"{len(snapshots)} commits of it were downloaded" if snapshots else "it was not downloaded before"
    hint = "run once with network, or name the commit as `revision`"
    raise MachineError(f"hub data set {config.repository}: offline, and {found}; {hint}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
