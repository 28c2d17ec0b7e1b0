"""Predictions of several arms put side by side, row by row: alignment, guards, contrasts.
Pure: predictions in, numbers out. Knows no stage, no recipe and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftkit.answers.prompt import Arm
from ftkit.contracts import Scores
from ftkit.errors import DataError
from ftkit.records import Example, Guard, Prediction
from ftkit.registry import Choice
from ftkit.store import derive_seed
from ftkit.verdict.power import minimum_detectable_difference, rows_needed
from ftkit.verdict.resampling import BoolArray, IntArray, corpus_bootstrap_interval
from ftkit.verdict.results import ArmContrast, ArmMetrics, FileComparison, FileOutcome, MetricValue, Primary
from ftkit.verdict.stats import Contrast, Outcome, corpus_contrast, decide, mean_interval, row_contrast

NUM_NAMED = 3  # ids named in an error or a guard's detail
OUTCOMES_OF_FILES: Mapping[Outcome, FileOutcome] = {
    "fine_tuned": "a",
    "prompting": "b",
    "equivalent": "equivalent",
    "inconclusive": "inconclusive",
}


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
    decision = decide(contrast, margin=margin, guards_passed=True)
    return FileComparison(
        verdict=OUTCOMES_OF_FILES[decision.verdict],
        lean=decision.lean,
        primary=Primary(metric=metric.name, margin=margin, level=level),
        num_rows=contrast.num_rows,
        num_groups=contrast.num_groups,
        contrast=ArmContrast.of(contrast, a=name_a, b=name_b),
        minimum_detectable_difference=detectable(contrast, margin=margin, level=level),
        rows_needed=rows_to_settle(contrast, margin=margin, level=level),
        arms={
            name: ArmMetrics(metrics={metric.name: metric_value(metric, rows, level=level, seed=seed)})
            for name, rows in ((name_a, a), (name_b, ordered))
        },
    )


def contrast_of(
    metric: Choice, a: Sequence[Prediction], b: Sequence[Prediction], *, level: float, seed: int
) -> Contrast:
    """The contrast A − B of one metric on the same rows in the same order.

    A metric that runs code from elsewhere is not re-run per resample: its contrast is the difference alone.
    """
    groups = [row.group for row in a]
    scores_a, scores_b = _scores(metric, a), _scores(metric, b)
    if not isinstance(scores_a, float) and not isinstance(scores_b, float):
        return row_contrast(scores_a, scores_b, groups=groups, seed=seed, level=level)
    if metric.options.runs_code:
        return Contrast(
            difference=_corpus_score(metric, a) - _corpus_score(metric, b),
            interval=None,
            p_value=None,
            test="approximate_randomisation",
            table=None,
            num_rows=len(a),
            num_groups=len(set(groups)),
            deviation=0.0,
        )

    def mixed(rows: IntArray, from_b: BoolArray) -> float:
        picked: list[int] = rows.tolist()
        seconds: list[bool] = from_b.tolist()
        return _corpus_score(
            metric, [b[row] if second else a[row] for row, second in zip(picked, seconds, strict=True)]
        )

    return corpus_contrast(mixed, len(a), groups=groups, seed=seed, level=level)


def metric_value(metric: Choice, rows: Sequence[Prediction], *, level: float, seed: int) -> MetricValue:
    """One arm's metric over all rows, with its interval; both None where there are no rows."""
    if not rows:
        return MetricValue(value=None, interval=None)
    scores, groups = _scores(metric, rows), [row.group for row in rows]
    if not isinstance(scores, float):
        interval = mean_interval(scores, groups=groups, level=level, seed=seed)
        return MetricValue(value=sum(scores) / len(scores), interval=interval)
    if metric.options.runs_code:
        return MetricValue(value=scores, interval=None)

    def resampled(drawn: IntArray) -> float:
        picked: list[int] = drawn.tolist()
        return _corpus_score(metric, [rows[row] for row in picked])

    interval = corpus_bootstrap_interval(resampled, groups=groups, level=level, seed=seed)
    return MetricValue(value=scores, interval=interval)


def detectable(contrast: Contrast, *, margin: float, level: float) -> float | None:
    """The true difference that this many rows can prove, at the disagreement seen."""
    return minimum_detectable_difference(
        contrast.num_rows,
        margin=margin,
        deviation=contrast.deviation,
        disagreement=contrast.disagreement,
        level=level,
    )


def rows_to_settle(contrast: Contrast, *, margin: float, level: float) -> int | None:
    """How many rows would settle the observed difference."""
    return rows_needed(contrast.difference, margin=margin, deviation=contrast.deviation, level=level)


def _scores(metric: Choice, rows: Sequence[Prediction]) -> Sequence[float] | float:
    """One number per row, or a float for the whole corpus."""
    scores: Scores = metric(rows)
    return float(scores) if isinstance(scores, (int, float)) else scores


def _corpus_score(metric: Choice, rows: Sequence[Prediction]) -> float:
    score = _scores(metric, rows)
    assert isinstance(score, float), f"{metric.name}: a number for some rows, a list for others"
    return score


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
        if isinstance(scores, float):
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
