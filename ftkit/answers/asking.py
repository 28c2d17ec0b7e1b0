"""The one place where an example under a prompt becomes a question, and where it is decided whether it fits.

Used alike by the search, training, evaluation, `check`, `predict` and the Trainer. Knows a reader (its tokenizer and
the length of its context) and no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TaskSpec, TooLong
from ftkit.engine.answerer import ContinuationScore, Question, Reader
from ftkit.errors import DataError
from ftkit.records import Example

NOTHING = Example(id="", input="", target="", group="")


@dataclass(frozen=True)
class Asked:
    """Questions that fit, in the order of their rows; how many rows were cut to fit, how many were dropped."""

    questions: list[Question]
    num_cut: int
    num_dropped: int


@dataclass(frozen=True)
class Room:
    """Whether a prompt has room in a context for some rows, and how many of their inputs are cut to fit.

    `needed` are the tokens that must be there, `limit` those that are (None where nobody knows).
    """

    needed: int
    limit: int | None
    is_enough: bool
    num_cut: int
    num_rows: int

    @property
    def detail(self) -> str:
        """What is to be said of it, in words; empty where every row fits as it is."""
        if not self.is_enough:
            return f"needs {self.needed:,} of {self.limit or 0:,} tokens"
        return f"{self.num_cut} of {self.num_rows} inputs cut to fit" if self.num_cut else ""


class Asker:
    """Puts examples to a reader under one prompt.

    What may follow is the same for all rows (the labels of a task, or a text of `num_new_tokens`), or is each row's
    target. Ids of labels are taken from a whole rendering. They are reused for the next row only after the first label
    rendered behind that row gave the same ids again; else all labels are rendered behind it.
    """

    def __init__(
        self,
        reader: Reader,
        prompter: Prompter,
        choices_of: Callable[[Example], tuple[str, ...]],
        *,
        num_new_tokens: int = 0,
        remedy: str,
    ) -> None:
        self.reader = reader
        self.prompter = prompter
        self.choices_of = choices_of
        self.num_new_tokens = num_new_tokens
        self.remedy = remedy
        self._known: list[list[int]] = []

    @classmethod
    def of_task(cls, reader: Reader, prompter: Prompter, task: TaskSpec) -> Self:
        """Asks what the task asks: for one of its labels, or for a text."""
        remedy = "fewer demonstrations, a shorter instruction, or a smaller task.generate.max_new_tokens make room"
        return cls(reader, prompter, lambda _: task.labels, num_new_tokens=task.max_new_tokens, remedy=remedy)

    @classmethod
    def of_free_text(cls, reader: Reader, prompter: Prompter) -> Self:
        """Asks for a text, whatever the task: for the ids before an answer."""
        return cls(reader, prompter, lambda _: (), remedy="a shorter instruction makes room")

    @classmethod
    def of_targets(cls, reader: Reader, prompter: Prompter) -> Self:
        """Asks for each row's target: what training learns, and what a loss is computed of."""
        remedy = "a target is never cut: shorten or remove the row, or set train.too_long to drop"
        return cls(reader, prompter, lambda example: (example.target,), remedy=remedy)

    def ask(self, example: Example) -> Question:
        """The example as a question, however long. Raises DataError that names the row where it cannot be rendered."""
        messages, choices = self.prompter.messages(example), self.choices_of(example)
        renderer = self.reader.renderer
        if renderer is None:
            return Question(example, messages, choices, [], [], False)
        try:
            if not choices:
                context_ids = renderer.render(messages, tools=example.tools).context_ids
                return Question(example, messages, choices, context_ids, [], False)
            first = renderer.render(messages, choices[0], example.tools)
            if len(choices) == 1:
                return Question(example, messages, choices, first.context_ids, [first.target_ids], False)
            if not self._known or self._known[0] != first.target_ids:
                self._known = [each.target_ids for each in renderer.render_each(messages, choices, example.tools)]
        except DataError as error:
            raise DataError(f"{example.id}: {error}") from None
        return Question(example, messages, choices, first.context_ids, self._known, False)

    def needed(self, question: Question) -> int:
        """Tokens of the question with its longest answer, as far as they are known.

        Without a renderer: what the reader counts of the messages, and what may be written; labels count nothing then.
        """
        return self._num_read(question) + self._num_answered(question)

    def _num_read(self, question: Question) -> int:
        if self.reader.renderer is not None:
            return len(question.context_ids)
        return self.reader.count(question.messages) or 0

    def _num_answered(self, question: Question) -> int:
        return max(map(len, question.choices_ids), default=self.num_new_tokens)

    def longest(self, examples: Iterable[Example]) -> int:
        """Tokens that the longest row needs; without rows, those around an empty input."""
        return max(self.needed(self.ask(row)) for row in list(examples) or [NOTHING])

    def fits(self, question: Question) -> bool:
        """Whether question and answer fit the context; they do where nobody knows."""
        return self.has_room(self.needed(question))

    def has_room(self, num_tokens: int) -> bool:
        """Whether so many tokens fit the context."""
        return self.reader.context_length is None or num_tokens <= self.reader.context_length

    def room(self, examples: Sequence[Example]) -> Room:
        """The room that the prompt has for these rows: the one place that decides whether a prompt fits.

        Demonstrations must leave room for every row as it is. A bare instruction must leave room for the answer only,
        behind an empty input and the row's history, which is never cut: inputs that are too long are cut and counted.
        """
        may_cut = not self.prompter.train_rows
        needed = self.longest([NOTHING, *(emptied(row) for row in examples if row.history)] if may_cut else examples)
        is_enough = self.has_room(needed)
        num_cut = sum(not self.fits(self.ask(row)) for row in examples) if may_cut and is_enough else 0
        return Room(needed, self.reader.context_length, is_enough, num_cut, len(examples))

    def fitted(self, example: Example, too_long: TooLong = "cut") -> Question | None:
        """The example as a question that fits: whole, or with the longest beginning of its input, or None (dropped).

        Raises DataError where rows may not be too long, or where not even an empty input fits.
        """
        question = self.ask(example)
        if self.fits(question):
            return question
        if too_long == "drop":
            return None
        if too_long == "error":
            raise self.no_room(example, "shorten the row (clean: length), or set train.too_long to cut or drop")
        cut = self.cut(example)
        if cut is None:
            history = "shorten the row's history or drop the row; else " if example.history else ""
            raise self.no_room(emptied(example), history + self.remedy, even="even with an empty input")
        return cut

    def cut(self, example: Example) -> Question | None:
        """The example with the longest beginning of its input that fits; None where not even an empty one does."""
        text = longest_beginning(example.input, lambda text: self.fits(self.ask(replace(example, input=text))))
        if text is None:
            return None
        return replace(self.ask(replace(example, input=text)), example=example, is_cut=True)

    def no_room(self, example: Example, remedy: str, *, even: str = "") -> DataError:
        """What to raise where a row does not fit: the only wording of it."""
        question = self.ask(example)
        parts = {"the answer": self._num_answered(question)}
        if example.history:
            without = self.ask(replace(example, history=()))
            turns = f"{len(example.history)} turns" if len(example.history) > 1 else "1 turn"
            parts[f"the {turns} of the row's history"] = self._num_read(question) - self._num_read(without)
        known = [f"{count:,} of them for {what}" for what, count in parts.items() if count > 0]
        limit = self.reader.context_length or 0
        return DataError(
            f"{example.id}: prompt {self.prompter.label} needs {self.needed(question):,} tokens{even and f' {even}'}"
            f"{''.join(f', {each}' for each in known)}; the model takes {limit:,}. {remedy[0].upper()}{remedy[1:]}"
        )


