"""Whether what is to be learned fits the model's context: known before the search for a prompt begins.

Tokenises the rows of train that may be too long, under the shortest wording; knows no weights. What does not fit
under the wording that is chosen later is the trainer's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ftkit.answers.asking import Asker, emptied
from ftkit.answers.prompt import Prompter
from ftkit.answers.search import in_budget, prompts_of, worded
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Reader, Tokenizing
from ftkit.engine.load import context_length, load_renderer
from ftkit.errors import DataError
from ftkit.recipe.schema import Recipe
from ftkit.recipe.train_block import OwnWording, Variant
from ftkit.records import Example
from ftkit.run.artifacts import Prepared
from ftkit.run.models import model_spec

SPARE_BYTES = 64  # of a turn: what the template writes around it, a target's end-of-turn


def reader_of(recipe: Recipe, ctx: Context) -> Tokenizing:
    """The base as it reads: its tokenizer and context, no weights."""
    spec = model_spec(recipe)
    return Tokenizing(load_renderer(spec, ctx), context_length(spec, ctx))


def require_room(recipe: Recipe, prepared: Prepared, task: TaskSpec, ctx: Context) -> None:
    """Raise DataError where no wording leaves room for an answer, or none for a train row that may not be dropped."""
    reader, train = reader_of(recipe, ctx), prepared.split("train")
    for variant in recipe.variants:
        prompter = _shortest(reader, wordings(recipe, variant, train, task))
        _require_room_to_answer(reader, prompter, task)
        if variant.train.too_long != "drop":
            _require_room_to_learn(reader, prompter, train[: variant.num_rows], is_cut=variant.train.too_long == "cut")


def wordings(recipe: Recipe, variant: Variant, train: Sequence[Example], task: TaskSpec) -> list[Prompter]:
    """The prompts that a variant may be trained under: its own wording, or those of which the search takes the best."""
    own = variant.train.wording.options
    if isinstance(own, OwnWording):
        return [Prompter(label="own_wording", family="zero_shot", instruction=worded(own.text, task))]
    prompts = in_budget(prompts_of(recipe.baseline, task, train, seed=recipe.seed), recipe.baseline)
    return [each for each in prompts if each.family == "zero_shot"]


def _require_room_to_answer(reader: Tokenizing, prompter: Prompter, task: TaskSpec) -> None:
    around = Asker.of_task(reader, prompter, replace(task, labels=())).longest([])
    if around >= reader.context_length:
        wanted = f" and task.generate.max_new_tokens {task.max_new_tokens:,}" if task.max_new_tokens else ""
        raise DataError(
            f"baseline.instructions: the shortest, {prompter.instruction[:60]!r}, takes "
            f"{around - task.max_new_tokens:,} tokens{wanted}: nothing is left for an input in the model's context of "
            f"{reader.context_length:,}"
        )


def _require_room_to_learn(reader: Tokenizing, prompter: Prompter, train: Sequence[Example], *, is_cut: bool) -> None:
    asker = Asker.of_targets(reader, prompter)
    around = Asker.of_free_text(reader, prompter).longest([])
    for row in train:
        asked = emptied(row) if is_cut else row
        num_bytes = len(asked.input.encode()) + len(row.target.encode())
        if not row.history and around + num_bytes + SPARE_BYTES <= reader.context_length:
            continue  # a token is at least one byte
        if not asker.fits(asker.ask(asked)):
            asker.fitted(row, "cut" if is_cut else "error")


def _shortest(reader: Reader, prompters: Sequence[Prompter]) -> Prompter:
    return min(prompters, key=lambda each: Asker.of_free_text(reader, each).longest([]))
