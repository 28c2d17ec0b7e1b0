"""Predictions of several arms put side by side, row by row: alignment, guards, contrasts.
Pure: predictions in, numbers out. Knows no stage, no recipe and no file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from ftkit.answers.prompt import Arm
from ftkit.contracts import Scores, Totals
from ftkit.errors import DataError
from ftkit.records import Example, Guard, Prediction
from ftkit.registry import Choice
from ftkit.store import derive_seed
from ftkit.verdict.power import groups_needed, minimum_detectable_difference, rows_in
from ftkit.verdict.resampling import corpus_bootstrap_interval
from ftkit.verdict.results import ArmContrast, ArmMetrics, FileComparison, FileOutcome, MetricValue, Primary, UncutRows
from ftkit.verdict.stats import (
    Contrast,
    Outcome,
    corpus_contrast,
    decide,
    difference_alone,
    mean_interval,
    row_contrast,
)

CUT = "input_cut"  # the flag of an answer to a shortened input
NUM_NAMED = 3  # ids named in an error or a guard's detail
OUTCOMES_OF_FILES: Mapping[Outcome, FileOutcome] = {
    "fine_tuned": "a",
    "prompting": "b",
    "equivalent": "equivalent",
    "inconclusive": "inconclusive",
}


class WhatItTakes(TypedDict):
    """Fields of `Evidence`."""

    minimum_detectable_difference: float | None
    rows_needed: int | None
    groups_needed: int | None


@dataclass(frozen=True)
class Aligned:
    """Test rows that every arm answered, and each arm's answers in the same order."""

    tests: list[Example]
    by_arm: dict[str, list[Prediction]]


def align(tests: Sequence[Example], predictions: Sequence[Prediction], *, arms: Sequence[str]) -> Aligned:
    """Keep the test rows that every arm answered, in the order of `tests`. All of them, where guards pass."""
    by_id: dict[str, dict[str, Prediction]] = {arm: {} for arm in arms}
    for row in predictions:
        if row.arm in by_id:
            by_id[row.arm][row.id] = row
    kept = [test for test in tests if all(test.id in rows for rows in by_id.values())]
    return Aligned(kept, {arm: [rows[test.id] for test in kept] for arm, rows in by_id.items()})


def check_predictions(
    tests: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    arms: Sequence[Arm],
    metrics: Sequence[Choice],
) -> list[Guard]:
    """Guards that need predictions alone: one answer per row and arm, equal references, scores reproduced."""
    return [
        _guard("one_answer_per_row", _wrong_rows(tests, predictions, arms=[arm.name for arm in arms])),
        _guard("references_agree", _wrong_references(predictions)),
        _guard("scores_reproduced", _wrong_scores(predictions, metrics=metrics)),
    ]


def inputs_cut_alike(by_arm: Mapping[str, Sequence[Prediction]], *, tuned: str, prompts: Sequence[str]) -> Guard:
    """How many inputs were cut in each arm to fit its context. Fails where an arm of a deciding pair read no row's
    input as the other did: whole in both, or cut in both.
    """
    cut = {arm: [CUT in row.flags for row in by_arm[arm]] for arm in (tuned, *prompts)}
    num_rows = len(cut[tuned])
    unlike = [arm for arm in prompts if num_rows and all(a != b for a, b in zip(cut[arm], cut[tuned], strict=True))]
    counts = ", ".join(f"{arm} {sum(rows):,}" for arm, rows in cut.items())
    detail = f"inputs cut, of {num_rows:,}: {counts}" if any(map(any, cut.values())) else "no input was cut"
    if unlike:
        detail += f"; no row was read alike by {tuned} and {', '.join(unlike)}"
    return Guard("inputs_cut_alike", "failed" if unlike else "passed", detail)


def compare_predictions(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    *,
    metric: Choice,
    margin: float,
    level: float,
    seed: int,
) -> FileComparison:
    """Compare two lists of predictions of the same rows, in any order; positive differences favour `a`.

    Raises DataError where ids or references differ, where an id stands twice, or where there are no rows.
    """
    ordered = _paired(a, b)
    contrast = contrast_of(metric, a, ordered, level=level, seed=derive_seed(seed, "compare", metric.name))
    name_a, name_b = a[0].arm, b[0].arm
    if name_a == name_b:
        name_a, name_b = f"{name_a} (A)", f"{name_b} (B)"
    decision = decide([contrast], margin=margin, guards_passed=True)
    return FileComparison(
        verdict=OUTCOMES_OF_FILES[decision.verdict],
        lean=decision.lean,
        primary=Primary(metric=metric.name, margin=margin, level=level),
        num_rows=contrast.num_rows,
        num_groups=contrast.num_groups,
        contrast=ArmContrast.of(contrast, a=name_a, b=name_b),
        **what_it_takes(contrast, margin=margin, level=level),
        arms={
            name: ArmMetrics(metrics={metric.name: metric_value(metric, rows, level=level, seed=seed)})
            for name, rows in ((name_a, a), (name_b, ordered))
        },
    )


