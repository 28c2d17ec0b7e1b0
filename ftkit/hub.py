"""Repositories of the hub: the commit that a revision means, and some files of a commit in the hub's own cache.

Knows no recipe and no component, nor what the files hold. Offline, what was asked and downloaded before counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ftkit.errors import MachineError
from ftkit.store import write_bytes

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_NOUNS = {"model": "model", "dataset": "data set"}


@dataclass(frozen=True)
class Repository:
    """`revision` is a commit, tag or branch; None is the newest commit. Errors begin with `place`."""

    kind: Literal["model", "dataset"]
    name: str
    revision: str | None
    place: str


@cache
def commit_of(repository: Repository, *, offline: bool) -> str:
    """The commit that the revision means: asked of the hub, or offline what the hub said last time.

    Asked once a process: a stage's key and what the stage reads are of one commit, also where a branch moves on.
    Raises MachineError where it cannot be had.
    """
    from huggingface_hub import HfApi, constants

    if repository.revision is not None and _COMMIT.match(repository.revision):
        return repository.revision
    if offline or constants.HF_HUB_OFFLINE:
        return _said_last(repository)
    with _explained(repository):
        found = HfApi().repo_info(repository.name, repo_type=repository.kind, revision=repository.revision)
    assert found.sha is not None
    with suppress(OSError):  # of a cache that can only be read
        _reference(repository).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(_reference(repository), found.sha.encode())
    return found.sha


def snapshot(repository: Repository, commit: str, *, files: Sequence[str], offline: bool) -> Path:
    """The folder of a commit, with those of its files, in any folder, whose names match a pattern.

    What is not cached is downloaded. Raises MachineError where it cannot be had.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    away = offline or constants.HF_HUB_OFFLINE
    with _explained(repository):
        try:
            folder = snapshot_download(
                repository.name,
                repo_type=repository.kind,
                revision=commit,
                allow_patterns=list(files),
                local_files_only=away,
            )
        except LocalEntryNotFoundError:
            if not away:
                raise
            hint = "run once with network"
            raise MachineError(
                f"{repository.place}: offline, and not all of {commit} is in the cache; {hint}"
            ) from None
    return Path(folder)


def gated(repository: Repository) -> MachineError:
    """The error of a repository whose owner wants to be asked first."""
    from huggingface_hub import constants

    folder = "datasets/" if repository.kind == "dataset" else ""
    url = f"{constants.ENDPOINT}/{folder}{repository.name}"
    return MachineError(f"{repository.place}: is gated; ask for access at {url}, then `hf auth login`")


def first_line(error: Exception) -> str:
    """What an error of another library says, without the advice below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    """Turn what the hub's library raises into a MachineError that says what to do."""
    import httpx
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = repository.place
    try:
        yield
    except GatedRepoError:
        raise gated(repository) from None
    except RevisionNotFoundError:
        raise MachineError(f"{place}: has no revision {repository.revision!r}; check the spelling") from None
    except RepositoryNotFoundError:
        hint = "check the spelling; if it is private, `hf auth login`"
        raise MachineError(f"{place}: there is no such {_NOUNS[repository.kind]}, or no access; {hint}") from None
    except HFValidationError as error:
        raise MachineError(f"{place}: not a repository name as owner/name: {first_line(error)}") from None
    except (HfHubHTTPError, httpx.TransportError, LocalEntryNotFoundError) as error:
        hint = "check the network, or use --offline with a copy that was downloaded before"
        raise MachineError(f"{place}: the hub did not answer: {first_line(error)}; {hint}") from None
    except OSError as error:
        raise MachineError(f"{place}: download failed: {first_line(error)}; check network and disk") from None


def _said_last(repository: Repository) -> str:
    reference = _reference(repository)
    if reference.is_file():
        return reference.read_text(encoding="ascii").strip()
    snapshots = [path.name for path in _folder(repository).glob("snapshots/*")]
    if len(snapshots) == 1 and repository.revision is None:
        return snapshots[0]
    found = f"{len(snapshots)} commits of it were downloaded" if snapshots else "it was not downloaded before"
    hint = "run once with network, or name the commit as `revision`"
    raise MachineError(f"{repository.place}: offline, and {found}; {hint}")


def _reference(repository: Repository) -> Path:
    """Where the hub's library, too, keeps the commit that a branch or tag last meant."""
    return _folder(repository) / "refs" / (repository.revision or "main")


def _folder(repository: Repository) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{repository.kind}s--{repository.name.replace('/', '--')}"
