"""A verdict in plain words: what to ship, the numbers behind it, and what they mean. Nothing is escaped.
Takes a verdict, or a comparison of two files; knows no page and no stage.
"""

from __future__ import annotations

from typing import TypeAlias

from ftkit.report.markup import count, difference, interval, score
from ftkit.verdict.results import FileComparison, Verdict

Judged: TypeAlias = Verdict | FileComparison

HEADLINES = {
    "fine_tuned": "Fine-tuning is worth it: ship {ship}.",
    "prompting": "A prompt is better: ship {ship}.",
    "equivalent": "No difference that matters: ship {ship}.",
    "inconclusive": "Not settled: keep the prompt, {ship}, until more rows decide.",
    "invalid": "No verdict: the comparison cannot be trusted.",
}
HEADLINES_OF_FILES = {
    "a": "{a} is better than {b}.",
    "b": "{b} is better than {a}.",
    "equivalent": "No difference that matters between {a} and {b}.",
    "inconclusive": "Not settled: these rows do not decide between {a} and {b}.",
}
ABOVE = "The whole interval lies above the margin of {margin}."
BELOW = "The whole interval lies below the margin of {margin} to the other side."
MEANINGS = {
    "fine_tuned": ABOVE,
    "a": ABOVE,
    "prompting": BELOW,
    "b": BELOW,
    "equivalent": "The whole interval lies within the margin of {margin} either way.",
}
LEANS = {
    "better": "{a} is probably better, but not surely by more than the margin of {margin}.",
    "worse": "{a} is probably worse, but not surely by more than the margin of {margin}.",
    "none": "The interval leaves open which of the two is better.",
}


def is_share(result: Judged, metric: str) -> bool:
    """Whether a metric reads as per cent: every arm's value lies in [0, 1]."""
    values = [arm.metrics[metric].value for arm in result.arms.values()]
    return all(value is None or 0 <= value <= 1 for value in values)


def headline(result: Judged) -> str:
    """What to do."""
    if isinstance(result, Verdict):
        return HEADLINES[result.verdict].format(ship=result.ship)
    return HEADLINES_OF_FILES[result.verdict].format(a=result.contrast.a, b=result.contrast.b)


def numbers(result: Judged) -> str:
    """The deciding pair, its difference, its interval, and on how many rows, as one sentence."""
    contrast, metric = result.contrast, result.primary.metric
    if contrast.difference is None:
        return "The arms have no test rows in common."
    share = is_share(result, metric)
    unit = " points" if share else ""
    gap = difference(contrast.difference, share=share) + unit
    rows = f"the same {count(result.num_rows)} test rows"
    if result.num_groups < result.num_rows:
        rows += f" (in {count(result.num_groups)} groups)"
    sure = "the rows do not vary enough for an interval"
    if contrast.interval is not None:
        ends = interval(contrast.interval, share=share, signed=True)
        level = f"{100 * result.primary.level:.4g} %"
        sure = f"with {level} confidence the true difference lies in {ends}{unit}"
    second = f"the best prompt, {contrast.b}," if isinstance(result, Verdict) else contrast.b
    value_a, value_b = (result.arms[arm].metrics[metric].value for arm in (contrast.a, contrast.b))
    return (
        f"On {rows} {contrast.a} scores {score(value_a, share=share)} in {metric} and {second} "
        f"{score(value_b, share=share)}: a difference of {gap}; {sure}."
    )


def meaning(result: Judged) -> list[str]:
    """How the interval lies to the margin; where nothing is settled, what it would take; or what failed."""
    share, margin = is_share(result, result.primary.metric), result.primary.margin
    words = f"{100 * margin:.4g} points" if share else f"{margin:.4g}"
    if isinstance(result, Verdict) and result.verdict == "invalid":
        failed = [guard for guard in result.guards if guard.status == "failed"]
        return [f"Guard “{guard_name(guard.name)}” failed: {guard.detail or 'no detail'}." for guard in failed]
    if result.verdict != "inconclusive":
        return [MEANINGS[result.verdict].format(margin=words)]
    assert result.lean is not None, "an undecided interval lies somewhere"
    lean = LEANS[result.lean].format(a=result.contrast.a, margin=words)
    return [" ".join([lean, *_what_it_takes(result, share=share)])]


def one_sentence(result: Judged) -> str:
    """Headline and numbers on one line, for a terminal."""
    return f"{headline(result)} {numbers(result)}"


def guard_name(name: str) -> str:
    """A guard's name as words."""
    return name.replace("_", " ")


def _what_it_takes(result: Judged, *, share: bool) -> list[str]:
    if result.rows_needed is not None:
        return [f"About {count(result.rows_needed)} test rows would settle a difference of this size."]
    least = result.minimum_detectable_difference
    if least is None:
        return []
    words = difference(least, share=share).lstrip("+") + (" points" if share else "")
    return [f"These rows would prove a true difference of {words} or more."]
