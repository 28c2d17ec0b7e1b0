"""The verdict in plain words: what to ship, by how much, how sure that is, and the guards behind it."""

from __future__ import annotations

from typing import Any

from ftkit.artifacts import Comparison
from ftkit.contracts import Section
from ftkit.markup import (
    NOTHING,
    Table,
    count,
    difference,
    escape,
    folded,
    interval,
    plain,
    score,
)
from ftkit.pictures import BAND, INK, MUTED, PROMPTING, TUNED, picture
from ftkit.readings import is_share, measured, primary, row_scores
from ftkit.registry import Config, component

HEADLINES = {
    "fine_tuned": "Fine-tuning is worth it: ship {ship}.",
    "prompting": "A prompt is better: ship {ship}.",
    "equivalent": "No difference that matters: ship {ship}, the cheaper one per request.",
    "inconclusive": "Not settled: keep the prompt, {ship}, until more rows decide.",
    "invalid": "No verdict: the comparison cannot be trusted.",
}
CHIPS = {
    "fine_tuned": "fine-tune",
    "prompting": "prompt",
    "equivalent": "equivalent",
    "inconclusive": "undecided",
    "invalid": "invalid",
}
MEANINGS = {
    "fine_tuned": "The whole interval lies above the margin of {margin}.",
    "prompting": "The whole interval lies below the margin of {margin} in favour of the prompt.",
    "equivalent": "The whole interval lies within the margin of {margin} either way.",
}
LEANS = {
    "better": "Fine-tuning is probably better, but not surely by more than the margin of {margin}.",
    "worse": "Fine-tuning is probably worse, but not surely by more than the margin of {margin}.",
    "none": "The interval leaves open which of the two is better.",
}


class Verdict(Config):
    """No options."""


@component
def render(config: Verdict, comparison: Comparison) -> Section:
    """Headline, one sentence of numbers, the interval as a picture, guards."""
    found = comparison.verdict
    headline = HEADLINES[found["verdict"]].format(ship=found["ship"])
    sentences = [_numbers(comparison), *_meaning(comparison), *_floor_note(comparison)]
    chip = f'<p class="chip {found["verdict"]}">{escape(CHIPS[found["verdict"]])}</p>'
    html = "".join(
        (
            f'{chip}<p class="headline">{escape(headline)}</p>',
            *(f'<p class="lead">{escape(sentence)}</p>' for sentence in sentences),
            _tiles(comparison),
            _picture(comparison),
            _guards_html(found["guards"]),
        )
    )
    lines = [
        f"**{plain(headline)}**",
        *(plain(sentence) for sentence in sentences),
        _guards(found["guards"]).markdown,
    ]
    return Section("Verdict", html, "\n\n".join(lines))


def _numbers(comparison: Comparison) -> str:
    """The deciding pair, its difference and its interval, as one sentence."""
    found, metric = comparison.verdict, primary(comparison)
    contrast, share = found["contrast"], is_share(comparison, metric)
    if contrast["difference"] is None:
        return "The arms have no test rows in common."
    value_a, value_b = (
        score(measured(comparison, contrast[side], metric)["value"], share=share) for side in ("a", "b")
    )
    unit = " points" if share else ""
    where = f"On the same {count(found['num_rows'])} test rows"
    if found["num_groups"] < found["num_rows"]:
        where += f" (in {count(found['num_groups'])} groups)"
    sure = "the rows do not vary enough for an interval"
    if contrast["interval"] is not None:
        ends = interval(contrast["interval"], share=share, signed=True)
        level = f"{100 * found['primary']['level']:.4g} %"
        sure = f"with {level} confidence the true difference lies in {ends}{unit}"
    return (
        f"{where} {contrast['a']} scores {value_a} in {metric} and the best prompt, {contrast['b']}, {value_b}: "
        f"a difference of {difference(contrast['difference'], share=share)}{unit}; {sure}."
    )


def _meaning(comparison: Comparison) -> list[str]:
    found, share = comparison.verdict, is_share(comparison, primary(comparison))
    margin = (
        f"{100 * found['primary']['margin']:.4g} points" if share else f"{found['primary']['margin']:.4g}"
    )
    if found["verdict"] == "invalid":
        failed = [guard for guard in found["guards"] if not guard["passed"]]
        return [
            f"{_words(guard['name'])} failed" + (f": {guard['detail']}." if guard["detail"] else ".")
            for guard in failed
        ]
    if found["verdict"] != "inconclusive":
        return [MEANINGS[found["verdict"]].format(margin=margin)]
    sentences = [LEANS[found["lean"]].format(margin=margin)]
    if found["rows_needed"] is not None:
        sentences.append(
            f"About {count(found['rows_needed'])} test rows would settle a difference of this size."
        )
    elif found["minimum_detectable_difference"] is not None:
        least = difference(found["minimum_detectable_difference"], share=share)
        sentences.append(
            f"This many rows prove a true difference of {least}{' points' if share else ''} or more."
        )
    return [" ".join(sentences)]


