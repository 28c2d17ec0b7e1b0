"""Repositories of the hub: the commit that a revision means, and some of their files in the hub's own cache.

Knows no recipe and no component, nor what the files hold. Offline, what was asked and downloaded before counts.
"""

from __future__ import annotations

import os
import re
import sys
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


_SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE", "TRANSFORMERS_OFFLINE")
_ON = ("1", "on", "yes", "true")
_LOADED = ("huggingface_hub.constants", "datasets.config", "evaluate.config")


@contextmanager
def libraries_offline(wanted: bool) -> Iterator[None]:
    """Where it is wanted, keep every library off the network: those not loaded yet, and those that are."""
    if not wanted:
        yield
        return
    switches = dict.fromkeys(_SWITCHES, "1") | {"HF_HUB_DISABLE_TELEMETRY": "1"}
    before = {name: os.environ.get(name) for name in switches}
    os.environ |= switches
    _set_switches(True)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _set_switches(any((before[name] or "").lower() in _ON for name in _SWITCHES))


def _set_switches(off: bool) -> None:
    for module in (sys.modules[name] for name in _LOADED if name in sys.modules):
        for switch in _SWITCHES:
            if hasattr(module, switch):
                setattr(module, switch, off)


@dataclass(frozen=True)
class Repository:
    """`revision` is a commit, tag or branch; None is the newest commit.

    Errors begin with `place`. `revision_key` is what the recipe calls the revision.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str | None
    place: str
    revision_key: str


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
    with explained(repository, offline=False):
        commit = HfApi().repo_info(repository.name, repo_type=repository.kind, revision=repository.revision).sha
    assert commit is not None
    with suppress(OSError):  # of a cache that can only be read
        _reference(repository).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(_reference(repository), commit.encode())
    return commit


def snapshot(
    repository: Repository, revision: str | None, *, files: Sequence[str], ignored: Sequence[str] = (), offline: bool
) -> Path:
    """The folder of the commit that a revision means, with those of its files whose paths match a pattern of `files`
    and none of `ignored`.

    A pattern's `*` also stands for folders. What is not cached is downloaded. Raises MachineError where it cannot be
    had.
    """
    from huggingface_hub import constants, snapshot_download

    away = offline or constants.HF_HUB_OFFLINE
    with explained(repository, offline=away):
        folder = snapshot_download(
            repository.name,
            repo_type=repository.kind,
            revision=revision,
            allow_patterns=list(files),
            ignore_patterns=list(ignored),
            local_files_only=away,
        )
    return Path(folder)


def listed(repository: Repository) -> list[str]:
    """The files of a repository, as the hub lists them. Raises MachineError where it does not."""
    from huggingface_hub import HfApi

    with explained(repository, offline=False):
        return HfApi().list_repo_files(repository.name, repo_type=repository.kind, revision=repository.revision)


def cached(repository: Repository) -> Path | None:
    """The folder of the commit that a revision meant when it was last asked for, by a look at the cache alone.

    None where there is none.
    """
    commit = repository.revision or ""
    if not _COMMIT.match(commit):
        reference = _reference(repository)
        commit = reference.read_text(encoding="utf-8", errors="replace").strip() if reference.is_file() else ""
    folder = _folder(repository) / "snapshots" / commit
    return folder if _COMMIT.match(commit) and folder.is_dir() else None


def gated(repository: Repository) -> MachineError:
    """The error of a repository whose owner wants to be asked first."""
    from huggingface_hub import constants

    folder = "datasets/" if repository.kind == "dataset" else ""
    url = f"{constants.ENDPOINT}/{folder}{repository.name}"
    return MachineError(
        f"{_place(repository)}: the repository is gated; ask for access on its page, "
        f"then log in with `hf auth login`: {url}"
    )


@contextmanager
def explained(repository: Repository, *, offline: bool) -> Iterator[None]:
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

    place, noun = _place(repository), _NOUNS[repository.kind]
    try:
        yield
    except GatedRepoError:
        raise gated(repository) from None
    except RevisionNotFoundError:
        raise MachineError(f"{place}: the repository has no such revision; check {repository.revision_key}") from None
    except RepositoryNotFoundError:
        hint = "check the name, or log in with `hf auth login`"
        raise MachineError(f"{place}: no such repository, or a private one; {hint}") from None
    except HFValidationError as error:
        raise MachineError(f"{place}: not a repository name as owner/name: {first_line(error)}") from None
    except LocalEntryNotFoundError:  # before the errors that it is one of
        doing = "the network is off (offline)" if offline else "the hub cannot be reached"
        raise MachineError(f"{place}: {doing} and the {noun} is not in the cache; download it first") from None
    except HfHubHTTPError as error:
        raise MachineError(f"{place}: the hub answered {error.response.status_code}; try again later") from None
    except httpx.TransportError as error:
        hint = "check the network, or use --offline with a copy that was downloaded before"
        raise MachineError(f"{place}: the hub did not answer: {first_line(error)}; {hint}") from None
    except OSError as error:
        hint = "check network and disk, then run again"
        raise MachineError(f"{place}: download failed: {first_line(error)}; {hint}") from None


def first_line(error: Exception) -> str:
    """What an error of another library says, without the advice below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _place(repository: Repository) -> str:
    return repository.place + (f" at {repository.revision}" if repository.revision else "")


def _said_last(repository: Repository) -> str:
    reference = _reference(repository)
    said = reference.read_text(encoding="utf-8", errors="replace").strip() if reference.is_file() else ""
    if _COMMIT.match(said):  # what is damaged was not said
        return said
    snapshots = [path.name for path in _folder(repository).glob("snapshots/*")]
    if len(snapshots) == 1 and repository.revision is None:
        return snapshots[0]
    known = f"{len(snapshots)} commits of it were downloaded" if snapshots else "it was not downloaded before"
    hint = "run once with network, or name the commit as `revision`"
    raise MachineError(f"{repository.place}: offline, and {known}; {hint}")


def _reference(repository: Repository) -> Path:
    """Where the hub's library, too, keeps the commit that a branch or tag last meant."""
    return _folder(repository) / "refs" / (repository.revision or "main")


def _folder(repository: Repository) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{repository.kind}s--{repository.name.replace('/', '--')}"
