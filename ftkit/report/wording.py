"""A verdict in plain words: what to ship, the numbers behind it, and what they mean. Nothing is escaped.
Takes a verdict, or a comparison of two files; knows no page and no stage.
"""

from __future__ import annotations

from typing import TypeAlias

from ftkit.report.markup import count, counted, difference, interval, score
from ftkit.verdict.results import ArmContrast, FileComparison, Verdict

Judged: TypeAlias = Verdict | FileComparison

HEADLINES = {
    "fine_tuned": "Fine-tuning is worth it: ship {ship}.",
    "prompting": "A prompt is better: ship {ship}.",
    "equivalent": "No difference that matters: ship {ship}.",
    "inconclusive": "Not settled: keep the prompt, {ship}, until more rows decide.",
    "invalid": "No verdict: the comparison cannot be trusted.",
}
OF_THE_OTHERS = {
    "fine_tuned": "Of the other two, fine-tuning is worth it.",
    "prompting": "Of the other two, the prompt is better.",
    "equivalent": "Between the other two there is no difference that matters.",
    "inconclusive": "Between the other two it is not settled.",
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
    "none": "The interval leaves open which of the two is better; the margin is {margin}.",
}
NO_INTERVAL = "It stays open which of the two is better; the margin is {margin}."
TOO_FEW = (
    "Measured against the margin of {margin} that would settle it, but the intervals of {metric} tend to be too short "
    "on so few {units}: nothing is decided on them."
)
FLOORS = {
    "majority": "giving every row the commonest answer of train",
    "empty": "an empty answer",
    "copy": "a copy of the input",
}
SIMPLE = {"linear": "A linear model on word counts"}


def is_share(result: Judged, metric: str) -> bool:
    """Whether a metric reads as per cent: every arm's value lies in [0, 1]."""
    values = [arm.metrics[metric].value for arm in result.arms.values()]
    return all(value is None or 0 <= value <= 1 for value in values)


def headline(result: Judged) -> str:
    """What to do."""
    if not isinstance(result, Verdict):
        return HEADLINES_OF_FILES[result.verdict].format(a=result.contrast.a, b=result.contrast.b)
    if _nothing_works(result):
        simple = f" nor {result.ship}" if result.ship in SIMPLE else ""
        return _no_better(result, f"Neither {result.contrast.a} nor {result.contrast.b}{simple}")
    if result.ship in SIMPLE:
        return f"{_simpler(result)} {OF_THE_OTHERS[result.verdict]}"
    return HEADLINES[result.verdict].format(ship=result.ship)


def cautions(result: Judged) -> list[str]:
    """What may make shipping it a mistake: that it is not proven better than reading nothing."""
    if not isinstance(result, Verdict) or result.ship not in _unproven(result) or _nothing_works(result):
        return []  # where nothing works, the headline says it
    return [_no_better(result, f"Not even {result.ship}")]


def numbers(result: Judged) -> str:
    """The deciding pair, its difference, its interval, and on how many rows, as one sentence."""
    contrast, metric = result.contrast, result.primary.metric
    if contrast.difference is None:
        return "The arms have no test rows in common."
    share, margin = is_share(result, metric), result.primary.margin
    unit = " points" if share else ""
    gap = difference(contrast.difference, share=share, margin=margin) + unit
    rows = f"the same {counted(result.num_rows, 'test row')}"
    if result.num_groups < result.num_rows:
        rows += f" (in {counted(result.num_groups, 'group')})"
    sure = (
        f"{'one ' + _unit(result) + ' gives' if result.num_groups == 1 else 'there is'} no interval, so nothing is sure"
    )
    if contrast.interval is not None:
        ends = interval(contrast.interval, share=share, signed=True, margin=margin)
        level = f"{100 * result.primary.level:.4g} %"
        sure = f"with {level} confidence the true difference lies in {ends}{unit}"
    second = f"the best prompt, {contrast.b}," if isinstance(result, Verdict) else contrast.b
    value_a, value_b = (_value(result, result.arms[arm].metrics[metric].value) for arm in (contrast.a, contrast.b))
    return f"On {rows} {contrast.a} scores {value_a} in {metric} and {second} {value_b}: a difference of {gap}; {sure}."


