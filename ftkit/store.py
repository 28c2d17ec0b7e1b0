"""Run directories: hashes, stage keys, manifests, one lock, publish by rename.

Knows files and bytes only, no stage and no model. Layout of a run directory:

    recipe.yaml  recipe.resolved.json  latest.json  run.log  .lock
    <stage>-<key>/           published: manifest.json was written last, then one rename
    <stage>-<key>.partial/   under way or interrupted; continued by the next run
    <stage>-<key>.scratch/   what is not published, set aside for the rename; taken back where that did not happen
    *.gone/                  being deleted
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ftkit.errors import ArtifactError, BusyError, MachineError

MANIFEST = "manifest.json"
FORMAT = 3  # of run directories: what an ftkit of another format published is not reused
# part of no content id: they hold clock values, or depend on optional libraries
UNHASHED = ("timing.json", "report.html", "report.md", "data.html", "data.json")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk, a quota or a limit of size answers with


class JsonRecord(BaseModel):
    """Base of what a stage writes as one JSON file: frozen; unknown keys, other types, NaN and infinity are refused.

    Its fields are the keys of the file, in their order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def as_json(self) -> dict[str, Any]:
        """Plain values; `read_record` reads them back."""
        return self.model_dump(mode="json")

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema of the file; every key is described."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **cls.model_json_schema()}


AnyRecord = TypeVar("AnyRecord", bound=JsonRecord)


@dataclass(frozen=True)
class Artifact:
    """A published stage: its folder, SHA-256 of each file, and the id of its content (a hash over both).

    `facts` say how it was made: versions and machine, the recipe, what was read; they are part of no content id.
    """

    path: Path
    content_id: str
    files: Mapping[str, str]
    facts: Mapping[str, Any]


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_seed(seed: int, *purpose: str) -> int:
    """A seed for one purpose, in [0, 2**31), from the recipe's seed and names."""
    return int(digest([seed, *purpose])[:8], 16) >> 1


def stage_key(name: str, version: int, config: Any, inputs: Mapping[str, str]) -> str:
    """Key of a stage: hash of its name, VERSION, config, and the content ids of what it reads."""
    key = {"format": FORMAT, "stage": name, "version": version, "config": config, "inputs": dict(inputs)}
    return digest(key)[:16]


def stamp(path: Path) -> str:
    """A file's path, inode, size, mtime_ns and ctime_ns: other ones show, without a look inside, that it changed.

    A program can set the mtime back, but not the ctime.
    """
    status = path.stat()
    return f"{path.resolve()}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


def cached_file_digest(path: Path, cache_path: Path) -> str:
    """SHA-256 of a large file, remembered in `cache_path` by its stamp."""
    own_stamp = stamp(path)
    cache = kept_json(cache_path, lambda _damaged: None) or {}  # it only saves time
    if own_stamp not in cache:
        cache[own_stamp] = file_digest(path)
        cache_path.parent.mkdir(parents=True, exist_ok=True)
        own = cache_path.with_name(f"{cache_path.name}.{os.getpid()}")  # runs share the cache, and no lock
        keep_json(own, cache)
        own.replace(cache_path)
    return str(cache[own_stamp])


def refuse_links(*paths: Path) -> None:
    """Raise ArtifactError for a link, or what is neither file nor folder, at or below one of the paths.

    What is written below them then stays below them, whoever writes it.
    """
    for path in paths:
        below = (Path(folder, name) for folder, folders, files in os.walk(path) for name in (*folders, *files))
        for each in (path, *below):
            try:
                mode = each.lstat().st_mode
            except FileNotFoundError:
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                what = "a link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
                raise ArtifactError(f"{each}: is {what}; nothing is written through it: delete it, or use another name")


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold the run directory. Raises BusyError where another process has it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{run_dir}: another ftkit is working here; wait for it or use another name") from None
        yield


def published(run_dir: Path, stage: str, key: str) -> Artifact | None:
    """The verified artifact of that key, or None. Raises ArtifactError where its files are not what was published."""
    path = run_dir / f"{stage}-{key}"
    if not path.exists():
        return None
    discard(_aside(path))  # left by a kill behind the rename
    return verify(path)


def verify(path: Path) -> Artifact:
    """Check every file of a published folder against its manifest. Raises ArtifactError naming the first mismatch."""
    try:
        manifest = kept_json(path / MANIFEST, lambda _damaged: None) or {}
        files, content_id, facts = dict(manifest["files"]), str(manifest["content_id"]), dict(manifest["facts"])
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(f"{path / MANIFEST}: missing or damaged; delete the folder to have it made anew") from None
    present = _file_names(path)
    if present != set(files):
        wrong = sorted(present ^ set(files))
        raise ArtifactError(f"{path}: files are missing or foreign: {wrong}; delete the folder to have it made anew")
    for name, expected in files.items():
        if file_digest(path / name) != expected:
            raise ArtifactError(
                f"{path / name}: not the bytes that were published; delete the folder to have it made anew"
            )
    return Artifact(path, content_id, files, facts)


