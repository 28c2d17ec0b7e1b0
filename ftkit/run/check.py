"""What can be known of a recipe before it costs anything: rows, prompts, loss masks, what does not fit.

Prepares the rows in a temporary folder and tokenises them; loads no weights.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.answers.asking import NOTHING, Asker
from ftkit.answers.prompt import Prompter, Skipped
from ftkit.answers.search import Candidate, prompts_of, require_one, sized
from ftkit.contracts import Context, TaskSpec, TooLong
from ftkit.engine.answerer import Tokenizing
from ftkit.recipe.schema import Recipe
from ftkit.recipe.train_block import Variant
from ftkit.records import Example
from ftkit.run.artifacts import Prepared
from ftkit.run.fitting import reader_of, require_room, wordings
from ftkit.run.models import require, task_spec
from ftkit.run.settling import settled
from ftkit.run.stages import prepare
from ftkit.verdict.power import can_be_overlooked, equivalence_reachable

if TYPE_CHECKING:
    from rich.text import Text

NUM_SHOWN = 3
DISAGREEMENTS = (0.02, 0.05, 0.10, 0.20)
PROMPTS_DIFFER = 0.3  # the share of rows on which one of two prompts alone is right: what small models do
TOO_LONG: Mapping[TooLong, str] = {"cut": "their inputs are cut", "drop": "they are dropped", "error": "an error"}


@dataclass(frozen=True)
class Shown:
    """A train row as a model sees it under a wording that `variants` may be trained under.

    It reads the context, and learns the target behind it.
    """

    variants: list[str]
    id: str
    context: str
    target: str
    num_tokens: int


@dataclass(frozen=True)
class Learned:
    """Train under a wording that a variant may be trained under: rows, their tokens with what is learned, the longest.

    `num_over` rows need more than the context has; `too_long` says what becomes of them.
    """

    variant: str
    label: str
    instruction: str
    num_rows: int
    num_tokens: int
    longest: int
    num_over: int
    too_long: TooLong


@dataclass(frozen=True)
class Fit:
    """A prompt that the search tries, on the valid rows it is judged on: tokens of the longest row with its answer.

    `shared` tokens stand around every row, `own` in a row and all that may be answered, in the mean.
    `status` and `detail` are what the run will say of it before it is scored.
    """

    label: str
    instruction: str
    longest: int
    shared: int
    own: float
    status: str
    detail: str


@dataclass(frozen=True)
class Findings:
    """What `ftkit check` found. `equivalence` says, by share of rows on which arms differ, whether it can be proven."""

    rows: dict[str, int]
    num_labels: int
    template: str
    context_length: int
    shown: list[Shown]
    learned: list[Learned]
    prompts: list[Fit]
    equivalence: dict[str, bool]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_recipe(recipe: Recipe, ctx: Context) -> Findings:
    """Prepare, render and count. Raises the same errors a run would raise up to its first prompt."""
    ctx = recipe.around(ctx)
    require(recipe, ctx)
    with tempfile.TemporaryDirectory(prefix="ftkit-check-") as folder:
        prepared = prepare.run(prepare.PrepareConfig.of(recipe), Path(folder), ctx)
        return findings_of(settled(recipe, prepared, ctx), prepared, ctx)


def findings_of(recipe: Recipe, prepared: Prepared, ctx: Context) -> Findings:
    """What is found of a settled recipe and its prepared rows."""
    reader, summary = reader_of(recipe, ctx), prepared.summary
    task = task_spec(recipe.task, summary.labels)
    require_room(recipe, prepared, task, ctx)
    train, valid = prepared.split("train"), prepared.split("valid")
    sizes = list(Counter(row.group for row in prepared.split("test")).values())
    prompts = prompts_of(recipe.baseline, task, train, seed=recipe.seed)
    judged = valid[: recipe.baseline.max_valid_rows]
    candidates = sized(prompts, recipe.baseline, task, reader, judged)
    require_one(candidates)
    used = {variant.label: wordings(recipe, variant, train, task) for variant in recipe.variants}
    margin, level = recipe.compare.margin, recipe.compare.level
    return Findings(
        rows=dict(summary.rows),
        num_labels=len(task.labels),
        template=reader.renderer.template_note or "the model's own chat template",
        context_length=reader.context_length,
        shown=_shown(reader, used, train[:NUM_SHOWN]),
        learned=_learned(reader, recipe.variants, used, train),
        prompts=_fits(reader, prompts, candidates, task, judged),
        equivalence={
            f"{share:.0%}": equivalence_reachable(sizes, margin=margin, disagreement=share, level=level)
            for share in DISAGREEMENTS
        },
        notes=[
            *(each.said for each in candidates if each.detail),
            *_never_learned(task, train),
            *_search_note(len(judged), sum(each.status == "scored" for each in candidates)),
            _equivalence_note(sizes, margin, level),
        ],
    )


def _shown(reader: Tokenizing, used: Mapping[str, Sequence[Prompter]], rows: Sequence[Example]) -> list[Shown]:
    """Rows as they are learned, under the first wording of each variant; once for variants that share it."""
    first = {label: prompters[0] for label, prompters in used.items()}
    shown = []
    for instruction in dict.fromkeys(each.instruction for each in first.values()):
        variants = [label for label, each in first.items() if each.instruction == instruction]
        asker = Asker.of_targets(reader, first[variants[0]])
        for row in rows:
            question = asker.ask(row)
            (target_ids,) = question.choices_ids
            context, target = (reader.renderer.tokenizer.decode(ids) for ids in (question.context_ids, target_ids))
            shown.append(Shown(variants, row.id, context, target, asker.needed(question)))
    return shown


def _learned(
    reader: Tokenizing,
    variants: Sequence[Variant],
    used: Mapping[str, Sequence[Prompter]],
    train: Sequence[Example],
) -> list[Learned]:
    """Train, counted under every wording of every variant; tokenised once for variants that share a wording."""
    sizes: dict[str, list[int]] = {}
    learned = []
    for variant in variants:
        for prompter in used[variant.label]:
            asker = Asker.of_targets(reader, prompter)
            if prompter.instruction not in sizes:
                sizes[prompter.instruction] = [asker.needed(asker.ask(row)) for row in train]
            counts = sizes[prompter.instruction][: variant.num_rows]
            learned.append(
                Learned(
                    variant=variant.label,
                    label=prompter.label,
                    instruction=prompter.instruction,
                    num_rows=len(counts),
                    num_tokens=sum(counts),
                    longest=max(counts),
                    num_over=sum(not asker.has_room(count) for count in counts),
                    too_long=variant.train.too_long,
                )
            )
    return learned


def _fits(
    reader: Tokenizing,
    prompts: Sequence[Prompter | Skipped],
    candidates: Sequence[Candidate],
    task: TaskSpec,
    judged: Sequence[Example],
) -> list[Fit]:
    fits = []
    for prompt, candidate in zip(prompts, candidates, strict=True):
        if isinstance(prompt, Prompter) and candidate.status != "over budget":
            asker = Asker.of_task(reader, prompt, task)
            asked, shared = [asker.ask(row) for row in judged], len(asker.ask(NOTHING).context_ids)
            answered = [sum(map(len, each.choices_ids)) or asker.num_new_tokens for each in asked]
            num_tokens = sum(len(each.context_ids) for each in asked) + sum(answered)
            fits.append(
                Fit(
                    label=prompt.label,
                    instruction=prompt.instruction,
                    longest=max(map(asker.needed, asked)),
                    shared=shared,
                    own=max(num_tokens / len(asked) - shared, 0.0),
                    status=candidate.status,
                    detail=candidate.detail,
                )
            )
    return fits


def _never_learned(task: TaskSpec, train: Sequence[Example]) -> list[str]:
    """Labels that no row of train has."""
    seen = {row.target for row in train}
    missing = [label for label in task.labels if label not in seen]
    if not missing:
        return []
    shown = ", ".join(map(repr, missing[:5])) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return [f"train has no row with the label {shown}: may be chosen, is never learned (task.classify.labels)"]


def _search_note(num_valid: int, num_prompts: int) -> list[str]:
    """How much better than the one that is chosen another prompt can be, unseen by so few valid rows."""
    missed = can_be_overlooked(num_valid, num_prompts=num_prompts, disagreement=PROMPTS_DIFFER)
    if missed is None:
        return []
    return [
        f"with {num_valid:,} valid rows a prompt better by up to {100 * missed:.1f} points can be overlooked "
        f"(by one search in twenty, of {num_prompts} prompts that differ on {PROMPTS_DIFFER:.0%} of the rows)"
    ]


def _equivalence_note(sizes: Sequence[int], margin: float, level: float) -> str:
    """Up to which disagreement of the arms the test rows, in their groups, could show them to be equivalent."""
    reachable = [
        share for share in DISAGREEMENTS if equivalence_reachable(sizes, margin=margin, disagreement=share, level=level)
    ]
    if reachable:
        return f"equivalent can be reached where the arms differ on at most {max(reachable):.0%} of the rows"
    rows = f"{sum(sizes):,} test rows"
    if len(sizes) < sum(sizes):
        rows += f" in {len(sizes):,} groups"
    return (
        f"equivalent cannot be reached: {rows} are too few for a margin of {margin:g}, "
        f"even where the arms differ on {min(DISAGREEMENTS):.0%} of the rows only"
    )


def rendered(findings: Findings) -> Iterator[Text]:
    """The findings for people: context dim, what is learned green, what needs attention yellow."""
    from rich.text import Text

    counts = ", ".join(f"{name} {count:,}" for name, count in findings.rows.items())
    yield Text(f"rows: {counts}" + (f"; {findings.num_labels} labels" if findings.num_labels else ""))
    yield Text(f"template: {findings.template}; context {findings.context_length:,} tokens")
    for row in findings.shown:
        yield Text(f"\n{row.id}: {row.num_tokens} tokens for {', '.join(row.variants)}; what is learned is marked")
        yield Text(row.context, style="dim") + Text(row.target, style="bold green underline")
    yield Text("\nlongest train row by wording that may be trained, target included:")
    for each in findings.learned:
        line = f"  {each.longest:6,} tokens  {each.variant}, {each.label}: {each.instruction[:70]}"
        over = f"; {each.num_over} of {each.num_rows} rows are too long: {TOO_LONG[each.too_long]}"
        yield Text(line + (over if each.num_over else ""))
    yield Text("\nlongest valid row by prompt, answer included:")
    for fit in findings.prompts:
        yield Text(f"  {fit.longest:6,} tokens  {fit.label}: {fit.instruction[:70]}")
    for note in findings.notes:
        yield Text(note, style="yellow")