def meaning(result: Judged) -> list[str]:
    """How the interval lies to the margin, and what else decides; where nothing is settled, what it would take."""
    share, margin = is_share(result, result.primary.metric), result.primary.margin
    words = f"{100 * margin:.4g} points" if share else f"{margin:.4g}"
    if isinstance(result, Verdict) and result.verdict == "invalid":
        failed = [guard for guard in result.guards if guard.status == "failed"]
        return [f"Guard “{guard_name(guard.name)}” failed: {guard.detail or 'no detail'}." for guard in failed]
    others = _other_prompts(result, words) if isinstance(result, Verdict) else []
    if result.verdict != "inconclusive":
        return [" ".join([MEANINGS[result.verdict].format(margin=words), *others])]
    lean = "" if others else _lean(result).format(a=result.contrast.a, margin=words, metric=result.primary.metric)
    return [" ".join(each for each in [lean, *others, *_what_it_takes(result, share=share)] if each)]


def sentences(result: Judged) -> list[str]:
    """What follows the headline, in its order: what speaks against it, the numbers, and what they mean."""
    if isinstance(result, Verdict) and result.verdict == "invalid":  # what failed matters more than the numbers
        return [*meaning(result), numbers(result)]
    return [
        *cautions(result),
        numbers(result),
        *meaning(result),
        *shortened(result),
        *stopped(result),
        *cheaper(result),
    ]


def one_sentence(result: Judged) -> str:
    """All of it on one line, the headline first."""
    return " ".join([headline(result), *sentences(result)])


def cheaper(result: Judged) -> list[str]:
    """Prompts that cost less than the one that is shipped, and may be as good."""
    if not isinstance(result, Verdict) or not result.cheaper or result.ship is None:
        return []
    tokens = {name: result.arms[name].prompt_tokens_mean for name in (*result.cheaper, result.ship)}
    named = ", ".join(f"{name} ({count(tokens[name])} tokens a request)" for name in result.cheaper)
    return [f"Not told apart from {result.ship} ({count(tokens[result.ship])} tokens a request), and cheaper: {named}."]


def shortened(result: Judged) -> list[str]:
    """What shortened inputs could have changed in the deciding pair; nothing where none was shortened."""
    if not isinstance(result, Verdict) or result.uncut is None:
        return []
    pair, share = result.uncut.contrast, is_share(result, result.primary.metric)
    counts = " and ".join(f"{count(result.arms[arm].num_cut)} for {arm}" for arm in (pair.a, pair.b))
    text = f"Inputs were shortened to fit the context: {counts}."
    if pair.difference is None:
        return [f"{text} No row is whole in both arms, so what that cost cannot be told."]
    ends = interval(pair.interval, share=share, signed=True, margin=result.primary.margin)
    gap = difference(pair.difference, share=share, margin=result.primary.margin)
    rows = counted(result.uncut.num_rows, "row")
    return [f"{text} On the {rows} whole in both, the difference is {gap} ({ends})."]


def stopped(result: Judged) -> list[str]:
    """How many answers of the deciding pair were not finished; nothing where all were."""
    if not isinstance(result, Verdict):
        return []
    num_stopped = {arm: result.arms[arm].num_truncated for arm in (result.contrast.a, result.contrast.b)}
    if not any(num_stopped.values()):
        return []
    counts = " and ".join(f"{count(number)} for {arm}" for arm, number in num_stopped.items())
    return [f"Answers were stopped by max_new_tokens: {counts}."]


def guard_name(name: str) -> str:
    """A guard's name as words."""
    return name.replace("_", " ")


def _unproven(result: Verdict) -> set[str]:
    """Arms that are not proven better than reading nothing."""
    return {each.a for each in result.floor if each.interval is None or each.interval.low <= 0}