def _floor_note(comparison: Comparison) -> list[str]:
    """Say so where a linear model is as good as what would be shipped."""
    found, metric = comparison.verdict, primary(comparison)
    linear = found["floors"].get("tfidf_logreg", {}).get(metric)
    shipped = measured(comparison, found["ship"], metric)["value"] if found["ship"] else None
    if linear is None or shipped is None or linear < shipped:
        return []
    return [
        f"A linear model on word counts reaches {score(linear, share=is_share(comparison, metric))}, as much as "
        f"{found['ship']}: it may be all this task needs."
    ]


def _tiles(comparison: Comparison) -> str:
    found, metric = comparison.verdict, primary(comparison)
    contrast, share = found["contrast"], is_share(comparison, metric)
    tiles = []
    for side, kind, title in (("b", "prompting", "Prompting"), ("a", "tuned", "Fine-tuned")):
        entry = measured(comparison, contrast[side], metric)
        tiles.append(
            _tile(
                kind,
                f"{title} · {contrast[side]}",
                score(entry["value"], share=share),
                interval(entry["interval"], share=share),
            )
        )
    unit = " points" if share else ""
    ends = interval(contrast["interval"], share=share, signed=True)
    tiles.append(_tile("ink", "Difference", difference(contrast["difference"], share=share) + unit, ends))
    tiles.append(_tile("ink", "Test rows", count(found["num_rows"]), _win_loss(comparison)))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(kind: str, title: str, value: str, note: str) -> str:
    return (
        f'<div class="tile {kind}"><p class="of">{escape(title)}</p><p class="value">{escape(value)}</p>'
        f'<p class="note">{escape(note)}</p></div>'
    )


def _win_loss(comparison: Comparison) -> str:
    chosen = comparison.chosen
    pairs = list(
        zip(*(row_scores(comparison, chosen[side]) for side in ("fine_tuned", "prompting")), strict=True)
    )
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    return f"{count(wins)} better, {count(losses)} worse, {count(len(pairs) - wins - losses)} alike"


def _picture(comparison: Comparison) -> str:
    """The interval of the difference against zero and the margin."""
    contrast, margin = comparison.verdict["contrast"], comparison.verdict["primary"]["margin"]
    if contrast["interval"] is None:
        return ""
    share = is_share(comparison, primary(comparison))
    factor = 100 if share else 1
    low, high, middle, edge = (
        factor * value for value in (*contrast["interval"], contrast["difference"], margin)
    )
    reach = 1.25 * max(abs(low), abs(high), 1.5 * edge)

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axvspan(-edge, edge, color=BAND, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.plot([low, high], [0, 0], color=INK, linewidth=4, solid_capstyle="round")
        axes.plot([middle], [0], "o", color=INK, markersize=10)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-1, 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.annotate("prompting better", (0.0, 0.86), xycoords="axes fraction", color=PROMPTING)
        axes.annotate("fine-tuning better", (1.0, 0.86), xycoords="axes fraction", color=TUNED, ha="right")
        axes.set_xlabel(
            "difference in points (band: the margin)" if share else "difference (band: the margin)"
        )

    ends = interval(contrast["interval"], share=share, signed=True)
    label = f"Interval of the difference, fine-tuned minus prompting: {ends}; margin {edge:.4g} either way."
    return f'<figure class="scroll">{picture("contrast", draw, width=8.6, height=1.5, label=label)}</figure>'


def _guards(guards: list[dict[str, Any]]) -> Table:
    rows = [
        (_words(guard["name"]), "passed" if guard["passed"] else "FAILED", guard["detail"] or NOTHING)
        for guard in guards
    ]
    return Table(
        "Guards: what must hold for the numbers to mean anything", ("guard", "result", "detail"), rows, 3
    )


def _guards_html(guards: list[dict[str, Any]]) -> str:
    passed = sum(guard["passed"] for guard in guards)
    summary = f"{passed} of {len(guards)} guards passed"
    table = _guards(guards).html
    if passed == len(guards):
        return folded(summary, table)
    return f'<div class="alarm"><p>{escape(summary)}</p>{table}</div>'


def _words(name: str) -> str:
    return name.replace("_", " ")
