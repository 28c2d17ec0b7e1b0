"""An arm of a finished run that is spoken to: a text goes in, what it answers comes out, with how sure it is.

Reads run directories; changes none, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.answers.answering import label_predictions, score_labels, written_predictions
from ftkit.answers.confidence import Confidence, fitted
from ftkit.answers.prompt import NO_FRAME, Arm, Frame, shared_frame
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.errors import DataError
from ftkit.recipe.data_block import Data
from ftkit.records import Example, Message, Prediction
from ftkit.run.finished import FinishedRun
from ftkit.run.predicting import as_test_rows

JUDGED_ROWS = 300  # of valid, that say how sure an arm is: more change a threshold by less than its own error


@dataclass(frozen=True)
class Reply:
    """What an arm answered to a text.

    `messages` are the prompt, `text` what was written, `answer` what the recipe makes of it (None: nothing). Of labels:
    `labels`, each with its share, the likeliest first, and the share from which on an answer is sure.
    """

    arm: str
    messages: list[Message]
    text: str
    answer: str | None
    flags: tuple[str, ...]
    prompt_tokens: int
    labels: tuple[tuple[str, float], ...] = ()
    sure_from: float | None = None

    @property
    def is_sure(self) -> bool | None:
        """Whether the likeliest label is to be relied on; None of a text that was written."""
        return None if self.sure_from is None else self.labels[0][1] >= self.sure_from

    def as_json(self) -> dict[str, Any]:
        """A JSON object; shares stand under `labels`, and the first of them is the confidence."""
        found: dict[str, Any] = {"arm": self.arm, "answer": self.answer, "raw": self.text, "flags": list(self.flags)}
        if self.labels:
            shares = {label: round(share, 6) for label, share in self.labels}
            found |= {"confidence": round(self.labels[0][1], 6), "is_sure": self.is_sure, "labels": shares}
        return {**found, "messages": self.messages, "prompt_tokens": self.prompt_tokens}


@dataclass(frozen=True)
class Speaker:
    """An arm with what it needs to answer. `frame`: system turns and tools that all rows of the run stand under.

    `confidence` is None where texts are written. `has_turns`: whether rows of the run have earlier turns.
    """

    arm: Arm
    answerer: Answerer
    task: TaskSpec
    data: Data
    frame: Frame
    confidence: Confidence | None
    has_turns: bool

    def reply(
        self, text: str, turns: Sequence[Message], ctx: Context, tell: Callable[[str], None] | None = None
    ) -> Reply:
        """The answer to a text behind earlier turns; `tell` is handed what is written so far, where texts are.

        Raises DataError where text and turns do not fit the model's context, or are none that could be asked.
        """
        example = self.example(text, turns, ctx)
        if self.confidence is None:
            told = None if tell is None else lambda _, written: tell(written)
            (row,) = written_predictions(
                self.arm.name, self.answerer, self.arm.prompter, self.task, [example], ctx, tell=told
            )
            return self._reply(row, example)
        scores = score_labels(self.answerer, self.arm.prompter, self.task, [example], ctx)
        (row,) = label_predictions(self.arm.name, scores, self.task, self.arm.prompter.normalize)
        (of_labels,) = scores.of_labels(self.arm.prompter.normalize)
        shares = zip(self.task.labels, self.confidence.shares(of_labels), strict=True)
        labels = tuple(sorted(shares, key=lambda each: -each[1]))
        return self._reply(row, example, labels, self.confidence.threshold)

    def example(self, text: str, turns: Sequence[Message], ctx: Context) -> Example:
        """The text as a row of the run: under its system turns, and cleaned as test rows are."""
        import polars

        system, tools = self.frame
        history = [Message(role="system", content=each) for each in system] + list(turns)
        columns: dict[str, Any] = {"id": ["text"], "input": [text], "target": [""]}
        columns |= {"history": [history]} if history else {}
        (row,) = as_test_rows(polars.DataFrame(columns), self.data, ctx).to_dicts()
        if not row["input"].strip():
            raise DataError("the text is empty")
        return Example("text", row["input"], "", "text", tuple(row.get("history") or ()), tools=tools)

    def _reply(
        self,
        row: Prediction,
        example: Example,
        labels: tuple[tuple[str, float], ...] = (),
        sure_from: float | None = None,
    ) -> Reply:
        messages = self.arm.prompter.messages(example)
        return Reply(self.arm.name, messages, row.raw, row.parsed, row.flags, row.prompt_tokens, labels, sure_from)


def open_speakers(run: FinishedRun, names: Sequence[str], ctx: Context, *, system: str | None = None) -> list[Speaker]:
    """Arms of a run by name (empty: the one to ship), ready to answer; each model is loaded once.

    `system` is a turn in place of the system turns of the run's rows. Raises as `FinishedRun.arm` does.
    """
    arms = [run.arm(name) for name in names]
    valid = run.prepared.split("valid")
    frame = _frame(valid, system, ctx)
    answerers: dict[str, Answerer] = {}
    for arm in arms:
        if arm.model not in answerers:
            model = run.model(arm, ctx)
            if model.precision != arm.precision:
                ctx.progress.say(f"{arm.name} was scored in {arm.precision}; here it answers in {model.precision}")
            answerers[arm.model] = model.load()
    return [
        Speaker(
            arm,
            answerers[arm.model],
            run.task,
            run.recipe.data,
            frame,
            _confidence(arm, answerers[arm.model], run.task, valid, ctx) if run.task.kind == "classify" else None,
            has_turns=any(turn["role"] != "system" for row in valid for turn in row.history),
        )
        for arm in arms
    ]


def _frame(valid: Sequence[Example], system: str | None, ctx: Context) -> Frame:
    """What a text stands under: what all rows do, if they do alike, or a given system turn."""
    shared = shared_frame(valid)
    if system is not None:
        return (system,) if system else (), None if shared is None else shared[1]
    if shared is None:
        ctx.progress.say("rows of the run stand under system turns or tools of their own; here under none (--system)")
    return shared or NO_FRAME


def _confidence(arm: Arm, answerer: Answerer, task: TaskSpec, valid: Sequence[Example], ctx: Context) -> Confidence:
    """How sure the arm may be, from the first rows of valid: a fair draw of it."""
    rows = valid[:JUDGED_ROWS]
    scores = score_labels(answerer, arm.prompter, task, rows, ctx).of_labels(arm.prompter.normalize)
    return fitted(scores, [task.labels.index(row.target) for row in rows])
