"""Predictions of several arms put side by side, row by row: alignment, guards, contrasts.
Pure: predictions in, numbers out. Knows no stage, no recipe and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.answers.prompt import Arm
from ftkit.errors import DataError
from ftkit.records import Example, Prediction
from ftkit.registry import Choice
from ftkit.store import derive_seed
from ftkit.verdict.power import minimum_detectable_difference, rows_needed
from ftkit.verdict.resampling import IntArray, Interval, corpus_bootstrap_interval
from ftkit.verdict.stats import Contrast, contrast, corpus_contrast, mean_interval, verdict

NUM_NAMED = 3  # ids named in an error or a guard's detail
SIDES = {"fine_tuned": "a", "prompting": "b"}


@dataclass(frozen=True)
class Aligned:
    """Test rows that every arm answered, and each arm's answers in the same order."""

    tests: list[Example]
    by_arm: dict[str, list[Prediction]]


def align(tests: Sequence[Example], predictions: Sequence[Prediction], *, arms: Sequence[str]) -> Aligned:
    """Keep the test rows that every arm answered, in the order of `tests`. All of them, where guards pass."""
    found: dict[str, dict[str, Prediction]] = {arm: {} for arm in arms}
    for row in predictions:
        if row.arm in found:
            found[row.arm][row.id] = row
    kept = [test for test in tests if all(test.id in rows for rows in found.values())]
    return Aligned(kept, {arm: [rows[test.id] for test in kept] for arm, rows in found.items()})


def check_predictions(
    tests: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    arms: Sequence[Arm],
    metrics: Sequence[Choice],
) -> list[dict[str, Any]]:
    """Guards that need predictions alone: one answer per row and arm, equal references, scores reproduced."""
    return [
        _guard("one_answer_per_row", _wrong_rows(tests, predictions, arms=[arm.name for arm in arms])),
        _guard("references_agree", _wrong_references(predictions)),
        _guard("scores_reproduced", _wrong_scores(predictions, metrics=metrics)),
    ]


def compare_predictions(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    *,
    metric: Choice,
    margin: float,
    level: float,
    seed: int,
) -> dict[str, Any]:
    """Compare two lists of predictions of the same rows, in any order; positive differences favour `a`.

    `verdict` is a, b, equivalent or inconclusive; `lean` (inconclusive only) is about `a`. Raises DataError
    where ids or references differ, where an id stands twice, or where there are no rows.
    """
    ordered = _paired(a, b)
    found = contrast_of(metric, a, ordered, level=level, seed=derive_seed(seed, "compare", metric.name))
    name_a, name_b = a[0].arm, b[0].arm
    if name_a == name_b:
        name_a, name_b = f"{name_a} (A)", f"{name_b} (B)"
    decision = verdict(found, margin=margin, guards_passed=True)
    return {
        "verdict": SIDES.get(decision.verdict, decision.verdict),
        "lean": decision.lean,
        "primary": {"metric": metric.name, "margin": margin, "level": level},
        "num_rows": found.num_rows,
        "num_groups": found.num_groups,
        "contrast": {"a": name_a, "b": name_b, **contrast_entry(found)},
        **power_entry(found, margin=margin, level=level),
        "arms": {
            name: {"metrics": {metric.name: measured(metric, rows, level=level, seed=seed)}}
            for name, rows in ((name_a, a), (name_b, ordered))
        },
    }


def contrast_of(
    metric: Choice, a: Sequence[Prediction], b: Sequence[Prediction], *, level: float, seed: int
) -> Contrast:
    """The contrast A − B of one metric on the same rows in the same order.

    A metric that runs code from elsewhere is not re-run per resample: its contrast is the difference alone.
    """
    groups = [row.group for row in a]
    scores_a, scores_b = metric(a), metric(b)
    if not isinstance(scores_a, (int, float)):
        return contrast(scores_a, scores_b, groups=groups, seed=seed, level=level)
    if metric.options.runs_code:
        return Contrast(
            difference=scores_a - scores_b,
            interval=None,
            p_value=None,
            test="approximate_randomisation",
            table=None,
            num_rows=len(a),
            num_groups=len(set(groups)),
            deviation=0.0,
        )

    def mixed(rows: IntArray, from_b: Any) -> float:
        picked = zip(rows.tolist(), from_b.tolist(), strict=True)
        return float(metric([b[row] if second else a[row] for row, second in picked]))

    return corpus_contrast(mixed, len(a), groups=groups, seed=seed, level=level)


