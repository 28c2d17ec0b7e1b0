"""Pictures of the data report, made of bars that the page's own style draws: the funnel and the histograms.

Knows numbers and names only; no script, no drawing library, the same bytes each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftkit.prepare.summary import FunnelLine
from ftkit.report.markup import Html, count, escape

KINDS = ("dropped", "changed", "flagged", "added")


def funnel(lines: Sequence[FunnelLine], splits: Mapping[str, int]) -> Html:
    """One bar a step, as wide as the rows that leave it, what it dropped shaded; last the splits."""
    total = max([line.rows_in + line.added for line in lines] + [sum(splits.values()), 1])
    bars = "".join(_step(line, total) for line in lines)
    shares = "".join(_part(name, rows, total) for name, rows in splits.items())
    legend = ", ".join(f"{name} {count(rows)}" for name, rows in splits.items())
    last = f'<div class="step"><p>splits</p><p class="bar">{shares}</p><p class="note">{escape(legend)}</p></div>'
    return Html(f'<div class="funnel" role="img" aria-label="Rows after each step">{bars}{last}</div>')


def _step(line: FunnelLine, total: int) -> str:
    left = line.rows_in - line.dropped + line.added
    notes = [f"{count(left)} left", *(f"{count(line.counts[kind])} {kind}" for kind in KINDS if line.counts[kind])]
    bar = _part("kept", left, total) + _part("dropped", line.dropped, total)
    return (
        f'<div class="step"><p dir="auto">{escape(line.step)}</p><p class="bar">{bar}</p>'
        f'<p class="note">{escape(", ".join(notes))}</p></div>'
    )


def _part(name: str, rows: int, total: int) -> str:
    return f'<span class="{name}" style="width:{100 * rows / total:.2f}%"></span>'


def histogram(counts: Sequence[int], *, begin: int, width: int, last_is_open: bool, label: str, unit: str) -> Html:
    """Bars as high as their counts; each says its bounds and its rows where a pointer rests on it."""
    most = max([*counts, 1])
    last = len(counts) - 1
    bars = []
    for place, rows in enumerate(counts):
        low = begin + place * width
        open_end = last_is_open and place == last
        bounds = f"{count(low)} or more" if open_end else _bounds(low, width)
        title = escape(f"{bounds} {unit}: {count(rows)} rows")
        kind = ' class="open"' if open_end else ""
        bars.append(f'<i{kind} style="height:{100 * rows / most:.1f}%" title="{title}"></i>')
    end = f"{count(begin + last * width)} +" if last_is_open else count(begin + len(counts) * width - 1)
    axis = f'<p class="axis"><span>{count(begin)}</span><span>{escape(unit)}</span><span>{end}</span></p>'
    return Html(f'<div class="hist" role="img" aria-label="{escape(label)}">{"".join(bars)}</div>{axis}')


def _bounds(low: int, width: int) -> str:
    return count(low) if width == 1 else f"{count(low)} to {count(low + width - 1)}"


def small(counts: Sequence[tuple[str, int]]) -> Html:
    """A row of little bars, one for each named count."""
    most = max([rows for _, rows in counts] + [1])
    bars = "".join(
        f'<i style="height:{100 * rows / most:.1f}%" title="{escape(f"{name}: {count(rows)}")}"></i>'
        for name, rows in counts
    )
    label = "; ".join(f"{name}: {count(rows)}" for name, rows in counts)
    return Html(f'<div class="hist little" role="img" aria-label="{escape(label)}">{bars}</div>')
