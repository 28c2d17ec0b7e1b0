"""Label by label: how often prompt and tuned model find it, and what they take it for. Classify only."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup
from pydantic import Field

from ftkit.contracts import Section
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Grid, count, difference, folded, percent


class ConfusionOptions(Config):
    """How many confusions are listed, and from how many labels on the table of labels is folded."""

    max_confusions: int = Field(10, ge=1)
    max_open_labels: int = Field(20, ge=1)


@component
def render(config: ConfusionOptions, comparison: Comparison) -> Section:
    """Accuracy per label and most frequent confusions of the deciding pair; empty for other tasks."""
    if comparison.recipe.task.name != "classify" or not comparison.tests:
        return Section("Labels", Markup(), "")
    labels, confusions = _per_label(comparison), _confusions(config, comparison)
    many = len(labels.rows) > config.max_open_labels
    html = folded(labels.caption, labels.html) if many else labels.html
    return Section("Labels", Markup(html + confusions.html), f"{labels.markdown}\n\n{confusions.markdown}")


def _per_label(comparison: Comparison) -> Grid:
    """Labels with the largest change first."""
    prompting, tuned = comparison.chosen["prompting"], comparison.chosen["fine_tuned"]
    totals = Counter(row.reference for row in comparison.predictions[prompting])
    right = {
        arm: Counter(row.reference for row in comparison.predictions[arm] if row.parsed == row.reference)
        for arm in (prompting, tuned)
    }
    changes = {label: (right[tuned][label] - right[prompting][label]) / totals[label] for label in totals}
    rows: list[list[Cell]] = [
        [
            label,
            count(totals[label]),
            percent(right[prompting][label] / totals[label]),
            percent(right[tuned][label] / totals[label]),
            difference(changes[label], share=True),
        ]
        for label in sorted(totals, key=lambda label: (-abs(changes[label]), label))
    ]
    return Grid("Share of each label's test rows answered right", ("label", "rows", prompting, tuned, "change"), rows)


def _confusions(config: ConfusionOptions, comparison: Comparison) -> Grid:
    rows: list[list[Cell]] = []
    for arm in (comparison.chosen["prompting"], comparison.chosen["fine_tuned"]):
        wrong = Counter(
            (row.reference, row.parsed) for row in comparison.predictions[arm] if row.parsed != row.reference
        )
        for (reference, answer), number in wrong.most_common(config.max_confusions):
            rows.append([arm, reference, "(could not be read)" if answer is None else answer, count(number)])
    return Grid("Most frequent confusions", ("arm", "target", "answered", "rows"), rows, 3)
