"""What a run directory holds, by name: the newest artifact of every stage and variant, and every verdict.

`latest.json` is written after each stage; trying `full` after `lora` loses neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from ftkit.errors import ArtifactError, RecipeError
from ftkit.registry import suggest
from ftkit.store import FORMAT, Artifact, JsonRecord, read_json, read_record, write_json

NAME = "latest.json"


class Latest(JsonRecord):
    """latest.json."""

    format: int = Field(FORMAT, description="of run directories")
    stages: dict[str, str] = Field({}, description="folder of the newest artifact by stage; train-<label> by variant")
    verdicts: list[str] = Field([], description="folders of every comparison, the newest last")


@dataclass(frozen=True)
class Place:
    """A verdict of a run directory: of the directory itself the newest, of a folder in it that one."""

    run_dir: Path
    compared: Path


def note_latest(run_dir: Path, artifacts: Mapping[str, Artifact]) -> None:
    """Bring latest.json up to date, without folders that are gone. One that cannot be read is begun anew."""
    try:
        known = read_latest(run_dir)
    except (ArtifactError, RecipeError):
        known = Latest()
    there = {name: folder for name, folder in known.stages.items() if (run_dir / folder).is_dir()}
    stages = {**there, **{name: each.path.name for name, each in artifacts.items()}}
    verdicts = [name for name in known.verdicts if (run_dir / name).is_dir()]
    if "compare" in artifacts:
        verdicts = [*(name for name in verdicts if name != stages["compare"]), stages["compare"]]
    write_json(run_dir / NAME, Latest(stages=stages, verdicts=verdicts).as_json())


def read_latest(run_dir: Path) -> Latest:
    """latest.json. Raises RecipeError where this is no run directory, ArtifactError where it is of another format."""
    path = run_dir / NAME
    if not path.is_file():
        raise RecipeError(f"{run_dir}: not a run directory (no {NAME}); expected something like runs/quickstart")
    value = read_json(path)
    if isinstance(value, dict) and "format" not in value:
        raise ArtifactError(f"{path}: made by an older ftkit, whose runs this one does not read; run the recipe again")
    latest = read_record(path, Latest)
    if latest.format != FORMAT:
        raise ArtifactError(f"{path}: of format {latest.format}; this ftkit reads {FORMAT}: run the recipe again")
    return latest


def place_of(path: Path) -> Place:
    """Which verdict a run directory, or the folder of a comparison in one, names. Raises RecipeError where none."""
    if not (path / NAME).is_file() and (path.parent / NAME).is_file() and path.name.startswith("compare-"):
        if not path.is_dir():
            raise RecipeError(f"{path}: no such verdict{suggest(path.name, read_latest(path.parent).verdicts)}")
        return Place(path.parent, path)
    verdicts = read_latest(path).verdicts
    if not verdicts:
        raise RecipeError(f"{path}: the run has not reached its verdict; run the same command again")
    return Place(path, path / verdicts[-1])
