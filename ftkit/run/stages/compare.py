"""Stage compare: paired statistics on the test predictions, the verdict, and the report about it.
Loads no model and scores nothing anew but its own check of the scores: answers come from evaluate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ftkit.answers.prompt import Arm
from ftkit.contracts import Bar, Context
from ftkit.recipe.schema import Compare, MetricChoice, Recipe
from ftkit.records import Guard, Prediction
from ftkit.registry import Choice, Config
from ftkit.report import page as report
from ftkit.report.comparison import Comparison, Timing
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.store import derive_seed, write_bytes, write_json
from ftkit.verdict.cost import Rates, request_money
from ftkit.verdict.paired import (
    Aligned,
    align,
    check_predictions,
    contrast_of,
    detectable,
    metric_value,
    rows_to_settle,
)
from ftkit.verdict.results import (
    ArmContrast,
    ArmResult,
    Metrics,
    MetricValue,
    Primary,
    SecondaryContrast,
    Verdict,
)
from ftkit.verdict.stats import Contrast, Decision, Outcome, decide, holm

VERSION = 3


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
    """What compare reads: the recipe as it was carried out, the output of every earlier stage; by stage `timings` and
    `environments` (versions and machine).
    """

    recipe: Recipe
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
    write_json(out / "verdict.json", comparison.verdict.as_json())
    write_json(out / "metrics.json", comparison.metrics.as_json())
    write_bytes(out / "report.md", page.markdown.encode())
    write_bytes(out / "report.html", page.html.encode())
    return Compared(out)


def assemble(config: CompareConfig, inputs: CompareInputs, ctx: Context) -> Comparison:
    """Compute the verdict and gather everything the report shows."""
    arms, chosen = inputs.evaluated.arms, inputs.evaluated.chosen
    tests, predictions = inputs.prepared.split("test"), inputs.evaluated.predictions
    aligned = align(tests, predictions, arms=[arm.name for arm in arms])
    guards = _all_guards(inputs, check_predictions(tests, predictions, arms=arms, metrics=config.metrics))
    with ctx.progress.bar("comparing arms", _num_statistics(config, arms), unit="statistics") as bar:
        values = _metric_values(config, aligned, bar=bar, ctx=ctx)
        others = [arm.name for arm in arms if arm.side != "simple" and arm.name not in chosen.values()]
        secondary = _secondary(config, aligned, chosen=chosen, others=others, bar=bar, ctx=ctx)
        contrast = _primary_contrast(config, aligned, chosen=chosen)
        bar.advance()
    results = {arm.name: _arm_result(arm, aligned.by_arm[arm.name], values[arm.name]) for arm in arms}
    return Comparison(
        recipe=inputs.recipe,
        summary=inputs.prepared.summary,
        candidates=inputs.baseline.candidates,
        trainings={label: trained.training for label, trained in inputs.trained.items()},
        steps={label: trained.steps for label, trained in inputs.trained.items()},
        arms=arms,
        chosen=chosen,
        tests=aligned.tests,
        predictions=aligned.by_arm,
        metrics=Metrics(level=config.compare.level, arms=values, secondary=secondary),
        verdict=_verdict(
            config, contrast, chosen=chosen, results=results, floors=inputs.evaluated.floors, guards=guards
        ),
        timings={stage: _timing(facts) for stage, facts in inputs.timings.items()},
        environments=inputs.environments,
    )


def _all_guards(inputs: CompareInputs, own: Sequence[Guard]) -> list[Guard]:
    """Those of training, of evaluate and of compare; what evaluate handed on from training stands once."""
    stages = [*(trained.guards for trained in inputs.trained.values()), inputs.evaluated.guards]
    guards: list[Guard] = []
    for guard in [*chain.from_iterable(stages), *own]:
        guards += [] if guard in guards else [guard]
    return guards


def _timing(values: Mapping[str, Any]) -> Timing:
    """`timing.json` as the report takes it."""
    facts = {name: value for name, value in values.items() if name not in ("seconds", "arms")}
    request_s = {
        arm: timed["seconds"] / timed["rows"] for arm, timed in values.get("arms", {}).items() if timed.get("rows")
    }
    return Timing(values.get("seconds", {}).get("total"), request_s, facts)


def _num_statistics(config: CompareConfig, arms: Sequence[Arm]) -> int:
    contrasts = sum(arm.side != "simple" for arm in arms) - 1 + len(config.metrics) - 1
    return len(arms) * len(config.metrics) + contrasts


def _metric_values(
    config: CompareConfig, aligned: Aligned, *, bar: Bar, ctx: Context
) -> dict[str, dict[str, MetricValue]]:
    """Every metric of every arm."""
    values: dict[str, dict[str, MetricValue]] = {}
    for arm, rows in aligned.by_arm.items():
        values[arm] = {}
        for metric in config.metrics:
            ctx.check_stop()
            seed = derive_seed(config.seed, "compare", "interval", metric.name, arm)
            values[arm][metric.name] = metric_value(metric, rows, level=config.compare.level, seed=seed)
            bar.advance()
    return values


def _primary_contrast(config: CompareConfig, aligned: Aligned, *, chosen: Mapping[str, str]) -> Contrast | None:
    if not aligned.tests:
        return None
    return _contrast(config, config.metric, aligned, pair=(chosen["fine_tuned"], chosen["prompting"]))


def _contrast(config: CompareConfig, metric: Choice, aligned: Aligned, *, pair: tuple[str, str]) -> Contrast:
    seed = derive_seed(config.seed, "compare", "contrast", metric.name, *pair)
    a, b = (aligned.by_arm[arm] for arm in pair)
    return contrast_of(metric, a, b, level=config.compare.level, seed=seed)


def _secondary(
    config: CompareConfig,
    aligned: Aligned,
    *,
    chosen: Mapping[str, str],
    others: Sequence[str],
    bar: Bar,
    ctx: Context,
) -> tuple[SecondaryContrast, ...]:
    """The other metrics of the chosen pair, and the other arms against prompting by the primary metric.

    One Holm family: `p_value_holm` holds over all entries together. None of them decides anything.
    """
    if not aligned.tests:
        return ()
    prompting, tuned = chosen["prompting"], chosen["fine_tuned"]
    wanted = [(metric, tuned) for metric in config.metrics if metric.name != config.primary]
    wanted += [(config.metric, arm) for arm in others]
    contrasts = []
    for metric, arm in wanted:
        ctx.check_stop()
        contrast = _contrast(config, metric, aligned, pair=(arm, prompting))
        contrasts.append((metric.name, ArmContrast.of(contrast, a=arm, b=prompting)))
        bar.advance()
    adjusted = iter(holm([contrast.p_value for _, contrast in contrasts if contrast.p_value is not None]))
    return tuple(
        SecondaryContrast(
            metric=metric, **dict(contrast), p_value_holm=None if contrast.p_value is None else next(adjusted)
        )
        for metric, contrast in contrasts
    )


def _verdict(
    config: CompareConfig,
    contrast: Contrast | None,
    *,
    chosen: Mapping[str, str],
    results: dict[str, ArmResult],
    floors: dict[str, dict[str, float]],
    guards: Sequence[Guard],
) -> Verdict:
    """The decision on what the rows say; None for `contrast` where the arms have no row in common."""
    margin, level = config.compare.margin, config.compare.level
    decision = Decision("invalid", None)
    if contrast is not None:
        guards_passed = not any(guard.status == "failed" for guard in guards)
        decision = decide(contrast, margin=margin, guards_passed=guards_passed)
    return Verdict(
        verdict=decision.verdict,
        ship=_arm_to_ship(decision.verdict, chosen=chosen, results=results, compare=config.compare),
        lean=decision.lean,
        primary=Primary(metric=config.primary, margin=margin, level=level),
        num_rows=contrast.num_rows if contrast else 0,
        num_groups=contrast.num_groups if contrast else 0,
        contrast=ArmContrast.of(contrast, a=chosen["fine_tuned"], b=chosen["prompting"]),
        minimum_detectable_difference=detectable(contrast, margin=margin, level=level) if contrast else None,
        rows_needed=rows_to_settle(contrast, margin=margin, level=level) if contrast else None,
        arms=results,
        floors=floors,
        guards=tuple(guards),
    )


def _arm_to_ship(
    outcome: Outcome, *, chosen: Mapping[str, str], results: Mapping[str, ArmResult], compare: Compare
) -> str | None:
    """The arm the verdict names; of equivalent ones the cheaper per request, prompting on a tie."""
    if outcome == "invalid":
        return None
    prompting, tuned = chosen["prompting"], chosen["fine_tuned"]
    if outcome == "fine_tuned":
        return tuned
    if outcome == "equivalent":
        prices = compare.prices
        rates = Rates(prices.gpu_hour, prices.input_tokens, prices.output_tokens)
        return min((prompting, tuned), key=lambda arm: _money(rates, results[arm]))
    return prompting


def _money(rates: Rates, result: ArmResult) -> float:
    return request_money(
        rates, prompt_tokens=result.prompt_tokens_mean, completion_tokens=result.completion_tokens_mean
    )


def _arm_result(arm: Arm, rows: Sequence[Prediction], metrics: dict[str, MetricValue]) -> ArmResult:
    flags = Counter(flag for row in rows for flag in row.flags)
    return ArmResult(
        side=arm.side,
        model=arm.model,
        precision=arm.precision,
        metrics=metrics,
        num_unparsed=flags["unparsed"],
        num_empty=flags["empty"],
        num_truncated=flags["truncated"],
        prompt_tokens_mean=_mean([row.prompt_tokens for row in rows]),
        completion_tokens_mean=_mean([row.completion_tokens for row in rows]),
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
