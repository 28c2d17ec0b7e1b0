"""Stage compare: paired statistics on the test predictions, the verdict, and the report about it.
Loads no model and scores nothing anew but its own check of the scores: answers come from evaluate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ftkit.answers.prompt import Arm
from ftkit.contracts import Context, Task
from ftkit.errors import DataError, RecipeError
from ftkit.recipe.schema import Compare, MetricChoice, Recipe
from ftkit.records import Prediction, read_predictions
from ftkit.registry import Choice, Config, names, suggest
from ftkit.report import page as report
from ftkit.report.comparison import Comparison
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.store import derive_seed, write_bytes, write_json
from ftkit.verdict.cost import Rates, request_money
from ftkit.verdict.paired import (
    Aligned,
    align,
    check_predictions,
    compare_predictions,
    contrast_entry,
    contrast_of,
    measured,
    power_entry,
)
from ftkit.verdict.stats import Contrast, holm, verdict

VERSION = 2


class CompareConfig(Config):
    """What compare reads of a recipe."""

    task_kind: Literal["classify", "generate"]
    metrics: list[MetricChoice]
    primary: str
    compare: Compare
    seed: int

    @classmethod
    def of(cls, recipe: Recipe) -> CompareConfig:
        """The fields of a recipe that decide what compare writes."""
        return cls.model_validate(
            {
                "task_kind": recipe.task.name,
                "metrics": recipe.evaluate.metrics,
                "primary": recipe.primary.name,
                "compare": recipe.compare,
                "seed": recipe.seed,
            }
        )

    @property
    def metric(self) -> Choice:
        """The metric that decides."""
        return next(metric for metric in self.metrics if metric.name == self.primary)


@dataclass(frozen=True)
class CompareInputs:
    """What compare reads: the recipe as it was made, the output of every earlier stage; by stage name `timings` and
    `environments` (versions and machine).
    """

    recipe: dict[str, Any]
    prepared: Prepared
    baseline: Baseline
    trained: dict[str, Trained]
    evaluated: Evaluated
    timings: dict[str, dict[str, Any]]
    environments: dict[str, Mapping[str, Any]]


def run(config: CompareConfig, inputs: CompareInputs, out: Path, ctx: Context) -> Compared:
    """Write verdict.json, metrics.json, report.md and report.html. The first two hold no clock value."""
    comparison = assemble(config, inputs, ctx)
    page = report.render(comparison)
    write_json(out / "verdict.json", comparison.verdict)
    write_json(out / "metrics.json", comparison.metrics)
    write_bytes(out / "report.md", page.markdown.encode())
    write_bytes(out / "report.html", page.html.encode())
    return Compared(out)


def assemble(config: CompareConfig, inputs: CompareInputs, ctx: Context) -> Comparison:
    """Compute the verdict and gather everything the report shows."""
    arms, chosen = inputs.evaluated.arms, inputs.evaluated.chosen
    tests, predictions = inputs.prepared.split("test"), inputs.evaluated.predictions
    aligned = align(tests, predictions, arms=[arm.name for arm in arms])
    guards = _all_guards(inputs, check_predictions(tests, predictions, arms=arms, metrics=config.metrics))
    with ctx.progress.task("comparing arms", _num_statistics(config, arms), unit="statistics") as task:
        values = _measure_arms(config, aligned, task=task, ctx=ctx)
        secondary = _secondary(config, aligned, chosen=chosen, task=task, ctx=ctx)
        found = _primary_contrast(config, aligned, chosen=chosen)
        task.advance()
    entries = {arm.name: _arm_entry(arm, aligned.by_arm[arm.name], values[arm.name]) for arm in arms}
    decided = _decide(config, found, chosen=chosen, entries=entries, guards=guards)
    return Comparison(
        recipe=inputs.recipe,
        summary=inputs.prepared.summary,
        candidates=inputs.baseline.candidates,
        trainings={method: trained.training for method, trained in inputs.trained.items()},
        steps={method: trained.steps for method, trained in inputs.trained.items()},
        arms=arms,
        chosen=chosen,
        tests=aligned.tests,
        predictions=aligned.by_arm,
        metrics={"level": config.compare.level, "arms": values, "secondary": secondary},
        verdict={**decided, "arms": entries, "floors": inputs.evaluated.floors, "guards": guards},
        timings=inputs.timings,
        environments=inputs.environments,
    )


def compare(
    a: str | Path,
    b: str | Path,
    *,
    metric: str = "accuracy",
    margin: float = 0.02,
    level: float = 0.95,
    seed: int = 17,
) -> dict[str, Any]:
    """Compare two files of predictions of the same rows; nothing is trained. See `compare_predictions`.

    A file that holds several arms is named with one of them: `predictions.jsonl#base+zero_shot`.
    """
    if metric not in names("metrics"):
        raise RecipeError(f"metric {metric!r}: unknown{suggest(metric, names('metrics'))}")
    if not 0 <= margin < 1 or not 0.5 <= level < 1:
        raise RecipeError(f"margin {margin}, level {level}; expected 0 ≤ margin < 1 and 0.5 ≤ level < 1")
    try:
        chosen = MetricChoice.model_validate(metric)
    except ValidationError:
        raise RecipeError(f"metric {metric!r}: needs options; run it from a recipe") from None
    return compare_predictions(_read_arm(a), _read_arm(b), metric=chosen, margin=margin, level=level, seed=seed)


def _read_arm(place: str | Path) -> list[Prediction]:
    """The predictions of one arm: of a file that holds only one, or of the one named behind `#`."""
    path, arm = Path(place), ""
    if not path.exists() and "#" in str(place):
        before, _, arm = str(place).rpartition("#")
        path = Path(before)
    if not path.is_file():
        raise DataError(f"{path}: no such file of predictions; expected a predictions.jsonl")
    rows = read_predictions(path)
    arms = sorted({row.arm for row in rows})
    if arm and arm not in arms:
        raise DataError(f"{path}: holds no arm {arm!r}{suggest(arm, arms)}")
    if not arm and len(arms) > 1:
        raise DataError(f"{path}: holds {len(arms)} arms ({', '.join(arms)}); name one as {path}#{arms[0]}")
    return [row for row in rows if not arm or row.arm == arm]


def _all_guards(inputs: CompareInputs, own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of training, of evaluate and of compare; what evaluate handed on from training stands once."""
    guards: list[dict[str, Any]] = []
    for found in [*(trained.guards for trained in inputs.trained.values()), inputs.evaluated.guards, own]:
        guards += [guard for guard in found if guard not in guards]
    return guards


