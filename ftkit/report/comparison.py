"""What a report is about: everything that was compared, gathered.

Knows no stage and no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftkit.answers.prompt import Arm
from ftkit.answers.search import Candidate
from ftkit.prepare.summary import Summary
from ftkit.recipe.schema import Recipe
from ftkit.records import Example, Prediction
from ftkit.training.record import TrainingRecord
from ftkit.verdict.results import Metrics, Verdict


@dataclass(frozen=True)
class Timing:
    """What a stage wrote down beside its results: seconds in all (None where it did not), per request of each arm, and
    other facts by name.
    """

    total_s: float | None
    request_s: Mapping[str, float]
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Comparison:
    """Everything a report shows, gathered; sections only lay it out.

    Keyed by variant: `trainings` (training.json) and `steps`; by arm: `predictions`, on the same rows in the same order
    as `tests`; by stage: `timings`, and `environments` (versions and machine it was made with).
    """

    recipe: Recipe
    summary: Summary
    candidates: list[Candidate]
    trainings: dict[str, TrainingRecord]
    steps: dict[str, list[dict[str, Any]]]
    arms: list[Arm]
    chosen: dict[str, str]
    tests: list[Example]
    predictions: dict[str, list[Prediction]]
    metrics: Metrics
    verdict: Verdict
    timings: dict[str, Timing]
    environments: dict[str, Mapping[str, Any]]
