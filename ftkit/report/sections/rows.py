"""Where the rows went: each cleaning step with what it dropped, the splits, and the labels in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ftkit.contracts import Section
from ftkit.prepare.summary import FunnelLine, Summary
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, count, escape, folded, plain

SPLITS = ("train", "valid", "test")


class RowsOptions(Config):
    """No options."""


@component
def render(config: RowsOptions, comparison: Comparison) -> Section:
    """The funnel as bars, then tables of steps, splits and labels."""
    funnel, summary = comparison.summary.funnel, comparison.summary
    sentence = _sentence(comparison)
    tables = [_steps(funnel), _splits(summary)]
    labels = _labels(summary)
    html = f"<p>{escape(sentence)}</p>{_bars(funnel, summary.rows)}"
    html += (
        folded(tables[0].caption, tables[0].html)
        + tables[1].html
        + "".join(folded(table.caption, table.html) for table in labels)
    )
    markdown = "\n\n".join([plain(sentence), *(table.markdown for table in [*tables, *labels])])
    return Section("The rows", Markup(html), markdown)


def _sentence(comparison: Comparison) -> str:
    funnel, kept = comparison.summary.funnel, sum(comparison.summary.rows.values())
    if not funnel:
        return f"{count(kept)} rows went in and none were cleaned."
    came, dropped = funnel[0].rows_in, sum(line.dropped for line in funnel)
    return (
        f"{count(came)} rows came in, {count(dropped)} were dropped, and {count(kept)} are in the splits. "
        "Every dropped or changed row stands in ledger.jsonl with its reason."
    )


def _bars(funnel: Sequence[FunnelLine], rows: Mapping[str, int]) -> str:
    """One bar per step, as wide as the rows that leave it; what the step dropped is shaded."""
    total = max([line.rows_in for line in funnel] + [sum(rows.values()), 1])
    bars = "".join(_bar(line, total=total) for line in funnel)
    shares = "".join(
        f'<span class="{name}" style="width:{100 * rows.get(name, 0) / total:.2f}%"></span>' for name in SPLITS
    )
    legend = ", ".join(f"{name} {count(rows.get(name, 0))}" for name in SPLITS)
    bar, note = f'<p class="bar">{shares}</p>', f'<p class="note">{escape(legend)}</p>'
    last = f'<div class="step"><p>splits</p>{bar}{note}</div>'
    return f'<div class="funnel" role="img" aria-label="Rows after each cleaning step">{bars}{last}</div>'


def _bar(line: FunnelLine, *, total: int) -> str:
    left = line.rows_in - line.dropped
    met = {"dropped": line.dropped, "changed": line.changed, "flagged": line.flagged}
    notes = [f"{count(left)} left", *(f"{count(number)} {kind}" for kind, number in met.items() if number)]
    return (
        f'<div class="step"><p>{escape(line.step)}</p><p class="bar">'
        f'<span class="kept" style="width:{100 * left / total:.2f}%"></span>'
        f'<span class="dropped" style="width:{100 * line.dropped / total:.2f}%"></span></p>'
        f'<p class="note">{escape(", ".join(notes))}</p></div>'
    )


def _steps(funnel: Sequence[FunnelLine]) -> Grid:
    rows: list[list[Cell]] = [
        [line.step, *map(count, (line.rows_in, line.dropped, line.changed, line.flagged))] for line in funnel
    ]
    return Grid("Cleaning steps", ("step", "rows in", "dropped", "changed", "flagged"), rows)


def _splits(summary: Summary) -> Grid:
    rows: list[list[Cell]] = [
        [name, count(summary.rows[name]), count(summary.groups.get(name))] for name in SPLITS if name in summary.rows
    ]
    return Grid("Splits", ("split", "rows", "groups"), rows)


def _labels(summary: Summary) -> list[Grid]:
    counts = summary.label_counts
    if not summary.labels:
        return []
    rows: list[list[Cell]] = [
        [label, *(count(counts.get(name, {}).get(label, 0)) for name in SPLITS)] for label in summary.labels
    ]
    return [Grid(f"Rows per label ({len(rows)} labels)", ("label", *SPLITS), rows)]
