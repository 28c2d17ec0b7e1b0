"""What a report is about: everything that was compared, gathered.

Knows no stage and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftkit.answers.prompt import Arm
from ftkit.answers.search import Candidate
from ftkit.records import Example, Prediction
from ftkit.training.record import TrainingRecord


@dataclass(frozen=True)
class Comparison:
    """Everything a report shows, gathered; sections only lay it out.

    Keyed by variant: `trainings` (training.json) and `steps`; by arm: `predictions`, on the same rows in the same order
    as `tests`; by stage: `timings` (timing.json) and `environments` (versions, machine). `metrics` is metrics.json, `verdict` is verdict.json.
    """

    recipe: dict[str, Any]
    summary: dict[str, Any]
    candidates: list[Candidate]
    trainings: dict[str, TrainingRecord]
    steps: dict[str, list[dict[str, Any]]]
    arms: list[Arm]
    chosen: dict[str, str]
    tests: list[Example]
    predictions: dict[str, list[Prediction]]
    metrics: dict[str, Any]
    verdict: dict[str, Any]
    timings: dict[str, dict[str, Any]]
    environments: dict[str, Mapping[str, Any]]
