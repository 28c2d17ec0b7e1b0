"""What several sections read off one comparison: the unit of a metric, per-row scores, prices.
Lays nothing out and reads no file.
"""

from __future__ import annotations

from ftkit.recipe.schema import Prices
from ftkit.report import wording
from ftkit.report.comparison import Comparison
from ftkit.verdict.cost import Rates, break_even_requests, machine_money, request_money
from ftkit.verdict.results import MetricValue


def primary(comparison: Comparison) -> str:
    """Name of the metric that decides."""
    return comparison.verdict.primary.metric


def is_share(comparison: Comparison, metric: str) -> bool:
    """Whether a metric reads as per cent."""
    return wording.is_share(comparison.verdict, metric)


def metric_of(comparison: Comparison, arm: str, metric: str) -> MetricValue:
    """A metric of an arm, with its interval."""
    return comparison.verdict.arms[arm].metrics[metric]


def row_scores(comparison: Comparison, arm: str) -> list[float]:
    """One number per test row: the primary metric's where it has one, else 1 for the right answer."""
    metric = primary(comparison)
    return [row.scores.get(metric, float(row.parsed == row.reference)) for row in comparison.predictions[arm]]


def rates(comparison: Comparison) -> Rates:
    """The prices the recipe declares."""
    return rates_of(comparison.recipe.compare.prices)


def rates_of(prices: Prices) -> Rates:
    """A recipe's prices, as the arithmetic of costs takes them."""
    return Rates(prices.gpu_hour, prices.input_tokens, prices.output_tokens)


def money_per_request(comparison: Comparison, arm: str) -> float:
    """Money for one request of an arm's mean length."""
    result = comparison.verdict.arms[arm]
    prompt, completion = result.prompt_tokens_mean, result.completion_tokens_mean
    return request_money(rates(comparison), prompt_tokens=prompt, completion_tokens=completion)


def stage_seconds(comparison: Comparison, stage: str) -> float | None:
    """Seconds a stage took, or None where none were written down."""
    return comparison.timings[stage].total_s if stage in comparison.timings else None


def training_money(comparison: Comparison) -> float:
    """Money for training the chosen fine-tuned arm's method, once."""
    tuned = next(arm for arm in comparison.arms if arm.name == comparison.chosen["fine_tuned"])
    return machine_money(rates(comparison), stage_seconds(comparison, f"train-{tuned.model}") or 0.0)


def break_even(comparison: Comparison) -> int | None:
    """Requests after which the chosen fine-tuned arm has paid for its training against the chosen prompt."""
    chosen = comparison.chosen
    return break_even_requests(
        training_money(comparison),
        prompting=money_per_request(comparison, chosen["prompting"]),
        fine_tuned=money_per_request(comparison, chosen["fine_tuned"]),
    )
