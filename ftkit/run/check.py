"""What can be known of a recipe before it costs anything: rows, prompts, loss masks, what does not fit.

Prepares the rows in a temporary folder and tokenises them; loads no weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.answers.asking import Asker
from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.search import prompts_of
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Tokenizing
from ftkit.recipe.schema import Recipe
from ftkit.records import Example
from ftkit.run.fitting import reader_of, require_room
from ftkit.run.models import require, task_spec
from ftkit.run.stages import prepare
from ftkit.verdict.stats import equivalence_reachable

if TYPE_CHECKING:
    from rich.text import Text

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
    reader = reader_of(recipe, ctx)
    with tempfile.TemporaryDirectory(prefix="ftkit-check-") as folder:
        prepared = prepare.run(prepare.PrepareConfig.of(recipe), Path(folder), ctx)
        summary = prepared.summary
        task = task_spec(recipe.task, summary.labels)
        require_room(recipe, prepared, task, ctx)
        train, valid = prepared.split("train"), prepared.split("valid")
    prompts = prompts_of(recipe.baseline, task, train, seed=recipe.seed)
    skipped = [each for each in prompts if isinstance(each, Skipped)]
    prompters = [each for each in prompts if isinstance(each, Prompter)]
    fits = [_fit(reader, prompter, task, train, valid) for prompter in prompters]
    learned = next((each for each in prompters if not each.train_rows), prompters[0])
    num_tests = summary.rows["test"]
    margin, level = recipe.compare.margin, recipe.compare.level
    return Findings(
        rows=dict(summary.rows),
        num_labels=len(task.labels),
        template=reader.renderer.template_note or "the model's own chat template",
        context_length=reader.context_length,
        shown=[_shown(reader, learned, row) for row in train[:NUM_SHOWN]],
        prompts=fits,
        equivalence={
            f"{share:.0%}": equivalence_reachable(num_tests, margin=margin, disagreement=share, level=level)
            for share in DISAGREEMENTS
        },
        notes=_notes(fits, skipped, num_tests=num_tests, margin=margin, level=level),
    )


def _fit(
    reader: Tokenizing, prompter: Prompter, task: TaskSpec, train: Sequence[Example], valid: Sequence[Example]
) -> Fit:
    asker = Asker.of_task(reader, prompter, task)
    needed = [asker.needed(asker.ask(row)) for row in valid]
    trained = [] if prompter.train_rows else [asker.needed(asker.ask(row)) for row in train]
    return Fit(
        label=prompter.label,
        instruction=prompter.instruction,
        longest=max([*needed, *trained]),
        num_valid_over=sum(count > reader.context_length for count in needed),
        num_train_over=sum(count > reader.context_length for count in trained),
    )


def _shown(reader: Tokenizing, prompter: Prompter, row: Example) -> Shown:
    question = Asker.of_targets(reader, prompter).ask(row)
    (target_ids,) = question.choices_ids
    context, target = (reader.renderer.tokenizer.decode(ids) for ids in (question.context_ids, target_ids))
    return Shown(row.id, context, target, len(question.context_ids) + len(target_ids))


def _notes(
    fits: Sequence[Fit], skipped: Sequence[Skipped], *, num_tests: int, margin: float, level: float
) -> list[str]:
    notes = [f"{each.label}: skipped, {each.reason}" for each in skipped]
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


def rendered(findings: Findings) -> Iterator[Text]:
    """The findings for people: context dim, what is learned green, what needs attention yellow."""
    from rich.text import Text

    counts = ", ".join(f"{name} {count:,}" for name, count in findings.rows.items())
    yield Text(f"rows: {counts}" + (f"; {findings.num_labels} labels" if findings.num_labels else ""))
    yield Text(f"template: {findings.template}; context {findings.context_length:,} tokens")
    for row in findings.shown:
        yield Text(f"\n{row.id}: {row.num_tokens} tokens; what is learned is marked")
        yield Text(row.context, style="dim") + Text(row.target, style="bold green underline")
    yield Text("\nlongest row by prompt, answer included:")
    for fit in findings.prompts:
        over = f", {fit.num_valid_over} valid and {fit.num_train_over} train rows do not fit"
        line = f"  {fit.longest:6,} tokens  {fit.label}: {fit.instruction[:70]}"
        yield Text(line + (over if fit.num_valid_over or fit.num_train_over else ""))
    for note in findings.notes:
        yield Text(note, style="yellow")
