"""A metric of the `evaluate` library, from a local script or by name from the hub. A corpus metric: value only.

Its script is code, so it runs only with --trust-remote-code, and a name needs a pinned revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ftkit.errors import MachineError
from ftkit.records import Prediction
from ftkit.registry import Config, component
from ftkit.store import digest, file_digest


class Evaluate(Config):
    """`path` is a local script or folder, or `hub` a name there; `key` picks one value of those it computes."""

    runs_code: ClassVar[bool] = True

    path: str | None = Field(None, description="local script, or a folder with one")
    hub: str | None = Field(None, description="name on the hub, as accuracy or owner/name")
    revision: str | None = Field(None, description="commit, tag or branch; needed with hub")
    key: str | None = Field(None, description="which of the values that it computes; left out: the first")

    @model_validator(mode="after")
    def _one_pinned_place(self) -> Evaluate:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError("a metric from the hub is code: pin its revision")
        return self

    def code_id(self) -> str:
        """Hash over the script, or the scripts of the folder; what a revision pins needs none."""
        if self.path is None:
            return ""
        path = Path(self.path)
        scripts = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        try:
            return digest({script.name: file_digest(script) for script in scripts})
        except OSError as error:
            raise MachineError(f"evaluate.metrics: {path}: cannot be read: {error.strerror}") from None


@component
def score(config: Evaluate, predictions: Sequence[Prediction]) -> float:
    """The metric's value over all rows; an answer that could not be parsed counts as an empty text."""
    import evaluate

    place = config.path or config.hub
    try:
        metric = evaluate.load(place, revision=config.revision)
    except (OSError, FileNotFoundError, ConnectionError) as error:
        raise MachineError(f"evaluate.metrics: {place}: cannot be loaded: {error}") from None
    values = metric.compute(**_columns(predictions, numbered=_takes_numbers(metric)))
    key = config.key or next(iter(values))
    if key not in values:
        raise MachineError(f"evaluate.metrics: {place}: computes {sorted(values)}, not {key!r}")
    return float(values[key])


def _takes_numbers(metric: Any) -> bool:
    features = metric.features[0] if isinstance(metric.features, list) else metric.features
    return not str(getattr(features["predictions"], "dtype", "string")).startswith("string")


def _columns(predictions: Sequence[Prediction], *, numbered: bool) -> dict[str, list[Any]]:
    answers, references = [row.parsed or "" for row in predictions], [row.reference for row in predictions]
    if not numbered:
        return {"predictions": answers, "references": references}
    numbers = {text: number for number, text in enumerate(sorted(set(answers) | set(references)))}
    return {"predictions": [numbers[text] for text in answers], "references": [numbers[text] for text in references]}