def _num_statistics(config: CompareConfig, arms: Sequence[Arm]) -> int:
    contrasts = len(arms) - 1 + len(config.metrics) - 1
    return len(arms) * len(config.metrics) + contrasts


def _measure_arms(config: CompareConfig, aligned: Aligned, *, task: Task, ctx: Context) -> dict[str, dict[str, Any]]:
    """Value and interval of every metric of every arm; None for both where there are no rows."""
    found: dict[str, dict[str, Any]] = {}
    for arm, rows in aligned.by_arm.items():
        found[arm] = {}
        for metric in config.metrics:
            ctx.check_stop()
            seed = derive_seed(config.seed, "compare", "interval", metric.name, arm)
            found[arm][metric.name] = measured(metric, rows, level=config.compare.level, seed=seed)
            task.advance()
    return found


def _primary_contrast(config: CompareConfig, aligned: Aligned, *, chosen: Mapping[str, str]) -> Contrast | None:
    if not aligned.tests:
        return None
    return _contrast(config, config.metric, aligned, pair=(chosen["fine_tuned"], chosen["prompting"]))


def _contrast(config: CompareConfig, metric: Choice, aligned: Aligned, *, pair: tuple[str, str]) -> Contrast:
    seed = derive_seed(config.seed, "compare", "contrast", metric.name, *pair)
    a, b = (aligned.by_arm[arm] for arm in pair)
    return contrast_of(metric, a, b, level=config.compare.level, seed=seed)