def _nothing_works(result: Verdict) -> bool:
    return {result.contrast.a, result.contrast.b, result.ship} <= _unproven(result)


def _no_better(result: Verdict, who: str) -> str:
    floor = result.floor[0].b
    than = f"{FLOORS.get(floor, floor)} ({_value(result, result.floors[floor][result.primary.metric])})"
    return f"{who} is proven better than {than}: look at the rows, the metric or the model."


def _simpler(result: Verdict) -> str:
    """Why something simpler is shipped."""
    metric, pair = result.primary.metric, (result.contrast.a, result.contrast.b)
    assert result.ship is not None, "something simpler is shipped"
    value, *others = (_value(result, result.arms[arm].metrics[metric].value) for arm in (result.ship, *pair))
    against = [each for each in result.simple if each.a == result.ship]
    is_better = all(each.interval is not None and each.interval.low > 0 for each in against)
    as_good = [each.b for each in against if _is_no_worse(each, result.primary.margin)]
    no_worse = "both" if len(as_good) == len(pair) else as_good[0]
    how = "beats both" if is_better else f"is no worse than {no_worse}, and costs less"
    return f"{SIMPLE[result.ship]} {how} ({value} against {others[0]} and {others[1]}): ship {result.ship}."


def _is_no_worse(contrast: ArmContrast, margin: float) -> bool:
    return contrast.interval is not None and contrast.interval.low > -margin


def _other_prompts(result: Verdict, margin: str) -> list[str]:
    """Where fine-tuning stands against the other frozen prompts, as far as that decides: it has to beat each."""
    share = is_share(result, result.primary.metric)
    if result.contrast.interval is None or result.contrast.interval.low <= result.primary.margin:
        return []
    ends = {
        each.b: interval(each.interval, share=share, signed=True, margin=result.primary.margin)
        for each in result.prompts
        if result.verdict == "fine_tuned" or each.interval is None or each.interval.low <= result.primary.margin
    }
    named = ", ".join(f"{name} ({lies})" for name, lies in ends.items())
    if not ends:
        return []
    if result.verdict == "fine_tuned":
        return [f"That holds against each of the frozen prompts: {named}."]
    return [
        f"{result.contrast.a} is better than the best prompt on valid by more than the margin of {margin}, "
        f"but not surely than each other prompt that was frozen: {named}."
    ]


def _lean(result: Judged) -> str:
    """Where the interval lies of a pair that is not settled, or why it does not settle it."""
    assert result.lean is not None, "an undecided interval lies somewhere"
    ends, margin = result.contrast.interval, result.primary.margin
    if ends is None:
        return NO_INTERVAL
    would_settle = ends.low > margin or ends.high < -margin or -margin < ends.low <= ends.high < margin
    return TOO_FEW.replace("{units}", f"{_unit(result)}s") if would_settle else LEANS[result.lean]


def _unit(result: Judged) -> str:
    """What varies on its own."""
    return "group" if result.num_groups < result.num_rows else "row"


def _what_it_takes(result: Judged, *, share: bool) -> list[str]:
    settles = "settle a difference of this size"
    if result.contrast.difference is not None and abs(result.contrast.difference) <= result.primary.margin:
        settles = "show that the two are equivalent, if they are as near as here"
    if result.groups_needed is not None:
        rows = f"{count(result.rows_needed)} rows in groups like these"
        return [f"About {count(result.groups_needed)} groups of test rows ({rows}) would {settles}."]
    if result.rows_needed is not None:
        return [f"About {count(result.rows_needed)} test rows would {settles}."]
    least = result.minimum_detectable_difference
    if least is None:
        return []
    words = difference(least, share=share).lstrip("+") + (" points" if share else "")
    return [f"These rows would prove a true difference of {words} or more."]


def _value(result: Judged, value: float | None) -> str:
    return score(value, share=is_share(result, result.primary.metric))
