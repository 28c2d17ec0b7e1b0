"""Checkpoints of a training: weights and optimizer as safetensors, the rest as JSON, published by rename.

Knows named tensors and a folder; not what is trained, and not when a checkpoint is due.

    checkpoints/step-000120/       weights.safetensors  optimizer.safetensors  steps.jsonl (the log up to here)
                                   state.json (with the hashes of the others)
    checkpoints/step-000120.tmp/   being written, or left over by a kill: never read
    checkpoints/step-000120.gone/  being deleted, likewise
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ftkit.engine.batching import Budget
from ftkit.errors import ArtifactError
from ftkit.store import FULL, digest, discard, file_digest, fsync, no_room, read_json, write_bytes, write_json

WEIGHTS, OPTIMIZER, LOG, STATE = "weights.safetensors", "optimizer.safetensors", "steps.jsonl", "state.json"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Best:
    """The best evaluation so far. Higher value wins, then lower loss, then the earlier step."""

    step: int
    value: float
    loss: float


@dataclass
class State:
    """Where a training stands, beside its tensors and its log. `budget` is that of batches since memory ran out."""

    step: int = 0
    pending_evaluation: bool = False
    best: Best | None = None
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    num_target_tokens: int = 0
    budget: Budget | None = None


Parameters = Mapping[str, torch.nn.Parameter]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training. `fingerprint` says which: others are never read."""

    folder: Path
    fingerprint: str
    environment: Mapping[str, Any]
    say: Callable[[str], None]

    def save(self, state: State, parameters: Parameters, optimizer: torch.optim.Optimizer, *, log: bytes) -> None:
        """Write one, then drop those that are neither of the newest two nor a best one they name.

        Raises MachineError where the disk is full.
        """
        final = self._path(state.step)
        temporary = final.with_name(final.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _save({name: value.detach().contiguous() for name, value in parameters.items()}, temporary / WEIGHTS)
        _save(_moments(parameters, optimizer), temporary / OPTIMIZER)
        write_bytes(temporary / LOG, log)
        content = {
            "fingerprint": self.fingerprint,
            "environment": dict(self.environment),
            "state": asdict(state),
            "files": {name: file_digest(temporary / name) for name in (WEIGHTS, OPTIMIZER, LOG)},
        }
        write_json(temporary / STATE, {**content, "digest": digest(content)})
        for name in (WEIGHTS, OPTIMIZER, "."):
            fsync(temporary / name)
        discard(final)  # one of the same step, from before its evaluation
        temporary.rename(final)
        fsync(self.folder)
        self._prune()

    def newest(self) -> State | None:
        """The state of the newest whole checkpoint, or None. What is passed over is said."""
        for leftover in (*self.folder.glob("*.tmp"), *self.folder.glob("*.gone")):
            shutil.rmtree(leftover)
        for path in reversed(self._all()):
            try:
                state = self._read(path)
                if state.best is not None:
                    self._read(self._path(state.best.step))
            except ArtifactError as error:
                self.say(f"checkpoint {path.name} is passed over: {error}")
                discard(path)  # or its number would count as newer than those to come
                continue
            return state
        return None

    def restore(self, state: State, parameters: Parameters, optimizer: torch.optim.Optimizer) -> None:
        """Put weights and optimizer back to where they were at `state`."""
        path = self._path(state.step)
        self.restore_weights(state.step, parameters)
        moments = load_file(path / OPTIMIZER)
        for name, parameter in parameters.items():
            # the count of steps stays on the CPU, as AdamW keeps it
            optimizer.state[parameter] = {
                kind: moments[f"{kind}.{name}"].to(parameter.device if kind != "step" else "cpu") for kind in MOMENTS
            }

    def log(self, step: int) -> bytes:
        """The step log as it was then."""
        return (self._path(step) / LOG).read_bytes()

    def restore_weights(self, step: int, parameters: Parameters) -> None:
        """Put the weights back to those of a step that was saved."""
        weights = load_file(self._path(step) / WEIGHTS)
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])

    def _read(self, path: Path) -> State:
        """Verify a checkpoint. Raises ArtifactError with what is wrong."""
        try:
            content = read_json(path / STATE)
            given = content.pop("digest")
            state = dict(content["state"])
            files = dict(content["files"])
        except (OSError, ArtifactError, KeyError, TypeError, ValueError, AttributeError):
            raise ArtifactError(f"{STATE} is missing or damaged") from None
        if given != digest(content):
            raise ArtifactError(f"{STATE} is damaged")
        if content["fingerprint"] != self.fingerprint:
            raise ArtifactError("it belongs to other rows, settings or another base model")
        for name, expected in files.items():
            if not (path / name).is_file() or file_digest(path / name) != expected:
                raise ArtifactError(f"{name} is missing or damaged")
        if content["environment"] != self.environment:
            self.say(
                f"checkpoint {path.name} was written under {content['environment']}, now it is "
                f"{dict(self.environment)}: results may differ in rounding from a run that was never stopped"
            )
        for name, kind in (("best", Best), ("budget", Budget)):
            state[name] = kind(**state[name]) if state.get(name) else None
        return State(**state)

    def _prune(self) -> None:
        newest = self._all()[-2:]
        keep = set(newest)
        for path in newest:
            try:
                best = read_json(path / STATE)["state"]["best"]
            except (OSError, ArtifactError, KeyError, TypeError):
                continue
            if best is not None:
                keep.add(self._path(best["step"]))
        for path in self._all():
            if path not in keep:
                discard(path)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def _all(self) -> list[Path]:
        folders = [path for path in self.folder.glob("step-*") if path.name[5:].isdigit()]
        return sorted(folders, key=lambda path: int(path.name[5:]))


def _save(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(dict(tensors), path)
    except (OSError, SafetensorError) as error:
        code = re.search(r"os error (\d+)", str(error))
        number = error.errno if isinstance(error, OSError) else int(code[1]) if code else None
        if number not in FULL:
            raise
        raise no_room(path, sum(each.nbytes for each in tensors.values())) from None


def _moments(parameters: Parameters, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{kind}.{name}": optimizer.state[parameter][kind].contiguous()
        for name, parameter in parameters.items()
        for kind in MOMENTS
    }
