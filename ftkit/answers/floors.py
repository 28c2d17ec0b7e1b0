"""Floors: what is reached without a language model. The majority label, and TF-IDF with logistic regression.

Pure: rows in, labels out. Knows no model and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ftkit.records import Example, Prediction


def floor_predictions(train: Sequence[Example], tests: Sequence[Example], *, seed: int) -> dict[str, list[Prediction]]:
    """Predictions of every floor on `tests`, learnt from `train`. For classification only."""
    counts = Counter(example.target for example in train)
    majority = min(counts, key=lambda label: (-counts[label], label))
    floors = {"majority": [majority] * len(tests)}
    if len(counts) > 1:
        floors["tfidf_logreg"] = _linear(train, tests, seed)
    return {
        name: [_prediction(name, example, label) for example, label in zip(tests, labels, strict=True)]
        for name, labels in floors.items()
    }


def _linear(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, random_state=seed))
    model.fit([example.input for example in train], [example.target for example in train])
    return [str(label) for label in model.predict([example.input for example in tests])]


def _prediction(name: str, example: Example, label: str) -> Prediction:
    return Prediction(
        arm=name,
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
