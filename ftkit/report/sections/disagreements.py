"""Rows where fine-tuning and the prompt disagree: input, target and both answers, to be read one by one."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from pydantic import Field

from ftkit.contracts import Section
from ftkit.records import Prediction
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, Html, Rich, count, escape, folded, plain
from ftkit.report.readings import row_scores


class DisagreementsOptions(Config):
    """How many rows of each kind are shown, and how much of a long text."""

    max_rows: int = Field(50, ge=1)
    max_characters: int = Field(600, ge=20)


@component
def render(config: DisagreementsOptions, comparison: Comparison) -> Section:
    """Wins and losses of the fine-tuned arm of the deciding pair, in the order of the test rows."""
    tuned, prompting = comparison.chosen["fine_tuned"], comparison.chosen["prompting"]
    pairs = list(zip(row_scores(comparison, tuned), row_scores(comparison, prompting), strict=True))
    wins = [index for index, (a, b) in enumerate(pairs) if a > b]
    losses = [index for index, (a, b) in enumerate(pairs) if a < b]
    alike = len(pairs) - len(wins) - len(losses)
    note = (
        f"{tuned} does better than {prompting} on {count(len(wins))} rows and worse on {count(len(losses))}; "
        f"on {count(alike)} the two score alike."
    )
    kinds = [("Fine-tuning does better", wins), ("Fine-tuning does worse", losses)]
    html, markdown = f"<p>{escape(note)}</p>", [plain(note)]
    for title, rows in kinds:
        if rows:
            table = _table(config, comparison, rows, title=title)
            html += folded(table.caption, table.html)
            markdown.append(table.markdown)
    return Section("Wins and losses, row by row", Markup(html), "\n\n".join(markdown))


def _table(config: DisagreementsOptions, comparison: Comparison, rows: Sequence[int], *, title: str) -> Grid:
    tuned, prompting = comparison.chosen["fine_tuned"], comparison.chosen["prompting"]
    shown = rows[: config.max_rows]
    cells: list[list[Cell]] = [
        [
            comparison.tests[index].id,
            _cut(comparison.tests[index].input, config.max_characters),
            _cut(comparison.tests[index].target, config.max_characters),
            _answer(comparison.predictions[tuned][index], config.max_characters),
            _answer(comparison.predictions[prompting][index], config.max_characters),
        ]
        for index in shown
    ]
    how_many = count(len(rows)) + (f" rows, the first {len(shown)}" if len(shown) < len(rows) else " rows")
    return Grid(f"{title}: {how_many}", ("id", "input", "target", tuned, prompting), cells, 5)


def _answer(row: Prediction, max_characters: int) -> Cell:
    """What was written, and what was read out of it where that differs."""
    raw = _cut(row.raw, max_characters)
    if row.parsed == row.raw:
        return raw
    read = "could not be read" if row.parsed is None else f"read as {_cut(row.parsed, max_characters)}"
    return Rich(Html(f'{escape(raw)} <span class="note">({escape(read)})</span>'), f"{plain(raw)} ({plain(read)})")


def _cut(text: str, max_characters: int) -> str:
    return text if len(text) <= max_characters else text[:max_characters] + " …"
