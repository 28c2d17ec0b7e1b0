"""What can be known of a recipe before it costs anything: rows, prompts, loss masks, what does not fit.

Prepares the rows in a temporary folder and tokenises them; loads no weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ftkit.answers.answering import Asker
from ftkit.answers.prompt import Prompt
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.load import context_length, load_renderer
from ftkit.engine.render import Renderer
from ftkit.recipe.schema import Recipe
from ftkit.records import Example
from ftkit.run.artifacts import Prepared
from ftkit.run.fitting import require_room
from ftkit.run.models import model_spec, require, task_spec
from ftkit.run.stages import baseline, prepare
from ftkit.verdict.stats import equivalence_reachable

NUM_SHOWN = 3
DISAGREEMENTS = (0.02, 0.05, 0.10, 0.20)


@dataclass(frozen=True)
class Shown:
    """A train row as the model sees it: what it reads, and behind it what it learns."""

    id: str
    context: str
    target: str
    num_tokens: int


@dataclass(frozen=True)
class Fit:
    """How many rows of valid and train need more tokens than the context has, under one prompt."""

    label: str
    instruction: str
    longest: int
    num_valid_over: int
    num_train_over: int


@dataclass(frozen=True)
class Findings:
    """What `ftkit check` found. `equivalence` says, by share of rows on which arms differ, whether it can be proven."""

    rows: dict[str, int]
    num_labels: int
    template: str
    context_length: int
    shown: list[Shown]
    prompts: list[Fit]
    equivalence: dict[str, bool]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_recipe(recipe: Recipe, ctx: Context) -> Findings:
    """Prepare, render and count. Raises the same errors a run would raise up to its first prompt."""
    ctx = replace(ctx, machine=recipe.machine)
    require(recipe, ctx)
    spec = model_spec(recipe)
    renderer = load_renderer(spec, ctx)
    limit = context_length(spec, ctx)
    with tempfile.TemporaryDirectory(prefix="ftkit-check-") as folder:
        config = prepare.PrepareConfig(task=recipe.task, data=recipe.data, seed=recipe.seed)
        prepared = prepare.run(config, Path(folder), ctx)
        summary = prepared.summary
        task = task_spec(recipe.task, summary.labels)
        require_room(recipe, prepared, task, ctx)
        train, valid = prepared.split("train"), prepared.split("valid")
        prompts = _prompts(recipe, prepared, task)
    fits = [_fit(renderer, limit, prompt, task, train, valid) for prompt in prompts]
    num_tests = summary.rows["test"]
    margin, level = recipe.compare.margin, recipe.compare.level
    return Findings(
        rows=dict(summary.rows),
        num_labels=len(task.labels),
        template=renderer.template_note or "the model's own chat template",
        context_length=limit,
        shown=[_shown(renderer, prompts[0], row) for row in train[:NUM_SHOWN]],
        prompts=fits,
        equivalence={
            f"{share:.0%}": equivalence_reachable(num_tests, margin=margin, disagreement=share, level=level)
            for share in DISAGREEMENTS
        },
        notes=_notes(fits, num_tests=num_tests, margin=margin, level=level),
    )


def _prompts(recipe: Recipe, prepared: Prepared, task: TaskSpec) -> list[Prompt]:
    config = baseline.BaselineConfig(task=recipe.task, search=recipe.baseline, primary=recipe.primary, seed=recipe.seed)
    return [candidate.prompt for candidate in baseline.candidates(config, task, prepared.split("train"))]


def _fit(
    renderer: Renderer,
    limit: int,
    prompt: Prompt,
    task: TaskSpec,
    train: Sequence[Example],
    valid: Sequence[Example],
) -> Fit:
    asker = Asker(renderer, prompt, task, limit)
    needed = [asker.needed(asker.ask(row, row.input)) for row in valid]
    trained = [] if prompt.demonstrations else [asker.needed(asker.ask(row, row.input)) for row in train]
    return Fit(
        label=prompt.label,
        instruction=prompt.instruction,
        longest=max([*needed, *trained]),
        num_valid_over=sum(count > limit for count in needed),
        num_train_over=sum(count > limit for count in trained),
    )


def _shown(renderer: Renderer, prompt: Prompt, row: Example) -> Shown:
    rendered = renderer.render(prompt.messages(row.input, row.history), row.target)
    context, target = (renderer.tokenizer.decode(ids) for ids in (rendered.context_ids, rendered.target_ids))
    return Shown(row.id, context, target, len(rendered.context_ids) + len(rendered.target_ids))


def _notes(fits: Sequence[Fit], *, num_tests: int, margin: float, level: float) -> list[str]:
    notes = []
    for fit in fits:
        if fit.num_valid_over:
            notes.append(f"{fit.label}, {fit.instruction[:60]!r}: does not fit, needs up to {fit.longest:,} tokens")
    reachable = [share for share in DISAGREEMENTS if _reaches(num_tests, share, margin, level)]
    if reachable:
        notes.append(f"equivalent can be reached where the arms differ on at most {max(reachable):.0%} of the rows")
    else:
        notes.append(
            f"equivalent cannot be reached: {num_tests} test rows are too few for a margin of {margin:g}, "
            f"even where the arms differ on {min(DISAGREEMENTS):.0%} of the rows only"
        )
    return notes


def _reaches(num_tests: int, share: float, margin: float, level: float) -> bool:
    return equivalence_reachable(num_tests, margin=margin, disagreement=share, level=level)
