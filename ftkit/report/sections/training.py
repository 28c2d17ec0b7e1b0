"""How training went: the loss of every step, the evaluations on valid, and the step that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ftkit.contracts import Section
from ftkit.registry import Config, component
from ftkit.report.comparison import Comparison
from ftkit.report.markup import Cell, Rich, count, escape, facts, facts_markdown, percent, plain, score
from ftkit.report.pictures import INK, MUTED, PROMPTING, TUNED, picture
from ftkit.report.readings import is_share, primary
from ftkit.training.record import TrainingRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class TrainingOptions(Config):
    """No options."""


@component
def render(config: TrainingOptions, comparison: Comparison) -> Section:
    """One picture and one list of facts per variant."""
    html, markdown = [], []
    for index, (label, training) in enumerate(comparison.trainings.items()):
        entries = _entries(comparison, training)
        html.append(f"<h3>{escape(label)}</h3>{_picture(comparison, label, index=index)}{facts(entries)}")
        markdown.append(f"### {plain(label)}\n\n{facts_markdown(entries)}")
    return Section("Training", Markup("".join(html)), "\n\n".join(markdown))


def _entries(comparison: Comparison, training: TrainingRecord) -> dict[str, Cell | Rich]:
    share = is_share(comparison, primary(comparison))
    trainable, total = training.num_trainable_parameters, training.num_parameters
    ended = "before the last epoch, for lack of improvement" if training.stopped_early else "as planned"
    return {
        "kept": f"step {count(training.best_step)} of {count(training.num_steps)}",
        f"{primary(comparison)} on valid": score(training.valid_value, share=share),
        "trained weights": f"{count(trainable)} of {count(total)} ({percent(trainable / total)})",
        "rows": count(training.num_rows),
        "inputs shortened to fit": count(training.num_cut),
        "rows left out, too long": count(training.num_dropped),
        "target tokens": count(training.num_target_tokens),
        "learning rate": f"{training.learning_rate:g}",
        "ended": ended,
    }


def _picture(comparison: Comparison, label: str, *, index: int) -> str:
    steps = comparison.steps[label]
    losses = [(row["step"], row["loss"]) for row in steps if "loss" in row]
    valid = [row for row in steps if "valid_value" in row]
    best = comparison.trainings[label].best_step
    share = is_share(comparison, primary(comparison))

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        _draw_losses(upper, losses, valid)
        factor = 100 if share else 1
        places = [row["step"] for row in valid]
        values = [factor * row["valid_value"] for row in valid]
        lower.plot(places, values, "-o", color=TUNED, markersize=5)
        lower.set_title(f"{primary(comparison)} on valid" + (", %" if share else ""), fontsize=9.5, loc="left")
        for axes in (upper, lower):
            axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.grid(axis="y", linewidth=0.8)
            axes.tick_params(axis="y", length=0)
        lower.set_xlabel("optimizer step")
        place = (best, 0.03)
        lower.annotate(" kept", place, xycoords=("data", "axes fraction"), color=MUTED)

    words = (
        f"training loss from {losses[0][1]:.3g} to {losses[-1][1]:.3g} over {len(losses)} steps"
        if losses
        else "no steps"
    )
    caption = f"{label}: {words}; step {best} was kept."
    return picture(f"training{index}", draw, height=4.4, label=caption, left=0.5, top=0.25)


def _draw_losses(axes: Axes, losses: Sequence[tuple[int, float]], valid: Sequence[dict[str, Any]]) -> None:
    places, values = [place for place, _ in losses], [value for _, value in losses]
    axes.plot(places, values, color=PROMPTING, linewidth=0.8, alpha=0.45)
    axes.plot(places, _smoothed(values), color=PROMPTING, label="train")
    measured = [row for row in valid if row.get("valid_loss") is not None]
    if measured:
        points = [row["valid_loss"] for row in measured]
        axes.plot([row["step"] for row in measured], points, "o", color=INK, markersize=5, label="valid")
    axes.set_title("loss per target token", fontsize=9.5, loc="left")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper right")


def _smoothed(values: Sequence[float]) -> list[float]:
    """Mean over a window around each step, a twentieth of all steps wide."""
    reach = len(values) // 40
    windows = (values[max(0, index - reach) : index + reach + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]
