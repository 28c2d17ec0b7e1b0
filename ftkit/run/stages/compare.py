"""Stage compare: paired statistics on the test predictions, the verdict, and the report about it.
Loads no model and scores nothing anew but its own check of the scores: answers come from evaluate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from ftkit.answers.answering import metric_value as answered_value
from ftkit.answers.prompt import Arm
from ftkit.contracts import Bar, Context
from ftkit.recipe.schema import Compare, MetricChoice, Recipe
from ftkit.records import Guard, Prediction
from ftkit.registry import Choice, Config
from ftkit.report import page as report
from ftkit.report.comparison import Comparison, Timing
from ftkit.report.readings import rates_of
from ftkit.report.wording import one_sentence
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.store import derive_seed, write_bytes, write_json
from ftkit.verdict.cost import request_money
from ftkit.verdict.paired import (
    CUT,
    Aligned,
    WhatItTakes,
    align,
    check_predictions,
    contrast_of,
    cut_rows,
    inputs_cut_alike,
    metric_value,
    what_it_takes,
)
from ftkit.verdict.results import (
    ArmContrast,
    ArmResult,
    Metrics,
    MetricValue,
    Primary,
    SecondaryContrast,
    UncutRows,
    Verdict,
)
from ftkit.verdict.shipping import Sides, shipping
from ftkit.verdict.stats import Contrast, Decision, decide, holm

VERSION = 4


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
    sides = _sides(arms, inputs)
    own = check_predictions(tests, predictions, arms=arms, metrics=config.metrics)
    own.append(inputs_cut_alike(aligned.by_arm, tuned=sides.tuned, prompts=sides.prompts))
    guards = _all_guards(inputs, own)
    others = [arm.name for arm in arms if arm.side != "simple" and arm.name not in chosen.values()]
    with ctx.progress.bar("comparing arms", len(arms) + len(config.metrics) + len(others), unit="statistics") as bar:
        values = _metric_values(config, aligned, bar=bar, ctx=ctx)
        secondary = _secondary(config, aligned, chosen=chosen, others=others, bar=bar, ctx=ctx)
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
        verdict=_verdict(config, aligned, sides, floors=inputs.evaluated.floors, results=results, guards=guards),
        timings={stage: _timing(facts) for stage, facts in inputs.timings.items()},
        environments=inputs.environments,
    )


def _sides(arms: Sequence[Arm], inputs: CompareInputs) -> Sides:
    """Arms and floors by side; prompts as the search ranked them."""
    ranked = [prompt.label for prompt in inputs.baseline.prompts.ranked()]
    prompts = [arm for arm in arms if arm.side == "prompting"]
    return Sides(
        tuned=inputs.evaluated.chosen["fine_tuned"],
        prompts=[arm.name for arm in sorted(prompts, key=lambda arm: ranked.index(arm.prompter.label))],
        simple=[arm.name for arm in arms if arm.side == "simple"],
        floors=list(dict.fromkeys(row.arm for row in inputs.evaluated.floors)),
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


def _uncut(config: CompareConfig, aligned: Aligned, sides: Sides, contrasts: Sequence[Contrast]) -> UncutRows | None:
    """The pair that decides, on the rows whose input neither arm shortened.

    Where fine-tuning beats the best prompt but not another, it is that other which decides, if inputs were cut there.
    """
    if not contrasts:
        return None
    prompts = [sides.prompts[_deciding(contrasts, margin=config.compare.margin)], *sides.prompts]
    for prompt in prompts:
        a, b = aligned.by_arm[sides.tuned], aligned.by_arm[prompt]
        seed = derive_seed(config.seed, "compare", "uncut", sides.tuned, prompt)
        found = cut_rows(config.metric, a, b, level=config.compare.level, seed=seed)
        if found is not None:
            return found
    return None


def _deciding(contrasts: Sequence[Contrast], *, margin: float) -> int:
    """The place of the contrast that decides: the first, unless fine-tuning wins there and not against another prompt;
    then the one against which it stands worst.
    """
    lows = [-math.inf if each.interval is None else each.interval.low for each in contrasts]
    return lows.index(min(lows)) if lows[0] > margin >= min(lows) else 0


def _what_it_takes(contrasts: Sequence[Contrast], *, margin: float, level: float) -> WhatItTakes:
    """What the contrast that decides takes. No number of rows makes a winner of a difference within the margin."""
    place = _deciding(contrasts, margin=margin) if contrasts else 0
    found = what_it_takes(contrasts[place] if contrasts else None, margin=margin, level=level)
    if place and contrasts[place].difference <= margin:
        return {**found, "rows_needed": None, "groups_needed": None}
    return found


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
    aligned: Aligned,
    sides: Sides,
    *,
    floors: Sequence[Prediction],
    results: dict[str, ArmResult],
    guards: Sequence[Guard],
) -> Verdict:
    """The decision on what the rows say, and what to ship."""
    compare = config.compare
    floor_rows = align(aligned.tests, floors, arms=sides.floors)
    everything = Aligned(aligned.tests, aligned.by_arm | floor_rows.by_arm)

    @cache
    def contrast(a: str, b: str) -> Contrast:
        return _contrast(config, config.metric, everything, pair=(a, b))

    contrasts = [contrast(sides.tuned, prompt) for prompt in sides.prompts] if aligned.tests else []
    decision, shipped = Decision("invalid", None), None
    if contrasts:
        guards_passed = not any(guard.status == "failed" for guard in guards)
        decision = decide(contrasts, margin=compare.margin, guards_passed=guards_passed)
    if decision.verdict != "invalid":
        costs = {arm: _cost(compare, result) for arm, result in results.items()}
        shipped = shipping(decision.verdict, sides, margin=compare.margin, costs=costs, contrast=contrast)
    first = contrasts[0] if contrasts else None
    tuned, prompting = sides.pair
    verdict = Verdict(
        sentence="",
        verdict=decision.verdict,
        ship=shipped.ship if shipped else None,
        lean=decision.lean,
        primary=Primary(metric=config.primary, margin=compare.margin, level=compare.level),
        num_rows=len(aligned.tests),
        num_groups=first.num_groups if first else 0,
        contrast=ArmContrast.of(first, a=tuned, b=prompting),
        **_what_it_takes(contrasts, margin=compare.margin, level=compare.level),
        prompts=_named({(tuned, each): contrast(tuned, each) for each in sides.prompts[1:]} if shipped else {}),
        simple=_named(shipped.simple if shipped else {}),
        floor=_named(shipped.floor if shipped else {}),
        cheaper=shipped.cheaper if shipped else (),
        arms=results,
        floors=_floors(config, floor_rows),
        guards=tuple(guards),
        uncut=_uncut(config, aligned, sides, contrasts),
    )
    return verdict.model_copy(update={"sentence": one_sentence(verdict)})


def _named(contrasts: Mapping[tuple[str, str], Contrast]) -> tuple[ArmContrast, ...]:
    return tuple(ArmContrast.of(contrast, a=a, b=b) for (a, b), contrast in contrasts.items())


def _floors(config: CompareConfig, floors: Aligned) -> dict[str, dict[str, float]]:
    """Every metric of every floor."""
    if not floors.tests:
        return {}
    return {
        name: {metric.name: answered_value(metric, rows) for metric in config.metrics}
        for name, rows in floors.by_arm.items()
    }


def _cost(compare: Compare, result: ArmResult) -> float:
    """Of a request: money, or tokens where the recipe declares no price of tokens."""
    rates = rates_of(compare.prices)
    prompt, completion = result.prompt_tokens_mean, result.completion_tokens_mean
    return (
        request_money(rates, prompt_tokens=prompt, completion_tokens=completion)
        if rates.any_tokens
        else (prompt + completion)
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
        num_cut=flags[CUT],
        prompt_tokens_mean=_mean([row.prompt_tokens for row in rows]),
        completion_tokens_mean=_mean([row.completion_tokens for row in rows]),
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0
