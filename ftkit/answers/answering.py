"""How an arm answers rows: prompt → ids → scores or text → answer → metrics. The same for every arm and every split.

Knows no recipe and no files; the engine does the computing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ftkit.answers.prompt import Prompt
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.generate import generate
from ftkit.engine.load import LoadedModel
from ftkit.engine.render import Renderer
from ftkit.engine.score import ContinuationScore, Request, score
from ftkit.errors import DataError
from ftkit.records import Example, Prediction
from ftkit.registry import Choice

CONTENT_FREE = ("N/A", "[MASK]", "")  # Zhao et al. 2021 (arXiv 2102.09690), section 4
NORMALIZATIONS = ("sum", "mean", "calibrated")


@dataclass(frozen=True)
class Question:
    """A row as ids. `cut` says that its input was shortened to fit the context."""

    example: Example
    context_ids: list[int]
    continuations_ids: list[list[int]]
    cut: bool


@dataclass(frozen=True)
class LabelScores:
    """Log-probabilities of every label for every row, from which any normalisation follows without a model."""

    questions: list[Question]
    scores: list[list[ContinuationScore]]
    content_free: list[float]

    def decide(self, task: TaskSpec, normalize: str) -> list[str]:
        """The best label of each row; the earlier one of equals."""
        chosen = []
        for row in self.scores:
            values = [self._normalised(score, index, normalize) for index, score in enumerate(row)]
            chosen.append(task.labels[values.index(max(values))])
        return chosen

    def target_loss(self, task: TaskSpec) -> float:
        """Mean negative log-probability of a target token over all rows."""
        pairs = [
            row[task.labels.index(question.example.target)]
            for question, row in zip(self.questions, self.scores, strict=True)
        ]
        return -sum(pair.sum for pair in pairs) / sum(pair.num_tokens for pair in pairs)

    def _normalised(self, score: ContinuationScore, index: int, normalize: str) -> float:
        if normalize == "mean":
            return score.sum / score.num_tokens
        if normalize == "calibrated":
            return score.sum - self.content_free[index]
        return score.sum


def questions(
    loaded: LoadedModel, prompt: Prompt, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> list[Question]:
    """Every row as ids that fit the context, inputs shortened where they do not. DataError where that is not enough."""
    asker = Asker(loaded.renderer, prompt, task, loaded.context_length)
    made = []
    with ctx.progress.task(f"tokenising {prompt.label}", len(examples)) as bar:
        for example in examples:
            made.append(asker.fitted(example))
            bar.advance()
    return made


def longest_prompt(loaded: LoadedModel, prompt: Prompt, task: TaskSpec, examples: Sequence[Example]) -> int:
    """Tokens that the longest row needs, answer included; without rows, those around an empty input."""
    asker = Asker(loaded.renderer, prompt, task, loaded.context_length)
    rows = examples or [Example(id="", input="", target="", group="")]
    return max(asker.needed(asker.ask(row, row.input)) for row in rows)


def score_labels(
    loaded: LoadedModel, prompt: Prompt, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> LabelScores:
    """Score every label of the task behind every row, and behind content-free inputs for calibration."""
    free_rows = [Example(id=f"content-free {text!r}", input=text, target="", group="") for text in CONTENT_FREE]
    asked = questions(loaded, prompt, task, [*free_rows, *examples], ctx)
    requests = [Request(question.context_ids, question.continuations_ids) for question in asked]
    scores = score(loaded, requests, ctx=ctx, description=f"scoring {prompt.label}")
    free = [
        math.log(sum(math.exp(row[index].sum) for row in scores[: len(free_rows)]) / len(free_rows) or 5e-324)
        for index in range(len(task.labels))
    ]
    return LabelScores(asked[len(free_rows) :], scores[len(free_rows) :], free)


def label_predictions(arm: str, scores: LabelScores, task: TaskSpec, normalize: str) -> list[Prediction]:
    """The predictions of a classifying arm under one normalisation; not yet scored by metrics."""
    predictions = []
    for question, label in zip(scores.questions, scores.decide(task, normalize), strict=True):
        tokens = len(question.continuations_ids[task.labels.index(label)])
        predictions.append(_prediction(arm, question, raw=label, parsed=label, tokens=tokens))
    return predictions


def generated_predictions(
    arm: str, loaded: LoadedModel, prompt: Prompt, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> list[Prediction]:
    """The predictions of a generating arm, greedy; not yet scored by metrics."""
    asked = questions(loaded, prompt, task, examples, ctx)
    completions = generate(
        loaded,
        [question.context_ids for question in asked],
        max_new_tokens=task.max_new_tokens,
        ctx=ctx,
        description=f"generating {prompt.label}",
    )
    predictions = []
    for question, completion in zip(asked, completions, strict=True):
        raw = loaded.renderer.decode(completion.ids)
        made = _prediction(arm, question, raw=raw, parsed=task.extract(raw), tokens=len(completion.ids))
        flags = made.flags + (("truncated",) if completion.truncated else ())
        predictions.append(replace(made, flags=flags, reference=reference(task, question.example)))
    return predictions


def predict(
    arm: str, loaded: LoadedModel, prompt: Prompt, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> list[Prediction]:
    """Answers of one arm to all rows, in their order; not yet scored by metrics."""
    if task.kind == "classify":
        return label_predictions(arm, score_labels(loaded, prompt, task, examples, ctx), task, prompt.normalize)
    return generated_predictions(arm, loaded, prompt, task, examples, ctx)


def reference(task: TaskSpec, example: Example) -> str:
    """What an answer is compared with. Raises DataError where the extractor finds nothing in the target."""
    found = task.extract(example.target)
    if found is None:
        raise DataError(
            f"{example.id}: the extractor finds no answer in the target {example.target[:80]!r}; "
            "change task.generate.extract or the row"
        )
    return found


def scored(predictions: Sequence[Prediction], metrics: Sequence[Choice]) -> list[Prediction]:
    """The same predictions with the score of each row-wise metric."""
    columns = {metric.name: metric(predictions) for metric in metrics}
    rowwise = {name: values for name, values in columns.items() if not isinstance(values, float)}
    return [
        replace(row, scores={name: float(values[index]) for name, values in rowwise.items()})
        for index, row in enumerate(predictions)
    ]


def metric_value(metric: Choice, predictions: Sequence[Prediction]) -> float:
    """The metric over all rows: the mean of row scores, or the corpus value."""
    value = metric(predictions)
    return float(value) if isinstance(value, float) else math.fsum(value) / len(value)


class Asker:
    """Renders rows of one prompt; remembers the labels' ids, which are the same behind every row.

    A label's ids are taken from a whole rendering. They are reused for the next row only after the first label
    rendered behind that row gave the same ids again; else all labels are rendered behind it.
    """

    def __init__(self, renderer: Renderer, prompt: Prompt, task: TaskSpec, context_length: int) -> None:
        self.renderer = renderer
        self.prompt = prompt
        self.task = task
        self.context_length = context_length
        self._known: list[list[int]] = []

    def ask(self, example: Example, text: str) -> Question:
        """The row as ids, with `text` in place of its input. Raises DataError that names the row."""
        try:
            return self._asked(example, text)
        except DataError as error:
            raise DataError(f"{example.id}: {error}") from None

    def _asked(self, example: Example, text: str) -> Question:
        messages = self.prompt.messages(text, example.history)
        if self.task.kind == "generate":
            return Question(example, self.renderer.render(messages).context_ids, [], text != example.input)
        first = self.renderer.render(messages, self.task.labels[0])
        if not self._known or self._known[0] != first.target_ids:
            self._known = [each.target_ids for each in self.renderer.render_each(messages, self.task.labels)]
        return Question(example, first.context_ids, self._known, text != example.input)

    def needed(self, question: Question) -> int:
        answer = max((len(ids) for ids in question.continuations_ids), default=self.task.max_new_tokens)
        return len(question.context_ids) + answer

    def fitted(self, example: Example) -> Question:
        """The row with its whole input, or with the longest beginning of it that fits."""
        question = self.ask(example, example.input)
        if self.needed(question) <= self.context_length:
            return question
        text = longest_beginning(
            example.input, lambda text: self.needed(self.ask(example, text)) <= self.context_length
        )
        if text is None:
            need = self.needed(self.ask(example, ""))
            raise DataError(
                f"{example.id}: prompt {self.prompt.label} needs {need:,} tokens even with an empty input; "
                f"the model takes {self.context_length:,}. Fewer demonstrations, a shorter instruction, or a smaller "
                "task.generate.max_new_tokens make room"
            )
        return self.ask(example, text)


def longest_beginning(text: str, fits: Callable[[str], bool]) -> str | None:
    """The longest beginning of a text that fits, by bisection; None where not even the empty one does."""
    shortest_over, longest_fit = len(text) + 1, -1
    while shortest_over - longest_fit > 1:
        middle = (shortest_over + longest_fit) // 2
        if fits(text[:middle]):
            longest_fit = middle
        else:
            shortest_over = middle
    return text[:longest_fit] if longest_fit >= 0 else None


def _prediction(arm: str, question: Question, *, raw: str, parsed: str | None, tokens: int) -> Prediction:
    flags = ["input_cut"] if question.cut else []
    flags += ["empty"] if not raw.strip() else ["unparsed"] if parsed is None else []
    return Prediction(
        arm=arm,
        id=question.example.id,
        group=question.example.group,
        reference=question.example.target,
        raw=raw,
        parsed=parsed,
        scores={},
        flags=tuple(flags),
        prompt_tokens=len(question.context_ids),
        completion_tokens=tokens,
    )