def _secondary(
    config: CompareConfig, aligned: Aligned, *, chosen: Mapping[str, str], task: Task, ctx: Context
) -> list[dict[str, Any]]:
    """The other metrics of the chosen pair, and the other arms against prompting by the primary metric.

    One Holm family: `p_value_holm` holds over all entries together. None of them decides anything.
    """
    if not aligned.tests:
        return []
    prompting, tuned = chosen["prompting"], chosen["fine_tuned"]
    wanted = [(metric, tuned) for metric in config.metrics if metric.name != config.primary]
    wanted += [(config.metric, arm) for arm in aligned.by_arm if arm not in (prompting, tuned)]
    entries = []
    for metric, arm in wanted:
        ctx.check_stop()
        found = _contrast(config, metric, aligned, pair=(arm, prompting))
        entries.append({"metric": metric.name, "a": arm, "b": prompting, **contrast_entry(found)})
        task.advance()
    tested = [entry for entry in entries if entry["p_value"] is not None]
    adjusted = iter(holm([entry["p_value"] for entry in tested]))
    return [{**entry, "p_value_holm": None if entry["p_value"] is None else next(adjusted)} for entry in entries]


def _decide(
    config: CompareConfig,
    found: Contrast | None,
    *,
    chosen: Mapping[str, str],
    entries: Mapping[str, Mapping[str, Any]],
    guards: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The first keys of verdict.json, up to the arms."""
    compare = config.compare
    pair = {"a": chosen["fine_tuned"], "b": chosen["prompting"]}
    primary = {"metric": config.primary, "margin": compare.margin, "level": compare.level}
    if found is None:
        nothing = dict.fromkeys(("difference", "interval", "p_value", "test", "table"))
        return {
            "verdict": "invalid",
            "ship": None,
            "lean": None,
            "primary": primary,
            "num_rows": 0,
            "num_groups": 0,
            "contrast": {**pair, **nothing},
            "minimum_detectable_difference": None,
            "rows_needed": None,
        }
    decision = verdict(found, margin=compare.margin, guards_passed=all(guard["passed"] for guard in guards))
    return {
        "verdict": decision.verdict,
        "ship": _arm_to_ship(decision.verdict, chosen=chosen, entries=entries, compare=compare),
        "lean": decision.lean,
        "primary": primary,
        "num_rows": found.num_rows,
        "num_groups": found.num_groups,
        "contrast": {**pair, **contrast_entry(found)},
        **power_entry(found, margin=compare.margin, level=compare.level),
    }


def _arm_to_ship(
    decided: str, *, chosen: Mapping[str, str], entries: Mapping[str, Mapping[str, Any]], compare: Compare
) -> str | None:
    """The arm the verdict names; of equivalent ones the cheaper per request, prompting on a tie."""
    if decided == "invalid":
        return None
    prompting, tuned = chosen["prompting"], chosen["fine_tuned"]
    if decided == "fine_tuned":
        return tuned
    if decided == "equivalent":
        rates = Rates(**compare.prices.model_dump())
        return min((prompting, tuned), key=lambda arm: _money(rates, entries[arm]))
    return prompting


def _money(rates: Rates, entry: Mapping[str, Any]) -> float:
    tokens = {
        "prompt_tokens": entry["prompt_tokens_mean"],
        "completion_tokens": entry["completion_tokens_mean"],
    }
    return request_money(rates, **tokens)


def _arm_entry(arm: Arm, rows: Sequence[Prediction], metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": arm.model,
        "precision": arm.precision,
        "metrics": dict(metrics),
        **{f"num_{flag}": sum(flag in row.flags for row in rows) for flag in ("unparsed", "empty", "truncated")},
        "prompt_tokens_mean": _mean([row.prompt_tokens for row in rows]),
        "completion_tokens_mean": _mean([row.completion_tokens for row in rows]),
    }


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
