"""How an arm answers rows: prompt → question → scores or text → answer → metrics. The same for every arm and split.

Knows no recipe and no files; an answerer does the computing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ftkit.answers.asking import Asker, ask_all, mean_loss
from ftkit.answers.prompt import Normalization, Prompter
from ftkit.contracts import Context, Scores, TaskSpec, Totals
from ftkit.engine.answerer import Answerer, ContinuationScore, Question, Sampling, Tell
from ftkit.errors import ArtifactError, DataError, MachineError
from ftkit.records import Example, Prediction
from ftkit.registry import Choice

CONTENT_FREE = ("N/A", "[MASK]", "")  # Zhao et al. 2021 (arXiv 2102.09690), section 4
NORMALIZATIONS: tuple[Normalization, ...] = ("sum", "mean", "calibrated")


@dataclass(frozen=True)
class LabelScores:
    """Log-probabilities of every label for every row, from which any normalisation follows without a model."""

    questions: list[Question]
    scores: list[list[ContinuationScore]]
    content_free: list[float]

    def decide(self, task: TaskSpec, normalize: str) -> list[str]:
        """The best label of each row; the earlier one of equals."""
        return [task.labels[row.index(max(row))] for row in self.of_labels(normalize)]

    def of_labels(self, normalize: str) -> list[list[float]]:
        """The score of each label for each row."""
        return [[self._normalised(score, index, normalize) for index, score in enumerate(row)] for row in self.scores]

    def target_loss(self, task: TaskSpec) -> float:
        """Mean negative log-probability of a target token over all rows."""
        rows = zip(self.questions, self.scores, strict=True)
        return mean_loss(row[task.labels.index(question.example.target)] for question, row in rows)

    def _normalised(self, score: ContinuationScore, index: int, normalize: str) -> float:
        if normalize == "mean":
            return score.sum / score.num_tokens
        if normalize == "calibrated":
            return score.sum - self.content_free[index]
        return score.sum


def score_labels(
    answerer: Answerer, prompter: Prompter, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> LabelScores:
    """Score every label of the task behind every row, and behind content-free inputs for calibration."""
    free_rows = [Example(id=f"content-free {text!r}", input=text, target="", group="") for text in CONTENT_FREE]
    asker = Asker.of_task(answerer, prompter, task)
    asked = ask_all(asker, [*free_rows, *examples], ctx, description=f"tokenising {prompter.label}").questions
    scores = _scores(answerer, asked, ctx, description=f"scoring {prompter.label}")
    if scores is None:
        raise MachineError("task: classify needs log-probabilities of the labels, which this model does not give")
    free = [
        math.log(sum(math.exp(row[index].sum) for row in scores[: len(free_rows)]) / len(free_rows) or 5e-324)
        for index in range(len(task.labels))
    ]
    return LabelScores(asked[len(free_rows) :], scores[len(free_rows) :], free)


def target_scores(
    answerer: Answerer, questions: Sequence[Question], ctx: Context, *, description: str
) -> list[ContinuationScore] | None:
    """The score of each row's target, of questions that ask for targets; None where the answerer gives none."""
    scores = _scores(answerer, questions, ctx, description=description)
    return None if scores is None else [each[0] for each in scores]


def _scores(
    answerer: Answerer, questions: Sequence[Question], ctx: Context, *, description: str
) -> list[list[ContinuationScore]] | None:
    """What the answerer gives. Raises ArtifactError for a score that is not finite, whatever answers."""
    scores = answerer.label_scores(questions, ctx=ctx, description=description)
    for question, row in zip(questions, scores or [], strict=bool(scores)):
        if not all(math.isfinite(score.sum) for score in row):
            raise ArtifactError(f"{question.example.id}: {description}: a score is not finite (NaN or infinity)")
    return scores


def label_predictions(arm: str, scores: LabelScores, task: TaskSpec, normalize: str) -> list[Prediction]:
    """The predictions of a classifying arm under one normalisation; not yet scored by metrics."""
    predictions = []
    for question, row, label in zip(scores.questions, scores.scores, scores.decide(task, normalize), strict=True):
        num_tokens = row[task.labels.index(label)].num_tokens if question.choices_ids else 0
        predictions.append(_prediction(arm, question, raw=label, parsed=label, tokens=num_tokens))
    return predictions


def written_predictions(
    arm: str,
    answerer: Answerer,
    prompter: Prompter,
    task: TaskSpec,
    examples: Sequence[Example],
    ctx: Context,
    *,
    tell: Tell | None = None,
) -> list[Prediction]:
    """The predictions of an arm that writes; not yet scored by metrics. `tell` is as `Answerer.complete` has it."""
    asker = Asker.of_task(answerer, prompter, task)
    questions = ask_all(asker, examples, ctx, description=f"tokenising {prompter.label}").questions
    completions = answerer.complete(
        questions, Sampling(task.max_new_tokens), ctx=ctx, description=f"generating {prompter.label}", tell=tell
    )
    predictions = []
    for question, completion in zip(questions, completions, strict=True):
        parsed = prompter.answer([completion.text], task.extract)
        made = _prediction(arm, question, raw=completion.text, parsed=parsed, tokens=completion.num_tokens)
        flags = made.flags + (("truncated",) if completion.reason == "limit" else ())
        predictions.append(replace(made, flags=flags, reference=reference(task, question.example)))
    return predictions


def predict(
    arm: str, answerer: Answerer, prompter: Prompter, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> list[Prediction]:
    """Answers of one arm to all rows, in their order; not yet scored by metrics."""
    if task.kind == "classify":
        scores = score_labels(answerer, prompter, task, examples, ctx)
        return label_predictions(arm, scores, task, prompter.normalize)
    return written_predictions(arm, answerer, prompter, task, examples, ctx)


def reference(task: TaskSpec, example: Example) -> str:
    """What an answer is compared with; '' for a row without a target, which is only to be answered.

    Raises DataError where the extractor finds nothing in the target.
    """
    if not example.target:
        return ""
    answer = task.extract(example.target)
    if answer is None:
        raise DataError(
            f"{example.id}: the extractor finds no answer in the target {example.target[:80]!r}; "
            "change task.generate.extract or the row"
        )
    return answer


def scored(predictions: Sequence[Prediction], metrics: Sequence[Choice]) -> list[Prediction]:
    """The same predictions with the score of each row-wise metric."""
    columns = {metric.name: metric(predictions) for metric in metrics}
    rowwise = {name: values for name, values in columns.items() if not isinstance(values, (float, Totals))}
    return [
        replace(row, scores={name: float(values[index]) for name, values in rowwise.items()})
        for index, row in enumerate(predictions)
    ]


def metric_value(metric: Choice, predictions: Sequence[Prediction]) -> float:
    """The metric over all rows: the mean of row scores, or the corpus value."""
    scores: Scores = metric(predictions)
    if isinstance(scores, Totals):
        return scores.value
    return scores if isinstance(scores, float) else math.fsum(scores) / len(scores)


def _prediction(arm: str, question: Question, *, raw: str, parsed: str | None, tokens: int) -> Prediction:
    flags = ["input_cut"] if question.is_cut else []
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
