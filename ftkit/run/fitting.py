"""What a run would find too late, said before its search begins: rows without room, targets without an answer.

Tokenises the rows that may be too long; knows no weights. Whether something fits is the Asker's to say; that a token
is at least one byte only spares it the rows that certainly fit. What becomes of train rows under the wording that is
chosen later is the trainer's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ftkit.answers.answering import reference
from ftkit.answers.asking import NOTHING, Asker, emptied
from ftkit.answers.prompt import Prompter
from ftkit.answers.search import in_budget, prompts_of, worded
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Tokenizing
from ftkit.engine.load import context_length, load_renderer
from ftkit.errors import DataError
from ftkit.recipe.schema import Recipe
from ftkit.recipe.train_block import OwnWording, Variant
from ftkit.records import Example, Prediction
from ftkit.registry import Choice
from ftkit.run.artifacts import Prepared
from ftkit.run.base import model_spec
from ftkit.run.guards import no_test_row_in_train

NUM_RENDERED = 8  # rows that are rendered in any case; the others only where they may be too long
SPARE_BYTES = 64  # of a turn: what the template writes around it, a target's end-of-turn


def reader_of(recipe: Recipe, ctx: Context) -> Tokenizing:
    """The base as it reads: its tokenizer and context, no weights."""
    spec = model_spec(recipe)
    return Tokenizing(load_renderer(spec, ctx), context_length(spec, ctx))


def require_room(recipe: Recipe, prepared: Prepared, task: TaskSpec, ctx: Context) -> None:
    """Raise DataError where what is asked or learned cannot fit, a target holds no answer, or train has a test row.

    Reads test for the size, the targets and the identity of its rows: nothing is scored or chosen by it. Says it where
    a variant wants more rows than train has.
    """
    reader, train = reader_of(recipe, ctx), prepared.split("train")
    valid, test = prepared.split("valid"), Prepared(prepared.path).split("test")  # not the stage's own to open
    require_references(task, [*valid, *test], recipe.evaluate.metrics)
    require_no_leak(train, test)
    _say_what_is_not_shown(recipe, reader, train, ctx)
    for variant in recipe.variants:
        if variant.num_rows is not None and variant.num_rows > len(train):
            wanted = f"train.variants.{variant.label}.num_rows {variant.num_rows:,}"
            ctx.progress.say(f"{wanted}: train has {len(train):,} rows")
        prompters = wordings(recipe, variant, train, task)
        if not prompters:
            raise DataError(
                f"baseline.max_candidates is {recipe.baseline.max_candidates}: no zero_shot prompt is among those that "
                "are tried, and training uses its wording; name zero_shot first in baseline.prompts, or raise it"
            )
        shortest = _shortest(reader, prompters)
        _require_room_to_answer(reader, shortest, task)
        if variant.train.too_long != "drop":
            _require_room_to_learn(reader, shortest, train[: variant.num_rows], is_cut=variant.train.too_long == "cut")
        _require_room_to_ask(Asker.of_task(reader, shortest, task), [*valid, *test])
    judged = valid[: recipe.baseline.max_valid_rows]
    for prompter in in_budget(prompts_of(recipe.baseline, task, train, seed=recipe.seed), recipe.baseline):
        asker = Asker.of_task(reader, prompter, task)
        if _first_without_room(asker, [*valid, *test]) and asker.room(judged).is_enough:
            _require_room_to_ask(asker, [*valid, *test])


def _say_what_is_not_shown(recipe: Recipe, reader: Tokenizing, train: Sequence[Example], ctx: Context) -> None:
    """Tools that the chat template has no place for; system turns of rows beside an instruction that all share."""
    num_tools = sum(row.tools is not None for row in train)
    if num_tools and not reader.renderer.shows_tools:
        ctx.progress.say(f"{num_tools:,} of {len(train):,} train rows have tools; the chat template does not show them")
    own = {turn["content"] for row in train for turn in row.history if turn["role"] == "system"}
    if len(own) > 1 and any(recipe.baseline.instructions):
        ctx.progress.say(
            f"train rows have {len(own):,} different system turns, which stand above the instruction that all share"
        )


def require_references(task: TaskSpec, rows: Sequence[Example], metrics: Sequence[Choice]) -> None:
    """Raise DataError that names the first row whose target holds no answer, or none that a metric can compare with."""
    answers = [reference(task, row) if task.kind == "generate" else row.target for row in rows]
    perfect = [
        Prediction("", row.id, row.group, answer, answer, answer, {}, (), 0, 0)
        for row, answer in zip(rows, answers, strict=True)
    ]
    for metric in metrics:
        if not metric.options.runs_code:
            metric(perfect)


def require_no_leak(train: Sequence[Example], test: Sequence[Example]) -> None:
    """Raise DataError for what would make the verdict invalid: prepare leaves no such row, others may have."""
    found = no_test_row_in_train(train, test)
    if found.status == "failed":
        raise DataError(f"train.jsonl and test.jsonl of prepare: {found.name}: {found.detail}; run prepare again")


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
        where = "train.wording" if prompter.label == "own_wording" else "baseline.instructions: the shortest"
        wanted = f" and task.generate.max_new_tokens {task.max_new_tokens:,}" if task.max_new_tokens else ""
        raise DataError(
            f"{where}, {prompter.instruction[:60]!r}, takes "
            f"{around - task.max_new_tokens:,} tokens{wanted}: nothing is left for an input in the model's context of "
            f"{reader.context_length:,}"
        )


def _require_room_to_learn(reader: Tokenizing, prompter: Prompter, train: Sequence[Example], *, is_cut: bool) -> None:
    asker = Asker.of_targets(reader, prompter)
    around = reader.count(prompter.messages(NOTHING))
    for row in train[:NUM_RENDERED]:
        asker.ask(row)  # refused where its target would not be what is learned
    for row in train:
        asked = emptied(row) if is_cut else row
        num_bytes = len(asked.input.encode()) + len(row.target.encode())
        if not row.history and around + num_bytes + SPARE_BYTES <= reader.context_length:
            continue  # a token is at least one byte
        if not asker.fits(asker.ask(asked)):
            asker.fitted(row, "cut" if is_cut else "error")


def _require_room_to_ask(asker: Asker, rows: Sequence[Example]) -> None:
    row = _first_without_room(asker, rows)
    if row is not None:
        asker.fitted(row)


def _first_without_room(asker: Asker, rows: Sequence[Example]) -> Example | None:
    """The first row that the prompt cannot hold even with an empty input. Only a history can make it so long."""
    around = asker.longest([])
    for row in rows:
        num_bytes = sum(SPARE_BYTES + len(turn["content"].encode()) for turn in row.history)
        certainly_fits = around + num_bytes + SPARE_BYTES <= (asker.reader.context_length or 0)
        if row.history and not certainly_fits and not asker.fits(asker.ask(emptied(row))):
            return row
    return None


def _shortest(reader: Tokenizing, prompters: Sequence[Prompter]) -> Prompter:
    return min(prompters, key=lambda each: reader.count(each.messages(NOTHING)))
