"""What it costs: time and money to train, tokens and money per request, and when training has paid off."""

from __future__ import annotations

from markupsafe import Markup

from ftkit.contracts import Section
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, count, duration, escape, money, plain
from ftkit.report.readings import break_even, money_per_request, rates, stage_seconds, training_money
from ftkit.verdict.cost import machine_money

STAGES = {
    "prepare": "prepare the rows",
    "baseline": "search for the prompt",
    "evaluate": "score the test rows",
}


class CostOptions(Config):
    """No options."""


@component
def render(config: CostOptions, comparison: Comparison) -> Section:
    """Sentence of break-even, table per arm, table per stage."""
    sentence = _sentence(comparison)
    tables = [_per_arm(comparison), _per_stage(comparison)]
    html = f"<p>{escape(sentence)}</p>" + "".join(table.html for table in tables)
    return Section("Cost", Markup(html), "\n\n".join([plain(sentence), *(table.markdown for table in tables)]))


def _sentence(comparison: Comparison) -> str:
    if not rates(comparison).any_tokens:
        return (
            "The recipe declares no token prices (compare.prices): requests count tokens and seconds, "
            "and when training would pay for itself cannot be said."
        )
    tuned, prompting = comparison.chosen["fine_tuned"], comparison.chosen["prompting"]
    spent, requests = training_money(comparison), break_even(comparison)
    if requests is None:
        return (
            "Training never pays for itself by cheaper requests. A thousand cost "
            f"{_thousand(comparison, tuned)} with {tuned} "
            f"and {_thousand(comparison, prompting)} with {prompting}."
        )
    return (
        f"Training cost {money(spent)}. A thousand requests cost {_thousand(comparison, tuned)} with {tuned} "
        f"and {_thousand(comparison, prompting)} with {prompting}: training has paid for itself after "
        f"{count(requests)} requests."
    )


def _thousand(comparison: Comparison, arm: str) -> str:
    return money(1000 * money_per_request(comparison, arm))


def _per_arm(comparison: Comparison) -> Grid:
    evaluate = comparison.timings.get("evaluate")
    rows: list[list[Cell]] = []
    for arm in comparison.arms:
        result = comparison.verdict.arms[arm.name]
        seconds = evaluate.request_s.get(arm.name) if evaluate else None
        tokens = [f"{mean:,.1f}" for mean in (result.prompt_tokens_mean, result.completion_tokens_mean)]
        price = _thousand(comparison, arm.name) if rates(comparison).any_tokens else None
        rows.append([arm.name, *tokens, duration(seconds), price])
    head = ("arm", "prompt tokens", "completion tokens", "time per request", "money per 1,000 requests")
    return Grid("Per request, as measured on test (in batches, adapters not merged)", head, rows)


def _per_stage(comparison: Comparison) -> Grid:
    rows: list[list[Cell]] = []
    for stage in comparison.timings:
        name = STAGES.get(stage, stage.replace("train-", "train "))
        seconds = stage_seconds(comparison, stage)
        price = None if seconds is None or not rates(comparison).gpu_hour else machine_money(rates(comparison), seconds)
        rows.append([name, duration(seconds), money(price)])
    return Grid("Once, to get here", ("stage", "time", "money"), rows)
