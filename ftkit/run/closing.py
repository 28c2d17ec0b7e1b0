"""What a run says at the end of a stage, and at its own: what came of it, in a line or a table, and what to do next.

Reads what was published; computes nothing new, and prints nothing.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from ftkit.recipe.schema import DataRecipe, Recipe
from ftkit.report.wording import is_share
from ftkit.run.artifacts import Baseline, Compared, Prepared, Trained
from ftkit.run.given import TRAIN
from ftkit.store import Artifact, read_json
from ftkit.verdict.results import Verdict


def lines_of(stage: str, artifact: Artifact, recipe: DataRecipe) -> list[str]:
    """What came of a stage of a recipe: rows, scores, steps, and how long it took; of compare, the table of arms."""
    if stage == "prepare":
        return _prepared(Prepared(artifact.path))
    assert isinstance(recipe, Recipe), "only prepare takes less"
    metric = recipe.compare.primary or "score"
    if stage == "baseline":
        return _joined([*_searched(Baseline(artifact.path), metric), _seconds(artifact.path)])
    if stage.startswith(TRAIN):
        return _joined([*_trained(Trained(artifact.path), metric), _seconds(artifact.path)])
    if stage == "evaluate":
        answered = read_json(artifact.path / "timing.json")["arms"]
        num_rows = max(each["rows"] for each in answered.values())
        return _joined([f"{len(answered)} arms answered {num_rows:,} test rows each", _seconds(artifact.path)])
    return arms_table(Compared(artifact.path).verdict)


def arms_table(verdict: Verdict) -> list[str]:
    """Every arm with its score on test, its interval, and tokens of a request; the one to ship is marked."""
    metric = verdict.primary.metric
    in_percent = is_share(verdict, metric)

    def of_metric(value: float | None) -> str:
        return "-" if value is None else f"{value:.1%}" if in_percent else f"{value:.4g}"

    rows = [("arm", metric, "95 %" if verdict.primary.level == 0.95 else "interval", "tokens", "")]
    for name, arm in verdict.arms.items():
        value = arm.metrics[metric]
        tokens = arm.prompt_tokens_mean + arm.completion_tokens_mean
        mark = "ships" if name == verdict.ship else ""
        between = "-" if value.interval is None else " to ".join(of_metric(each) for each in value.interval)
        rows.append((name, of_metric(value.value), between, f"{tokens:,.0f}" if tokens else "-", mark))
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    return [
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(row[place].rjust(widths[place]) for place in (1, 2, 3)), row[4]]
        ).rstrip()
        for row in rows
    ]


def next_steps(run_dir: Path, verdict: Verdict) -> list[str]:
    """Commands that go on from a finished run."""
    run = shlex.quote(str(run_dir))
    steps = [f"ftkit report {run}"]
    if verdict.ship is not None:
        steps += [f'ftkit try {run} "a text"', f"ftkit predict {run} rows.jsonl", f"ftkit export {run} --out shipped"]
    return ["next:", *(f"  {step}" for step in steps)]


def _prepared(prepared: Prepared) -> list[str]:
    summary = prepared.summary
    rows = ", ".join(f"{name} {number:,}" for name, number in summary.rows.items())
    dropped = sum(line.dropped for line in summary.funnel)
    labels = f"{len(summary.labels)} labels" if summary.labels else ""
    return _joined([f"rows: {rows}", labels, f"{dropped:,} dropped" if dropped else "none dropped"])


def _searched(baseline: Baseline, metric: str) -> Iterable[str]:
    candidates = baseline.candidates
    scored = [each for each in candidates if each.value is not None]
    yield f"{len(scored)} of {len(candidates)} prompts scored"
    ranking = baseline.prompts.ranking
    if ranking:
        values = [each.value for each in scored if each.chosen and each.label == ranking[0]]
        yield f"best on valid: {ranking[0]}, {metric} {_number(values[0] or 0.0)}"


def _trained(trained: Trained, metric: str) -> Iterable[str]:
    training = trained.training
    steps = trained.steps
    losses = [step["loss"] for step in steps if "loss" in step]
    yield f"step {training.best_step} of {training.num_steps} kept" + (", stopped early" * training.stopped_early)
    if losses:
        yield f"loss {losses[0]:.3g} to {losses[-1]:.3g}"
    kept = next((step for step in steps if "valid_loss" in step and step["step"] == training.best_step), None)
    if kept is not None and kept["valid_loss"] is not None:
        yield f"valid loss {kept['valid_loss']:.3g}"
    if training.valid_value is not None:
        yield f"{metric} {_number(training.valid_value)}"
    fit = _timing(trained.path).get("fit")
    if fit:
        yield f"{training.num_target_tokens / fit:,.0f} target tokens/s"


def _number(value: float) -> str:
    return f"{value:.1%}" if 0 <= value <= 1 else f"{value:.4g}"


def _seconds(folder: Path) -> str:
    total = _timing(folder).get("total")
    if total is None:
        return ""
    if total < 60:
        return f"{total:.1f} s"
    minutes, seconds = divmod(round(total), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _timing(folder: Path) -> Mapping[str, float]:
    seconds = read_json(folder / "timing.json").get("seconds")
    return seconds if isinstance(seconds, dict) else {}


def _joined(parts: Iterable[str]) -> list[str]:
    line = "; ".join(filter(None, parts))
    return textwrap.wrap(line, 80, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
