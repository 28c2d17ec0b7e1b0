"""Floors: what is reached without reading a row. The majority label.

Pure: rows in, labels out. Knows no model and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ftkit.records import Example, Prediction


def majority_predictions(train: Sequence[Example], tests: Sequence[Example]) -> list[Prediction]:
    """The label that most rows of train have (of equals the first in the alphabet), for every row of `tests`."""
    counts = Counter(example.target for example in train)
    label = min(counts, key=lambda label: (-counts[label], label))
    return [
        Prediction(
            arm="majority",
            id=example.id,
            group=example.group,
            reference=example.target,
            raw=label,
            parsed=label,
            scores={},
            flags=(),
            prompt_tokens=0,
            completion_tokens=0,
        )
        for example in tests
    ]
