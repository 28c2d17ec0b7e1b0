"""What a recipe leaves to its rows, settled once they are prepared: wordings, metrics, and how numbers are written.

Looks at the first rows of train, any beginning of which is a fair draw of it; never at valid or test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from statistics import median

from ftkit.answers.answer_text import answer_words
from ftkit.answers.number_reading import ReadsNumbers
from ftkit.answers.numbers import Reading, number
from ftkit.contracts import Context
from ftkit.prepare.intake import shape_in_recipe
from ftkit.prepare.shapes import ConversationConfig
from ftkit.recipe.schema import Evaluate, Generate, MetricChoice, Recipe, TaskChoice
from ftkit.registry import Choice, Config
from ftkit.run.artifacts import Prepared

NUM_TARGETS = 1_000
SHORT = 8  # words: names, dates, options, titles; of longer targets hardly one is ever met to the letter
INSTRUCTIONS = {
    "classify": ["Classify the text. Answer with one of: {labels}.", "Classify the text."],
    "generate": ["Answer the question."],
}
BESIDE = {"numeric_match": "exact_match", "exact_match": "token_f1", "token_f1": "exact_match"}


def settled(recipe: Recipe, prepared: Prepared, ctx: Context) -> Recipe:
    """The recipe with nothing left open; what was found is said. The same recipe where nothing was."""
    recipe = _with_instructions(recipe, prepared, ctx)
    task, metrics = recipe.task.options, recipe.evaluate.metrics
    if metrics and all(map(_is_settled, [*(metric.options for metric in metrics), _extractor(task)])):
        return recipe
    targets = [row["target"] for row in islice(prepared.rows("train"), NUM_TARGETS)]
    if isinstance(task, Generate):
        task = task.model_copy(update={"extract": with_reading(task.extract, targets, ctx.progress.say)})
        found = [task.extract(target) for target in targets]
        targets = [each for each in found if each is not None]
    if not metrics:
        chosen = _metrics_for(targets, ctx.progress.say)
        metrics = [MetricChoice.model_validate(name) for name in (chosen, BESIDE[chosen])]
    reads_plain = isinstance(_extractor(task), ReadsNumbers)  # how targets are written was said already
    metrics = [with_reading(metric, targets, _unsaid if reads_plain else ctx.progress.say) for metric in metrics]
    return recipe.model_copy(
        update={
            "task": TaskChoice.model_validate({recipe.task.name: task}),
            "evaluate": Evaluate(metrics=metrics),
            "compare": recipe.compare.model_copy(update={"primary": recipe.compare.primary or metrics[0].name}),
        }
    )


def _with_instructions(recipe: Recipe, prepared: Prepared, ctx: Context) -> Recipe:
    """The recipe's own, or the task's; in front of conversations, which say what is wanted, stands nothing."""
    if recipe.baseline.instructions:
        return recipe
    named = [shape_in_recipe(source) for source in recipe.data.source]
    are_talks = any(shape is not None and isinstance(shape.options, ConversationConfig) for shape in named)
    are_talks |= any(row.get("history") or row.get("tools") for row in islice(prepared.rows("train"), NUM_TARGETS))
    if are_talks:
        ctx.progress.say("baseline.instructions is left out: rows are conversations, nothing is put in front")
    instructions = [""] if are_talks else INSTRUCTIONS[recipe.task.name]
    return recipe.model_copy(update={"baseline": recipe.baseline.model_copy(update={"instructions": instructions})})


def _unsaid(line: str) -> None:
    """Say nothing."""


def _extractor(task: Config) -> Config | None:
    return task.extract.options if isinstance(task, Generate) else None


def _is_settled(config: Config | None) -> bool:
    return not isinstance(config, ReadsNumbers) or config.is_settled


def with_reading(choice: Choice, targets: Sequence[str], say: Callable[[str], None]) -> Choice:
    """A metric or extractor that reads numbers as these targets write them, which is said; any other as it is."""
    config = choice.options
    if not isinstance(config, ReadsNumbers) or config.is_settled:
        return choice
    return type(choice).model_validate({choice.name: config.settled(targets, say)})


def _metrics_for(targets: Sequence[str], say: Callable[[str], None]) -> str:
    """The metric that suits the targets."""
    if targets and all(number(target, Reading()) is not None for target in targets):
        chosen, why = "numeric_match", "all targets are numbers"
    else:
        words = median(len(answer_words(target)) for target in targets) if targets else 0
        chosen = "exact_match" if words <= SHORT else "token_f1"
        unit = "word" if words == 1 else "words"
        why = f"the targets are {'short' if words <= SHORT else 'long'}: {words:g} {unit} in the median"
    looked = f"of the first {len(targets):,} train rows" if len(targets) >= NUM_TARGETS else "of train"
    say(f"evaluate.metrics is left out, so {chosen} decides: {why} ({looked}); name another metric to change it")
    return chosen
