"""What each stage publishes, as typed values over its folder. The names of files on disk are said here only.

Knows no stage's work: paths, reading and writing of the values that stages hand on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from ftkit.answers.prompt import Arm, FrozenPrompts, Prompter, prompter_of
from ftkit.answers.search import Candidate
from ftkit.errors import ArtifactError
from ftkit.prepare.summary import Summary
from ftkit.records import (
    Example,
    Guard,
    Prediction,
    dump,
    read_examples,
    read_jsonl,
    read_numbered_jsonl,
    read_predictions,
)
from ftkit.registry import names, suggest
from ftkit.store import MANIFEST, Artifact, JsonRecord, mismatch, read_as, read_json, read_record, write_json
from ftkit.training.record import TrainingRecord
from ftkit.verdict.results import Metrics, Verdict


class Made(JsonRecord):
    """How a stage was made: the facts of its manifest. Part of no content id."""

    environment: dict[str, Any] = Field(description="versions, processor, threads, machine block; earlier attempts")
    day: str = Field(description="on which it was finished, as YYYY-MM-DD")
    recipe: dict[str, Any] = Field(description="the recipe that asked for it")
    blocks: dict[str, Any] = Field(description="blocks of the recipe that it was made with")
    reads: dict[str, str] = Field(description="folders of the stages that it read, by stage")
    base: dict[str, Any] = Field({}, description="the base model that it read: repository, commit, sha256 by file")


def made_of(artifact: Artifact) -> Made:
    """The facts of a manifest. Raises ArtifactError that names file and key."""
    try:
        return Made.model_validate(dict(artifact.facts))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        path = artifact.path / MANIFEST
        raise ArtifactError(
            f"{path}: facts.{key}: damaged or foreign; delete the folder and run the recipe again"
        ) from None


RECORDS: Mapping[str, type[JsonRecord]] = {
    "verdict": Verdict,
    "metrics": Metrics,
    "summary": Summary,
    "training": TrainingRecord,
    "candidates": Candidate,
}
"""The files that are typed records, by their names without ending; of candidates.jsonl, a line."""


@dataclass(frozen=True)
class Prepared:
    """Output of prepare. `splits` are those that may be opened; only evaluate and what comes behind it opens `test`."""

    path: Path
    splits: frozenset[str] = frozenset({"train", "valid", "test"})

    FILES = frozenset(
        {
            "train.jsonl",
            "valid.jsonl",
            "test.jsonl",
            "ledger.jsonl",
            "dropped.jsonl",
            "summary.json",
            "data.json",
            "data.html",
        }
    )

    def split(self, name: str) -> list[Example]:
        """Rows of `train`, `valid` or `test`, in their frozen order. Raises ArtifactError for a label that is none."""
        assert name in self.splits, f"{name} is not declared as read"
        path = self.path / f"{name}.jsonl"
        rows, labels = read_examples(path), {*self.summary.labels}
        for number, row in enumerate(rows if labels else (), 1):
            if row.target not in labels:
                raise _misfit(path, f"{number}: target", f"{row.target!r} is none of the labels of summary.json")
        return rows

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Rows of a split as they are written, one by one."""
        return read_jsonl(self.path / f"{name}.jsonl")

    @property
    def summary(self) -> Summary:
        """What was done to the rows, and what is in the splits."""
        return read_record(self.path / "summary.json", Summary)


@dataclass(frozen=True)
class Baseline:
    """Output of baseline: candidates and their valid scores, the frozen prompts, the base's valid predictions."""

    path: Path

    FILES = frozenset({"candidates.jsonl", "prompt.json", "valid_predictions.jsonl", "timing.json"})

    @property
    def prompts(self) -> FrozenPrompts:
        """The best prompt of each family, frozen on valid."""
        return _read_prompts(self.path / "prompt.json")

    @property
    def candidates(self) -> list[Candidate]:
        """Every prompt tried, with its valid score, or why it was not tried."""
        return _read_lines(self.path / "candidates.jsonl", Candidate)

    @property
    def valid_predictions(self) -> list[Prediction]:
        """Predictions of the base arms on valid."""
        return read_predictions(self.path / "valid_predictions.jsonl")


@dataclass(frozen=True)
class Trained:
    """Output of train for one variant: the weights, the log of steps, the tuned model's valid predictions."""

    path: Path

    FILES = frozenset(
        {
            "adapter",
            "model",
            "steps.jsonl",
            "training.json",
            "prompt.json",
            "guards.json",
            "valid_predictions.jsonl",
            "timing.json",
        }
    )

    @property
    def training(self) -> TrainingRecord:
        """The training in numbers."""
        return read_record(self.path / "training.json", TrainingRecord)

    @property
    def weights(self) -> Path:
        """The folder `adapter/` or `model/`."""
        return self.path / self.training.kind

    @property
    def prompts(self) -> tuple[Prompter, ...]:
        """The wording that was trained, then the best other prompt, each with the normalisation that suits on valid."""
        return _read_prompts(self.path / "prompt.json").prompts

    @property
    def guards(self) -> list[Guard]:
        """Checks of the trained rows."""
        return list(read_as(self.path / "guards.json", list[Guard]))

    @property
    def steps(self) -> list[dict[str, Any]]:
        """One object per optimizer step, and per evaluation on valid."""
        return _read_lines(self.path / "steps.jsonl", dict[str, int | float | None])

    @property
    def valid_predictions(self) -> list[Prediction]:
        """Predictions of the tuned arms on valid."""
        return read_predictions(self.path / "valid_predictions.jsonl")


