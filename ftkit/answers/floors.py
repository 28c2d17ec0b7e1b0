"""Floors: what is reached without reading a row, or without answering it. An arm that is no better has learned nothing.

Pure: rows in, answers out. Knows no model and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ftkit.answers.answering import reference
from ftkit.contracts import TaskSpec
from ftkit.records import Example, Prediction

MAJORITY, EMPTY, COPY = "majority", "empty", "copy"


def floor_predictions(task: TaskSpec, train: Sequence[Example], tests: Sequence[Example]) -> list[Prediction]:
    """Answers of every floor to every row of `tests`, the floor's name as arm; not yet scored by metrics.

    The target that most rows of train have (of equals the first in the alphabet); where texts are written, also
    an empty answer and a copy of the input.
    """
    counts = Counter(example.target for example in train)
    commonest = min(counts, key=lambda target: (-counts[target], target))
    said = {MAJORITY: [commonest] * len(tests)}
    if task.kind == "generate":
        said |= {EMPTY: [""] * len(tests), COPY: [example.input for example in tests]}
    return [
        _answer(task, floor, example, text)
        for floor, texts in said.items()
        for example, text in zip(tests, texts, strict=True)
    ]


def _answer(task: TaskSpec, floor: str, example: Example, text: str) -> Prediction:
    parsed = task.extract(text)
    return Prediction(
        arm=floor,
        id=example.id,
        group=example.group,
        reference=example.target if task.kind == "classify" else reference(task, example),
        raw=text,
        parsed=parsed,
        scores={},
        flags=("empty",) if not text.strip() else ("unparsed",) if parsed is None else (),
        prompt_tokens=0,
        completion_tokens=0,
    )
