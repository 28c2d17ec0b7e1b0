"""The verdict in plain words: what to ship, by how much, how sure that is, and the guards behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from ftkit.contracts import Section
from ftkit.records import Guard
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import (
    NOTHING,
    Grid,
    count,
    difference,
    escape,
    folded,
    interval,
    plain,
    score,
)
from ftkit.report.pictures import BAND, INK, MUTED, PROMPTING, TUNED, picture
from ftkit.report.readings import is_share, metric_of, primary, row_scores
from ftkit.report.wording import SIMPLE, guard_name, headline, sentences

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHIPS = {
    "fine_tuned": "fine-tune",
    "prompting": "prompt",
    "equivalent": "equivalent",
    "inconclusive": "undecided",
    "invalid": "invalid",
}
SIMPLER = "something simpler"
STATUSES = {"passed": "passed", "failed": "FAILED", "not_applicable": "not applicable"}


class VerdictOptions(Config):
    """No options."""


@component
def render(config: VerdictOptions, comparison: Comparison) -> Section:
    """Headline, one sentence of numbers, the interval as a picture, guards."""
    verdict = comparison.verdict
    title = headline(verdict)
    leads = sentences(verdict)
    kind, word = ("simple", SIMPLER) if verdict.ship in SIMPLE else (verdict.verdict, CHIPS[verdict.verdict])
    chip = f'<p class="chip {kind}">{escape(word)}</p>'
    html = "".join(
        (
            f'{chip}<p class="headline">{escape(title)}</p>',
            *(f'<p class="lead">{escape(sentence)}</p>' for sentence in leads),
            _tiles(comparison),
            _picture(comparison),
            _guards_html(verdict.guards),
        )
    )
    lines = [
        f"**{plain(title)}**",
        *(plain(sentence) for sentence in leads),
        _guards(verdict.guards).markdown,
    ]
    return Section("Verdict", Markup(html), "\n\n".join(lines))


def _tiles(comparison: Comparison) -> str:
    metric, contrast = primary(comparison), comparison.verdict.contrast
    share = is_share(comparison, metric)
    tiles = []
    for arm, kind, title in ((contrast.b, "prompting", "Prompting"), (contrast.a, "tuned", "Fine-tuned")):
        value = metric_of(comparison, arm, metric)
        ends = interval(value.interval, share=share)
        tiles.append(_tile(kind, f"{title} · {arm}", score(value.value, share=share), ends))
    unit = " points" if share else ""
    margin = comparison.verdict.primary.margin
    ends = interval(contrast.interval, share=share, signed=True, margin=margin)
    gap = difference(contrast.difference, share=share, margin=margin) + unit
    tiles.append(_tile("ink", "Difference", gap, ends))
    tiles.append(_tile("ink", "Test rows", count(comparison.verdict.num_rows), _win_loss(comparison)))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(kind: str, title: str, value: str, note: str) -> str:
    return (
        f'<div class="tile {kind}"><p class="of">{escape(title)}</p><p class="value">{escape(value)}</p>'
        f'<p class="note">{escape(note)}</p></div>'
    )


def _win_loss(comparison: Comparison) -> str:
    tuned, prompting = (row_scores(comparison, comparison.chosen[side]) for side in ("fine_tuned", "prompting"))
    pairs = list(zip(tuned, prompting, strict=True))
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    return f"{count(wins)} better, {count(losses)} worse, {count(len(pairs) - wins - losses)} alike"


def _picture(comparison: Comparison) -> str:
    """The interval of the difference against zero and the margin."""
    contrast, margin = comparison.verdict.contrast, comparison.verdict.primary.margin
    if contrast.interval is None or contrast.difference is None:
        return ""
    share = is_share(comparison, primary(comparison))
    factor = 100 if share else 1
    low, high, middle, edge = (factor * value for value in (*contrast.interval, contrast.difference, margin))
    reach = 1.25 * max(abs(low), abs(high), 1.5 * edge)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axvspan(-edge, edge, color=BAND, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.plot([low, high], [0, 0], color=INK, linewidth=3.5, solid_capstyle="round")
        axes.plot([middle], [0], "o", color=INK, markersize=8)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-1, 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.annotate("prompting better", (0.0, 0.8), xycoords="axes fraction", color=PROMPTING)
        axes.annotate("fine-tuning better", (1.0, 0.8), xycoords="axes fraction", color=TUNED, ha="right")
        axes.set_xlabel("difference in points (band: the margin)" if share else "difference (band: the margin)")

    ends = interval(contrast.interval, share=share, signed=True, margin=margin)
    label = f"Interval of the difference, fine-tuned minus prompting: {ends}; margin {edge:.4g} either way."
    return picture("contrast", draw, height=1.15, label=label)


def _guards(guards: Sequence[Guard]) -> Grid:
    rows = [(guard_name(guard.name), STATUSES[guard.status], guard.detail or NOTHING) for guard in guards]
    return Grid("Guards: what must hold for the numbers to mean anything", ("guard", "result", "detail"), rows, 3)


def _guards_html(guards: Sequence[Guard]) -> str:
    numbers_of = Counter(guard.status for guard in guards)
    summary = f"{numbers_of['passed']} of {len(guards)} guards passed"
    if numbers_of["not_applicable"]:
        summary += f", {numbers_of['not_applicable']} not applicable"
    table = _guards(guards).html
    if not numbers_of["failed"]:
        return folded(summary, table)
    return f'<div class="alarm"><p>{escape(summary)}</p>{table}</div>'
