"""Two arms side by side: of two files of predictions, of two runs, or of one run. Nothing is trained or asked anew.

Reads predictions on test rows, which it pairs by row id; computes nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ftkit.contracts import Context
from ftkit.errors import DataError, RecipeError
from ftkit.recipe.schema import MetricChoice
from ftkit.records import Prediction, read_predictions
from ftkit.registry import Choice, names, suggest
from ftkit.run.finished import FinishedRun, open_run
from ftkit.run.settling import with_reading
from ftkit.verdict.paired import compare_predictions
from ftkit.verdict.results import FileComparison

METRIC = "accuracy"
DEFAULTS = {"margin": 0.02, "level": 0.95}


@dataclass(frozen=True)
class _Side:
    """One arm's predictions, the file they stand in, and the run that they are of, where they are of one."""

    rows: list[Prediction]
    path: Path
    run: FinishedRun | None


def compare(
    a: str | Path,
    b: str | Path,
    *,
    metric: str | None = None,
    margin: float | None = None,
    level: float | None = None,
    seed: int = 17,
    ctx: Context | None = None,
) -> FileComparison:
    """Compare two arms on the same rows, in any order; positive differences favour `a`.

    A side is a file of predictions (`predictions.jsonl#ARM`, where it holds several arms) or a run (its arm to ship, or
    `RUN#ARM`). Metric, margin and level are those of the runs where they are not given, of files accuracy, 0.02, 0.95.
    How numbers of files are read follows their references, and is said.
    Raises DataError where the sides do not answer the same rows, RecipeError where runs ask other questions.
    """
    named = None if metric is None else _named(metric)
    sides = _side(a), _side(b)
    chosen = named or _of_runs(sides)
    margin = _shared(sides, "margin") if margin is None else margin
    level = _shared(sides, "level") if level is None else level
    if not 0 <= margin < 1 or not 0.5 <= level < 1:
        raise RecipeError(f"margin {margin}, level {level}; expected 0 ≤ margin < 1 and 0.5 ≤ level < 1")
    chosen = with_reading(chosen, [row.reference for row in sides[0].rows], (ctx or Context()).progress.say)
    try:
        return compare_predictions(sides[0].rows, sides[1].rows, metric=chosen, margin=margin, level=level, seed=seed)
    except DataError as error:
        raise DataError(f"a is {sides[0].path}, b is {sides[1].path}: {error}") from None


def _named(metric: str) -> Choice:
    if metric not in names("metrics"):
        raise RecipeError(f"metric {metric!r}: unknown{suggest(metric, names('metrics'))}")
    try:
        return MetricChoice.model_validate(metric)
    except ValidationError:
        raise RecipeError(f"metric {metric!r}: needs options; compare runs whose recipe names it") from None


def _of_runs(sides: tuple[_Side, _Side]) -> Choice:
    """The metric that decided the runs; that of files."""
    metrics = [side.run.recipe.primary for side in sides if side.run is not None]
    if len(metrics) == 2 and metrics[0] != metrics[1]:
        raise RecipeError(f"the runs were decided by {metrics[0].name} and {metrics[1].name}; name one with --metric")
    return metrics[0] if metrics else _named(METRIC)


def _shared(sides: tuple[_Side, _Side], name: str) -> float:
    """Margin or level that the runs were decided with; that of files."""
    values = {float(getattr(side.run.recipe.compare, name)) for side in sides if side.run is not None}
    if len(values) == 2:
        low, high = sorted(values)
        raise RecipeError(f"the runs were decided with a {name} of {low:g} and {high:g}; name one with --{name}")
    return next(iter(values), DEFAULTS[name])


def _side(place: str | Path) -> _Side:
    path, arm = Path(place), ""
    if not path.exists() and "#" in str(place):
        before, _, arm = str(place).rpartition("#")
        path = Path(before)
    if path.is_dir():
        run = open_run(path)
        wanted = run.arm(arm, asked_as=f"{path}#{{name}}").name
        rows = [row for row in run.evaluated.predictions if row.arm == wanted]
        return _Side(rows, run.evaluated.path / "predictions.jsonl", run)
    return _Side(_of_file(path, arm), path, None)


def _of_file(path: Path, arm: str) -> list[Prediction]:
    """The predictions of one arm: of a file that holds only one, or of the one that is named."""
    if not path.is_file():
        raise DataError(f"{path}: no such file of predictions and no run; expected a predictions.jsonl or runs/NAME")
    rows = read_predictions(path)
    arms = sorted({row.arm for row in rows})
    if arm and arm not in arms:
        raise DataError(f"{path}: holds no arm {arm!r}{suggest(arm, arms)}")
    if not arm and len(arms) > 1:
        raise DataError(f"{path}: holds {len(arms)} arms ({', '.join(arms)}); name one as {path}#{arms[0]}")
    return [row for row in rows if not arm or row.arm == arm]