def begin(run_dir: Path, stage: str, key: str) -> Path:
    """The folder to work in; what an interrupted run left there is still there."""
    partial = run_dir / f"{stage}-{key}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    aside = _aside(partial)
    if aside.exists():  # a kill within `publish`
        for entry in aside.iterdir():
            entry.rename(partial / entry.name)
        aside.rmdir()
    return partial


def publish(partial: Path, *, keep: frozenset[str], facts: Mapping[str, Any]) -> Artifact:
    """Turn a finished `.partial` folder into an artifact: fsync, manifest, scratch aside, one rename; scratch is last.

    `keep` names the top-level files and folders that belong to the artifact; anything else is scratch. Until the
    rename all of it is there, so that a kill costs nothing.
    """
    names = sorted(name for name in _file_names(partial) if name.partition("/")[0] in keep)
    folders = {partial.joinpath(name).parent for name in names} | {partial}
    for path in (*(partial / name for name in names), *sorted(folders)):
        fsync(path)
    files = {name: file_digest(partial / name) for name in names}
    content_id = _content_id(files)
    keep_json(partial / MANIFEST, {"content_id": content_id, "facts": dict(facts), "files": files})
    aside, final = _aside(partial), partial.with_name(partial.name.removesuffix(".partial"))
    aside.mkdir(exist_ok=True)
    for entry in list(partial.iterdir()):
        if entry.name not in (*keep, MANIFEST):
            entry.rename(aside / entry.name)
    fsync(partial)
    partial.rename(final)
    fsync(final.parent)
    discard(aside)
    return Artifact(final, content_id, files, dict(facts))


def discard(path: Path) -> None:
    """Delete a folder, if it is there. A kill in between leaves none of it under its name."""
    gone = path.with_name(path.name + ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    if path.exists():
        path.rename(gone)
        shutil.rmtree(gone)


def sweep(run_dir: Path) -> None:
    """Delete what a kill left of folders that were being deleted."""
    for gone in run_dir.glob("*.gone"):
        shutil.rmtree(gone)


def keep_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with its hash, for `kept_json`: what is used again must be what was written."""
    write_json(path, {**value, "sha256": digest(value)})


def kept_json(path: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The object that `keep_json` wrote; None where there is none, or where it is damaged, which is said."""
    if not path.exists():
        return None
    try:
        value = dict(read_json(path))
        if value.pop("sha256") == digest(value):
            return value
    except (OSError, ArtifactError, ValueError, KeyError, TypeError):
        pass
    say(f"{path}: damaged; made again")
    return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old bytes or the new ones, never half: temporary file, fsync, rename."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """A JSON value as `write_json` writes it."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically. Raises MachineError where the disk is full."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise (no_room(path, len(content)) if error.errno in FULL else error) from None
    temporary.replace(path)


def no_room(path: Path, num_bytes: int) -> MachineError:
    """The error of a file for which the disk has no room."""
    free = shutil.disk_usage(path.parent).free
    needed = f"{num_bytes / 2**20:,.1f} MiB are needed, {free / 2**20:,.1f} MiB are free"
    return MachineError(f"{path}: no room on the disk: {needed}; make room, then run the same command again")


def read_json(path: Path) -> Any:
    """Read one JSON file. Raises ArtifactError where it cannot be parsed."""
    try:
        return json.loads(_content(path).decode())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: not valid JSON: {error}") from None


def _content(path: Path) -> bytes:
    """The bytes of a file. A pipe in its place would never end."""
    if path.exists() and not path.is_file():
        raise ArtifactError(f"{path}: is not a file; delete it and run the recipe again")
    return path.read_bytes()


def read_record(path: Path, kind: type[AnyRecord]) -> AnyRecord:
    """Read one JSON file as a record. Raises ArtifactError that names file and key where it does not fit."""
    record: AnyRecord = read_as(path, kind)
    return record


def read_as(path: Path, kind: type[Any]) -> Any:
    """Read one JSON file as values of a type. Raises ArtifactError that names file and key where it does not fit."""
    try:
        return TypeAdapter(kind).validate_json(_content(path), strict=True)
    except ValidationError as error:
        raise ArtifactError(f"{path}: {mismatch(error.errors()[0])}; was another version of ftkit here?") from None


def fsync(path: Path) -> None:
    """Bring a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mismatch(detail: ErrorDetails) -> str:
    """One pydantic error in words: the key, and what is wrong with it."""
    key, message = ".".join(map(str, detail["loc"])), detail["msg"]
    if detail["type"] == "missing":
        return f"{key}: is missing"
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: unknown key"
    value = detail["input"]
    shown = "" if isinstance(value, (dict, list, bytes)) else f", found {value!r}"
    return (f"{key}: " if key else "") + message[0].lower() + message[1:] + shown


def _content_id(files: Mapping[str, str]) -> str:
    return digest({name: value for name, value in files.items() if Path(name).name not in UNHASHED})


def _aside(path: Path) -> Path:
    """Where the scratch of a stage's folder waits for the rename."""
    return path.with_name(path.name.removesuffix(".partial") + ".scratch")


def _file_names(folder: Path) -> set[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in paths} - {MANIFEST}
