"""Whether what is to be learned fits the model's context: known before the search for a prompt begins.

Tokenises the rows of train that may be too long, under the shortest wording; knows no weights. What does not fit
under the wording that is chosen later is the trainer's to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from ftkit.answers.prompt import Prompt
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.load import context_length, load_renderer
from ftkit.errors import DataError
from ftkit.recipe.schema import Recipe
from ftkit.run.artifacts import Prepared
from ftkit.run.models import model_spec
from ftkit.run.stages import baseline

SPARE_BYTES = 64  # a target's end-of-turn, and what a tokenizer puts in front


def require_room(recipe: Recipe, prepared: Prepared, task: TaskSpec, ctx: Context) -> None:
    """Raise DataError where no wording leaves room for an answer, or none for a train row that may not be dropped."""
    spec = model_spec(recipe)
    renderer, limit = load_renderer(spec, ctx), context_length(spec, ctx)

    def tokens_around(prompt: Prompt) -> int:
        return len(renderer.render(prompt.messages("")).context_ids)

    prompt = min(_wordings(recipe, prepared, task), key=tokens_around)
    around = tokens_around(prompt)
    if around + task.max_new_tokens >= limit:
        wanted = f" and task.generate.max_new_tokens {task.max_new_tokens:,}" if task.max_new_tokens else ""
        raise DataError(
            f"baseline.instructions: the shortest, {prompt.instruction[:60]!r}, takes {around:,} tokens{wanted}: "
            f"nothing is left for an input in the model's context of {limit:,}"
        )
    if recipe.train.too_long == "drop":
        return
    whole = recipe.train.too_long == "error"
    for row in prepared.split("train"):
        text = row.input if whole else ""
        if not row.history and around + len(text.encode()) + len(row.target.encode()) + SPARE_BYTES <= limit:
            continue  # a token is at least one byte
        rendered = renderer.render(prompt.messages(text, row.history), row.target)
        needed, target = len(rendered.context_ids) + len(rendered.target_ids), len(rendered.target_ids)
        if needed > limit and whole:
            raise DataError(
                f"{row.id}: needs {needed:,} of {limit:,} tokens; set train.too_long to cut or drop, "
                "or shorten the row (clean: length)"
            )
        if needed > limit:
            raise DataError(
                f"{row.id}: its target of {target:,} tokens does not fit the context of {limit:,} beside the "
                "instruction; a target is never cut. Shorten the row, remove it, or set train.too_long to drop"
            )


def _wordings(recipe: Recipe, prepared: Prepared, task: TaskSpec) -> Iterator[Prompt]:
    """The recipe's prompts without demonstrations: training uses one of them."""
    config = baseline.BaselineConfig(task=recipe.task, search=recipe.baseline, primary=recipe.primary, seed=recipe.seed)
    for candidate in baseline.candidates(config, task, prepared.split("train")):
        if not candidate.prompt.demonstrations:
            yield candidate.prompt