def measured(metric: Choice, rows: Sequence[Prediction], *, level: float, seed: int) -> dict[str, Any]:
    """`value` and `interval` of one arm's metric over all rows; both None where there are none."""
    if not rows:
        return {"value": None, "interval": None}
    scores, groups = metric(rows), [row.group for row in rows]
    if not isinstance(scores, (int, float)):
        interval = mean_interval(scores, groups=groups, level=level, seed=seed)
        return {"value": sum(scores) / len(scores), "interval": ends(interval)}
    if metric.options.runs_code:
        return {"value": float(scores), "interval": None}

    def resampled(picked: IntArray) -> float:
        return float(metric([rows[row] for row in picked.tolist()]))

    interval = corpus_bootstrap_interval(resampled, groups=groups, level=level, seed=seed)
    return {"value": float(scores), "interval": ends(interval)}


def contrast_entry(found: Contrast) -> dict[str, Any]:
    """A contrast as verdict.json has it, without the names of the arms."""
    return {
        "difference": found.difference,
        "interval": ends(found.interval),
        "p_value": found.p_value,
        "test": None if found.p_value is None else found.test,
        "table": None if found.table is None else dict(found.table),
    }


def power_entry(found: Contrast, *, margin: float, level: float) -> dict[str, Any]:
    """What this many rows can prove, and how many would settle the observed difference."""
    return {
        "minimum_detectable_difference": minimum_detectable_difference(
            found.num_rows,
            margin=margin,
            deviation=found.deviation,
            disagreement=found.disagreement,
            level=level,
        ),
        "rows_needed": rows_needed(found.difference, margin=margin, deviation=found.deviation, level=level),
    }


def _paired(a: Sequence[Prediction], b: Sequence[Prediction]) -> list[Prediction]:
    """`b` in the order of `a`. Raises DataError where the two are not one answer each to the same rows."""
    by_id = {"a": _by_id(a, "a"), "b": _by_id(b, "b")}
    only = {"a": by_id["a"].keys() - by_id["b"].keys(), "b": by_id["b"].keys() - by_id["a"].keys()}
    if only["a"] or only["b"]:
        parts = [f"{len(ids)} only in {side} ({_first(ids)})" for side, ids in only.items() if ids]
        raise DataError(
            f"the two sides answer different rows: {', '.join(parts)}; compare predictions of the same rows"
        )
    ordered = [by_id["b"][row.id] for row in a]
    unequal = [one.id for one, two in zip(a, ordered, strict=True) if one.reference != two.reference]
    if unequal:
        raise DataError(f"references differ for {len(unequal)} rows ({_first(unequal)}); score both against one target")
    return ordered


def _by_id(rows: Sequence[Prediction], side: str) -> dict[str, Prediction]:
    if not rows:
        raise DataError(f"side {side} holds no predictions; expected one line for each test row")
    found = {row.id: row for row in rows}
    if len(found) != len(rows):
        counts = Counter(row.id for row in rows)
        twice = {row_id for row_id, count in counts.items() if count > 1}
        arms = sorted({row.arm for row in rows})
        raise DataError(f"side {side}: {len(twice)} ids stand twice ({_first(twice)}), arms {arms}; give one arm")
    return found


def _wrong_rows(tests: Sequence[Example], predictions: Sequence[Prediction], *, arms: Sequence[str]) -> str:
    expected = sorted(test.id for test in tests)
    problems = [
        f"{arm} has {sum(row.arm == arm for row in predictions)} predictions for {len(expected)} test rows"
        for arm in arms
        if sorted(row.id for row in predictions if row.arm == arm) != expected
    ]
    foreign = {row.arm for row in predictions} - set(arms)
    problems += [f"{arm} is no frozen arm" for arm in sorted(foreign)]
    return "; ".join(problems) if expected else "there are no test rows"


def _wrong_references(predictions: Sequence[Prediction]) -> str:
    references: dict[str, str] = {}
    unequal = {row.id for row in predictions if references.setdefault(row.id, row.reference) != row.reference}
    return f"{len(unequal)} rows ({_first(unequal)}) have other references in other arms" if unequal else ""


def _wrong_scores(predictions: Sequence[Prediction], *, metrics: Sequence[Choice]) -> str:
    problems = []
    for metric in metrics:
        scores = [] if metric.options.runs_code or not predictions else metric(predictions)
        if isinstance(scores, (int, float)):
            continue
        pairs = zip(predictions, scores, strict=False)
        wrong = {row.id for row, score in pairs if row.scores.get(metric.name) != score}
        if wrong:
            problems.append(f"{metric.name} of {len(wrong)} rows ({_first(wrong)}) is not what was stored")
    return "; ".join(problems)


def _guard(name: str, problem: str) -> dict[str, Any]:
    return {"name": name, "passed": not problem, "detail": problem}


def _first(ids: Sequence[str] | set[str]) -> str:
    named = sorted(ids)[:NUM_NAMED]
    return ", ".join(map(repr, named)) + (", …" if len(ids) > NUM_NAMED else "")


def ends(interval: Interval | None) -> list[float] | None:
    """[low, high], or None."""
    return None if interval is None else [interval.low, interval.high]