def contrast_of(
    metric: Choice, a: Sequence[Prediction], b: Sequence[Prediction], *, level: float, seed: int
) -> Contrast:
    """The contrast A − B of one metric on the same rows in the same order."""
    groups = [row.group for row in a]
    scores_a, scores_b = _scores(metric, a), _scores(metric, b)
    if isinstance(scores_a, Totals) and isinstance(scores_b, Totals):
        return corpus_contrast(scores_a, scores_b, groups=groups, seed=seed, level=level)
    if isinstance(scores_a, float) and isinstance(scores_b, float):
        return difference_alone(scores_a - scores_b, groups=groups)
    bounded = metric.options.bounded
    return row_contrast(_rows(scores_a), _rows(scores_b), groups=groups, seed=seed, level=level, is_bounded=bounded)


def cut_rows(
    metric: Choice, a: Sequence[Prediction], b: Sequence[Prediction], *, level: float, seed: int
) -> UncutRows | None:
    """The contrast A − B on the rows whose input was shortened in neither; None where none was shortened in either."""
    whole = [pair for pair in zip(a, b, strict=True) if not any(CUT in row.flags for row in pair)]
    if len(whole) == len(a):
        return None
    contrast = None
    if whole:
        one, other = zip(*whole, strict=True)
        contrast = contrast_of(metric, one, other, level=level, seed=seed)
    return UncutRows(num_rows=len(whole), contrast=ArmContrast.of(contrast, a=a[0].arm, b=b[0].arm))


def metric_value(metric: Choice, rows: Sequence[Prediction], *, level: float, seed: int) -> MetricValue:
    """One arm's metric over all rows, with its interval; both None where there are no rows."""
    if not rows:
        return MetricValue(value=None, interval=None)
    scores, groups = _scores(metric, rows), [row.group for row in rows]
    if isinstance(scores, float):
        return MetricValue(value=scores, interval=None)
    if isinstance(scores, Totals):
        interval = corpus_bootstrap_interval(scores, groups=groups, level=level, seed=seed)
        return MetricValue(value=scores.value, interval=interval)
    interval = mean_interval(scores, groups=groups, level=level, seed=seed, is_bounded=metric.options.bounded)
    return MetricValue(value=math.fsum(scores) / len(scores), interval=interval)


def what_it_takes(contrast: Contrast | None, *, margin: float, level: float) -> WhatItTakes:
    """What these rows can prove, and how many would settle the difference they show; all None without a contrast."""
    if contrast is None:
        return {"minimum_detectable_difference": None, "rows_needed": None, "groups_needed": None}
    groups = groups_needed(contrast, margin=margin, level=level)
    return {
        "minimum_detectable_difference": minimum_detectable_difference(contrast, margin=margin, level=level),
        "rows_needed": None if groups is None else rows_in(groups, contrast),
        "groups_needed": groups if contrast.is_grouped else None,
    }


def _scores(metric: Choice, rows: Sequence[Prediction]) -> Scores:
    """One number per row, or one for the whole corpus."""
    scores: Scores = metric(rows)
    return float(scores) if isinstance(scores, int) else scores


def _rows(scores: Scores) -> Sequence[float]:
    assert not isinstance(scores, (float, Totals)), "a metric is of rows, or of the corpus, for both arms"
    return scores


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
    unequal = [one.id for one, two in zip(a, ordered, strict=True) if one.group != two.group]
    if unequal:
        raise DataError(
            f"groups differ for {len(unequal)} rows ({_first(unequal)}); group the rows of both sides alike"
        )
    return ordered


def _by_id(rows: Sequence[Prediction], side: str) -> dict[str, Prediction]:
    if not rows:
        raise DataError(f"side {side} holds no predictions; expected one line for each test row")
    by_id = {row.id: row for row in rows}
    if len(by_id) != len(rows):
        counts = Counter(row.id for row in rows)
        twice = {row_id for row_id, count in counts.items() if count > 1}
        arms = sorted({row.arm for row in rows})
        raise DataError(f"side {side}: {len(twice)} ids stand twice ({_first(twice)}), arms {arms}; give one arm")
    return by_id


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
        if metric.options.runs_code or not predictions:
            continue
        scores = _scores(metric, predictions)
        if isinstance(scores, (float, Totals)):
            continue
        pairs = zip(predictions, scores, strict=False)
        wrong = {row.id for row, score in pairs if row.scores.get(metric.name) != score}
        if wrong:
            problems.append(f"{metric.name} of {len(wrong)} rows ({_first(wrong)}) is not what was stored")
    return "; ".join(problems)


def _guard(name: str, problem: str) -> Guard:
    return Guard(name, "failed" if problem else "passed", problem)


def _first(ids: Sequence[str] | set[str]) -> str:
    named = sorted(ids)[:NUM_NAMED]
    return ", ".join(map(repr, named)) + (", …" if len(ids) > NUM_NAMED else "")