@dataclass(frozen=True)
class Evaluated:
    """Output of evaluate: the arms as they were frozen, then every arm's predictions on the same test rows.

    `linear/` holds the linear model on word counts, where the task classifies.
    """

    path: Path

    FILES = frozenset({"arms.json", "linear", "predictions.jsonl", "floors.jsonl", "guards.json", "timing.json"})

    @property
    def arms(self) -> list[Arm]:
        """All arms, in the order of the report."""
        return _read_arms(self.path / "arms.json")

    @property
    def chosen(self) -> dict[str, str]:
        """Names of the `prompting` and the `fine_tuned` arm, chosen on valid before test was opened."""
        path = self.path / "arms.json"
        value = read_json(path)
        _check_keys(path, "", value, ("arms", "chosen"))
        _check_keys(path, "chosen", value["chosen"], (), only=False)
        if not all(isinstance(name, str) for name in value["chosen"].values()):
            raise _misfit(path, "chosen", "expected names of arms")
        return dict(value["chosen"])

    @property
    def predictions(self) -> list[Prediction]:
        """All arms on all test rows."""
        return read_predictions(self.path / "predictions.jsonl")

    @property
    def floors(self) -> list[Prediction]:
        """All floors on all test rows."""
        return read_predictions(self.path / "floors.jsonl")

    @property
    def guards(self) -> list[Guard]:
        """Checks that need the model or the rows."""
        return list(read_as(self.path / "guards.json", list[Guard]))


@dataclass(frozen=True)
class Compared:
    """Output of compare."""

    path: Path

    FILES = frozenset({"verdict.json", "metrics.json", "report.md", "report.html"})

    @property
    def verdict(self) -> Verdict:
        """Whether fine-tuning is worth it, and all that says so."""
        return read_record(self.path / "verdict.json", Verdict)

    @property
    def metrics(self) -> Metrics:
        """Every metric of every arm."""
        return read_record(self.path / "metrics.json", Metrics)


def write_timing(folder: Path, seconds: Mapping[str, float], **facts: Any) -> None:
    """Write `timing.json`: durations in seconds, and facts that depend on the clock. Part of no content id."""
    write_json(folder / "timing.json", {"seconds": dict(seconds), **facts})


def _read_prompts(path: Path) -> FrozenPrompts:
    """A `prompt.json`. Raises ArtifactError that names file and key where it does not fit."""
    value = read_json(path)
    _check_keys(path, "", value, ("ranking", "prompts"))
    for place, each in enumerate(_checked_list(path, "prompts", value["prompts"])):
        _check_prompter(path, f"prompts.{place}", each)
    return FrozenPrompts.from_json(value)


def _read_arms(path: Path) -> list[Arm]:
    """The arms of an `arms.json`. Raises ArtifactError that names file and key where they do not fit."""
    value = read_json(path)
    _check_keys(path, "", value, ("arms", "chosen"))
    arms = _checked_list(path, "arms", value["arms"])
    for place, each in enumerate(arms):
        _check_keys(path, f"arms.{place}", each, [field.name for field in fields(Arm)])
        _check_prompter(path, f"arms.{place}.prompter", each["prompter"])
        for key in ("name", "model", "side"):
            if not isinstance(each[key], str):
                raise _misfit(path, f"arms.{place}.{key}", f"is a {type(each[key]).__name__}; expected a text")
    return [Arm.from_json(each) for each in arms]


def _read_lines(path: Path, kind: Any) -> list[Any]:
    """Lines of JSON as values of a type. Raises ArtifactError that names file, line and key where one does not fit."""
    types: TypeAdapter[Any] = TypeAdapter(kind)
    found = []
    for number, row in read_numbered_jsonl(path):
        try:
            found.append(types.validate_json(dump(row), strict=True))
        except ValidationError as error:
            raise _misfit(path, str(number), mismatch(error.errors()[0])) from None
    return found


def _check_prompter(path: Path, place: str, value: Any) -> None:
    _check_keys(path, place, value, ("family",), only=False)
    family, known = value["family"], names("prompting")
    if family not in known:
        raise _misfit(path, f"{place}.family", f"unknown strategy {family!r}{suggest(str(family), known)}")
    try:
        prompter_of(value)
    except ValidationError as error:
        raise _misfit(path, place, mismatch(error.errors()[0]), joined_by=".") from None


def _check_keys(path: Path, place: str, value: Any, keys: Sequence[str], *, only: bool = True) -> None:
    if not isinstance(value, dict):
        raise _misfit(path, place, f"is a {type(value).__name__}; expected a dict")
    inside = f"{place}." if place else ""
    for key in keys:
        if key not in value:
            raise _misfit(path, inside + key, "is missing")
    for key in value if only else ():
        if key not in keys:
            raise _misfit(path, inside + key, "unknown key")


def _checked_list(path: Path, place: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _misfit(path, place, f"is a {type(value).__name__}; expected a list")
    return value


def _misfit(path: Path, place: str, problem: str, *, joined_by: str = ": ") -> ArtifactError:
    where = place + joined_by if place else ""
    return ArtifactError(f"{path}: {where}{problem}; was another version of ftkit here?")