def ask_all(
    asker: Asker, examples: Sequence[Example], ctx: Context, *, description: str, too_long: TooLong = "cut"
) -> Asked:
    """Every example as a question that fits, by the policy for what does not; see `Asker.fitted`."""
    questions: list[Question] = []
    with ctx.progress.bar(description, len(examples)) as bar:
        for example in examples:
            question = asker.fitted(example, too_long)
            questions += [question] if question is not None else []
            bar.advance()
    return Asked(questions, sum(each.is_cut for each in questions), len(examples) - len(questions))


def learnable(reader: Reader, prompter: Prompter, examples: Sequence[Example], ctx: Context) -> list[Question]:
    """Questions for the targets of valid rows, cut where they are too long; rows whose target never fits are said."""
    asker = Asker.of_targets(reader, prompter)
    questions: list[Question] = []
    with ctx.progress.bar("tokenising valid", len(examples)) as bar:
        for example in examples:
            whole = asker.ask(example)
            question = whole if asker.fits(whole) else asker.cut(example)
            questions += [question] if question is not None else []
            bar.advance()
    if len(questions) < len(examples):
        ctx.progress.say(f"valid: {len(examples) - len(questions)} targets do not fit the context and are in no loss")
    return questions


def emptied(example: Example) -> Example:
    """The example without its input: the least that is ever asked of it."""
    return replace(example, input="")


def mean_loss(scores: Iterable[ContinuationScore]) -> float:
    """Mean negative log-probability of a token, over all tokens of all targets. Raises DataError without any."""
    known = list(scores)
    num_tokens = sum(score.num_tokens for score in known)
    if not num_tokens:
        raise DataError("no row has a target whose loss could be computed")
    return -sum(score.sum for score in known) / num_tokens


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
