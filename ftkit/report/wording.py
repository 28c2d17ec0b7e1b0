"""A verdict in plain words: what to ship, the numbers behind it, and what they mean. Nothing is escaped.
Takes the values of verdict.json, or of a comparison of two files; knows no page and no stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ftkit.report.markup import count, difference, interval, score

Found: TypeAlias = Mapping[str, Any]

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


def is_share(found: Found, metric: str) -> bool:
    """Whether a metric reads as per cent: every arm's value lies in [0, 1]."""
    values = [arm["metrics"][metric]["value"] for arm in found["arms"].values()]
    return all(value is None or 0 <= value <= 1 for value in values)


def headline(found: Found) -> str:
    """What to do."""
    if "ship" not in found:
        contrast = found["contrast"]
        return HEADLINES_OF_FILES[found["verdict"]].format(a=contrast["a"], b=contrast["b"])
    return HEADLINES[found["verdict"]].format(ship=found["ship"])


def numbers(found: Found) -> str:
    """The deciding pair, its difference, its interval, and on how many rows, as one sentence."""
    contrast, metric, level = found["contrast"], found["primary"]["metric"], found["primary"]["level"]
    if contrast["difference"] is None:
        return "The arms have no test rows in common."
    share = is_share(found, metric)
    unit = " points" if share else ""
    gap = difference(contrast["difference"], share=share) + unit
    values = {side: found["arms"][contrast[side]]["metrics"][metric]["value"] for side in ("a", "b")}
    rows = f"the same {count(found['num_rows'])} test rows"
    if found["num_groups"] < found["num_rows"]:
        rows += f" (in {count(found['num_groups'])} groups)"
    sure = "the rows do not vary enough for an interval"
    if contrast["interval"] is not None:
        ends = interval(contrast["interval"], share=share, signed=True)
        sure = f"with {100 * level:.4g} % confidence the true difference lies in {ends}{unit}"
    second = contrast["b"] if "ship" not in found else f"the best prompt, {contrast['b']},"
    return (
        f"On {rows} {contrast['a']} scores {score(values['a'], share=share)} in {metric} and {second} "
        f"{score(values['b'], share=share)}: a difference of {gap}; {sure}."
    )


def meaning(found: Found) -> list[str]:
    """How the interval lies to the margin; where nothing is settled, what it would take; or what failed."""
    share = is_share(found, found["primary"]["metric"])
    margin = found["primary"]["margin"]
    words = f"{100 * margin:.4g} points" if share else f"{margin:.4g}"
    if found["verdict"] == "invalid":
        failed = [guard for guard in found["guards"] if not guard["passed"]]
        return [f"Guard “{guard_name(guard['name'])}” failed: {guard['detail'] or 'no detail'}." for guard in failed]
    if found["verdict"] != "inconclusive":
        return [MEANINGS[found["verdict"]].format(margin=words)]
    lean = LEANS[found["lean"]].format(a=found["contrast"]["a"], margin=words)
    return [" ".join([lean, *_what_it_takes(found, share=share)])]


def one_sentence(found: Found) -> str:
    """Headline and numbers on one line, for a terminal."""
    return f"{headline(found)} {numbers(found)}"


def guard_name(name: str) -> str:
    """A guard's name as words."""
    return name.replace("_", " ")


def _what_it_takes(found: Found, *, share: bool) -> list[str]:
    if found["rows_needed"] is not None:
        return [f"About {count(found['rows_needed'])} test rows would settle a difference of this size."]
    least = found["minimum_detectable_difference"]
    if least is None:
        return []
    words = difference(least, share=share).lstrip("+") + (" points" if share else "")
    return [f"These rows would prove a true difference of {words} or more."]
