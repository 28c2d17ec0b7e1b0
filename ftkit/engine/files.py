"""A model's files: where they are, fetched where need be, and the hashes that say which model it is.

Knows no tensor and no tokenizer: paths and bytes only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from ftkit.contracts import Context, Json
from ftkit.engine.foreign import check_model_files, read_object
from ftkit.errors import MachineError
from ftkit.hub import Repository, cached, listed, snapshot
from ftkit.store import cached_file_digest, file_digest

WEIGHTS = ("*.safetensors",)
SMALL_FILES = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
IDENTITY = (*WEIGHTS, *SMALL_FILES)
NO_IDENTITY = ("ftkit.json", "manifest.json")
OTHER_FORMATS = ("consolidated*", "original/*", "onnx/*", "openvino/*", "gguf/*", "metal/*")
COMMIT = re.compile(r"[0-9a-f]{40}")

_fetched: dict[tuple[str, str | None], dict[bool, Path]] = {}
"""Folders this process has fetched, by repository and revision, with weights and without. A run asks the hub once, and
sees one commit also where a branch moves on."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how to load it. Either `path` or `hub`; a `revision` pins the hub repository."""

    path: Path | None
    hub: str | None
    revision: str | None
    precision: Literal["auto", "float32", "bfloat16"]
    quantize: Literal["none", "nf4"] = "none"
    chat_template_kwargs: Json = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The hub repository, or the last part of the path: never a path of this machine."""
        return self.hub or (self.path.name if self.path is not None else "")


def fetch(spec: ModelSpec, ctx: Context, *, weights: bool = True) -> Path:
    """The local folder of a model; a hub repository is downloaded where it is not cached.

    `weights=False` leaves the weights where they are. Raises MachineError where the model is missing, gated,
    out of reach, pickled, or no model at all.
    """
    folder = ctx.resolve(str(spec.path)) if spec.path is not None else _download(spec, ctx, weights=weights)
    _require_files(folder, weights=weights, elsewhere=_elsewhere(spec, ctx))
    return folder


def look(spec: ModelSpec, ctx: Context) -> str:
    """What a look at the files says of a model: '' where they are here. Needs no network and loads no library.

    A hub repository is looked for in the cache. Raises MachineError as `fetch` does, and where no tokenizer is.
    """
    folder = ctx.resolve(str(spec.path)) if spec.path is not None else cached(_repository(spec))
    if folder is None:
        if ctx.offline:
            raise MachineError(f"model.hub: {spec.hub}: offline, and it is not in the cache; download it first")
        return f"model.hub: {spec.hub} is not in the cache: a run downloads it"
    if spec.hub is not None and not any(folder.glob("*.safetensors")):
        return f"model.hub: {spec.hub}: its weights are not in the cache: a run downloads them"
    _require_files(folder, weights=True, elsewhere=_elsewhere(spec, ctx))
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise MachineError(f"{folder}: no tokenizer: tokenizer.json is missing")
    return ""


def refuse_pickled(spec: ModelSpec, ctx: Context) -> None:
    """Raise MachineError where all weights that there are, here or on the hub, are pickled. None need be there."""
    if spec.path is not None:
        folder = ctx.resolve(str(spec.path))
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    else:
        names = [] if ctx.offline else listed(_repository(spec))
    pickled = sorted(name for name in names if any(fnmatch(name, pattern) for pattern in PICKLES))
    if pickled and not any(fnmatch(name, pattern) for name in names for pattern in WEIGHTS):
        place = f"model.hub: {spec.hub}" if spec.hub is not None else f"model.path: {spec.path}"
        raise MachineError(f"{place}: {pickled[0]}: pickled weights are refused, and there are no safetensors")


def _elsewhere(spec: ModelSpec, ctx: Context) -> str:
    return ctx.elsewhere(str(spec.path)) if spec.path is not None else ""


def _require_files(folder: Path, *, weights: bool, elsewhere: str) -> None:
    if not folder.is_dir():
        raise MachineError(
            f"model.path: {folder}: no such folder{elsewhere}; give one with config.json, safetensors and tokenizer"
        )
    if not (folder / "config.json").exists():
        raise MachineError(f"{folder}: config.json is missing; a model folder as transformers saves it is expected")
    if weights and not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickled:
            raise MachineError(f"{folder}: {pickled[0]}: pickled weights are refused; convert to safetensors")
        raise MachineError(f"{folder}: no weights: model.safetensors is missing (pickled weights are refused)")
    check_model_files(folder, weights=weights)
    if weights:
        _require_shards(folder)


def _require_shards(folder: Path) -> None:
    """Raise MachineError where one of the files that the weights were cut into is missing."""
    index = folder / "model.safetensors.index.json"
    names = read_object(index).get("weight_map") if index.is_file() else None
    shards = sorted({str(each) for each in names.values()}) if isinstance(names, dict) else []
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        raise MachineError(
            f"{folder}: {missing[0]} is missing, {len(missing)} of {len(shards)} files of weights; fetch the model anew"
        )


def identify(spec: ModelSpec, ctx: Context, *, cache_path: Path | None = None) -> dict[str, Any]:
    """What makes this model this model: `repository`, `commit`, and `files` with the sha256 of each.

    Weights, config, tokenizer and chat template count; a model card does not. `cache_path` remembers hashes
    of unchanged files between runs.
    """
    folder = fetch(spec, ctx)
    paths = {path.name: path for pattern in IDENTITY for path in folder.glob(pattern)}
    files = {
        name: cached_file_digest(path, cache_path) if cache_path is not None else file_digest(path)
        for name, path in sorted(paths.items())
        if name not in NO_IDENTITY
    }
    return {"repository": spec.name, "commit": folder.name if spec.hub is not None else "", "files": files}


def changed_files(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names of the files in which two models, as `identify` gives them, differ; none for one and the same."""
    before, now = one["files"], other["files"]
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def runs_own_code(spec: ModelSpec, ctx: Context) -> bool:
    """Whether code that a repository brings may run: with the user's word and a full commit. A folder's never does.

    Raises MachineError where the user's word comes without a commit.
    """
    if ctx.trust_remote_code and spec.hub is not None and not COMMIT.fullmatch(spec.revision or ""):
        raise MachineError(
            f"model.hub: {spec.hub}: remote code is trusted only with a model.revision that is a full commit "
            "(40 hex digits)"
        )
    return ctx.trust_remote_code and spec.hub is not None


def _download(spec: ModelSpec, ctx: Context, *, weights: bool) -> Path:
    assert spec.hub is not None
    fetched = _fetched.setdefault((spec.hub, spec.revision), {})
    known = fetched.get(True) or fetched.get(weights)
    if known is not None:
        return known
    code = ("*.py",) if runs_own_code(spec, ctx) else ()
    fetched[weights] = snapshot(
        _repository(spec),
        next((folder.name for folder in fetched.values()), spec.revision),
        files=[*SMALL_FILES, *code, *(WEIGHTS if weights else ())],
        ignored=OTHER_FORMATS,
        offline=ctx.offline,
    )
    return fetched[weights]


def _repository(spec: ModelSpec) -> Repository:
    assert spec.hub is not None
    return Repository("model", spec.hub, spec.revision, place=f"model.hub: {spec.hub}", revision_key="model.revision")
