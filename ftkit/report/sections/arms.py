"""Every arm on the same test rows: intervals and floors as a picture, all metrics, answers wrong in form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ftkit.answers.prompt import Arm
from ftkit.contracts import Section
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, count, difference, escape, interval, p_value, plain, score
from ftkit.report.pictures import INK, MUTED, PROMPTING, TUNED, picture
from ftkit.report.readings import is_share, metric_of, primary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOORS = {"majority": "commonest answer", "empty": "empty answer", "copy": "copy of the input"}
COLOURS = {"prompting": PROMPTING, "fine_tuned": TUNED}
FLAGS = ("unparsed", "empty", "truncated", "input_cut")


class ArmsOptions(Config):
    """No options."""


@component
def render(config: ArmsOptions, comparison: Comparison) -> Section:
    """Picture of the primary metric, then tables: metrics, secondary contrasts, flags."""
    note = (
        "An arm is a model with a prompt. The deciding pair was chosen on valid before test was opened; its "
        "dots are filled. An answer that cannot be read counts as wrong in every arm."
    )
    tables = [_metrics(comparison), *_secondary(comparison), _flags(comparison)]
    html = f"<p>{escape(note)}</p>{_picture(comparison)}{''.join(table.html for table in tables)}"
    markdown = "\n\n".join([plain(note), *(table.markdown for table in tables)])
    return Section("The arms", Markup(html), markdown)


def _picture(comparison: Comparison) -> str:
    metric = primary(comparison)
    share = is_share(comparison, metric)
    factor = 100 if share else 1
    shown = [arm for arm in comparison.arms if metric_of(comparison, arm.name, metric).value is not None]
    floors = _floors(comparison, metric)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, arm in enumerate(shown):
            _draw_arm(axes, row, arm, comparison=comparison, factor=factor)
        for index, (name, value) in enumerate(floors.items()):
            axes.axvline(factor * value, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
            place = (factor * value, -1.0 - 0.5 * index)
            axes.annotate(name, place, textcoords="offset points", color=MUTED, **_beside(value, share=share))
        axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.6, -0.75 - 0.5 * len(floors))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", linewidth=0.8)
        axes.set_xlabel(f"{metric}, %" if share else metric)
        if share:
            axes.set_xlim(0, 100)

    label = f"{metric} of every arm with its interval. " + "; ".join(
        f"{arm.name} {_value(comparison, arm.name, metric)}" for arm in shown
    )
    height = 0.75 + 0.46 * len(shown) + 0.24 * len(floors)
    return picture("arms", draw, height=height, label=label)


def _draw_arm(axes: Axes, row: int, arm: Arm, *, comparison: Comparison, factor: float) -> None:
    metric = metric_of(comparison, arm.name, primary(comparison))
    assert metric.value is not None, "only arms with a value are drawn"
    colour = COLOURS.get(arm.side, MUTED)
    if metric.interval is not None:
        ends = [factor * end for end in metric.interval]
        axes.plot(ends, [row, row], color=colour, linewidth=3, solid_capstyle="round")
    filled = arm.name in comparison.chosen.values()
    inside = colour if filled else "none"
    at = [factor * metric.value]
    axes.plot(at, [row], "o", markersize=9, markerfacecolor=inside, markeredgecolor=colour, markeredgewidth=2)
    text = score(metric.value, share=factor == 100)
    for words, place, side in ((arm.name, 0.0, "left"), (text, 1.0, "right")):
        corner = (place, row - 0.38)
        axes.annotate(words, corner, xycoords=("axes fraction", "data"), color=INK, ha=side, va="center")


def _beside(value: float, *, share: bool) -> dict[str, Any]:
    """Write to the right of a line, or to its left where it stands far to the right."""
    right = share and value > 0.6
    return {"xytext": (-5, 0) if right else (5, 0), "ha": "right" if right else "left", "va": "center"}


def _floors(comparison: Comparison, metric: str) -> dict[str, float]:
    floors = comparison.verdict.floors.items()
    return {FLOORS.get(name, name): values[metric] for name, values in floors if metric in values}


def _metrics(comparison: Comparison) -> Grid:
    names = list(comparison.metrics.arms[comparison.arms[0].name])
    rows: list[list[Cell]] = [
        [arm.name, arm.precision, *(_value(comparison, arm.name, name) for name in names)]
        for arm in comparison.arms
        if arm.name in comparison.verdict.arms
    ]
    for floor, values in comparison.verdict.floors.items():
        cells = [score(values.get(name), share=is_share(comparison, name)) for name in names]
        rows.append([FLOORS.get(floor, floor), "floor", *cells])
    level = f"{100 * comparison.metrics.level:.4g} %"
    return Grid(f"Metrics on test, with {level} intervals", ("arm", "precision", *names), rows, 2)


def _value(comparison: Comparison, arm: str, metric: str) -> str:
    measured, share = metric_of(comparison, arm, metric), is_share(comparison, metric)
    value = score(measured.value, share=share)
    return value if measured.interval is None else f"{value} ({interval(measured.interval, share=share)})"


def _secondary(comparison: Comparison) -> list[Grid]:
    """Other metrics and arms against the prompting arm; their p is corrected for being many."""
    contrasts = comparison.metrics.secondary
    if not contrasts:
        return []
    rows: list[list[Cell]] = []
    for contrast in contrasts:
        share = is_share(comparison, contrast.metric)
        change = difference(contrast.difference, share=share)
        ends = interval(contrast.interval, share=share, signed=True)
        rows.append([contrast.metric, contrast.a, contrast.b, change, ends, p_value(contrast.p_value_holm)])
    caption = "Secondary contrasts, which decide nothing (differences in points; p after Holm)"
    return [Grid(caption, ("metric", "arm", "against", "difference", "interval", "p"), rows, 3)]


def _flags(comparison: Comparison) -> Grid:
    rows: list[list[Cell]] = []
    for arm in comparison.arms:
        answers = comparison.predictions[arm.name]
        rows.append(
            [
                arm.name,
                *(count(sum(flag in row.flags for row in answers)) for flag in FLAGS),
                count(len(answers)),
            ]
        )
    head = ("arm", "could not be read", "empty", "cut at the limit", "input shortened", "rows")
    return Grid("Answers that went wrong in form", head, rows)
