"""Something simpler: a linear model on word counts (TF-IDF and logistic regression), an answerer of its own side.

Knows the texts of rows and their labels; no tokenizer, no language model. Saved as safetensors and JSON.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ftkit.contracts import Context
from ftkit.engine.answerer import Completion, ContinuationScore, Question, Sampling, Tell
from ftkit.errors import ArtifactError
from ftkit.prepare.texts.words import TERM_COUNTS, terms
from ftkit.records import Example, Message
from ftkit.store import read_as

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEVER = math.log(5e-324)
FACTS, WEIGHTS = "linear.json", "linear.safetensors"


@dataclass(frozen=True)
class LinearModel:
    """Log-probabilities of labels from the words of an input.  L labels, T terms."""

    labels: tuple[str, ...]
    terms: tuple[str, ...]
    idf_T: NDArray[np.float64]
    weights_LT: NDArray[np.float64]
    bias_L: NDArray[np.float64]

    renderer = None
    context_length = None

    def count(self, messages: Sequence[Message]) -> None:
        """Unknown: it reads words."""

    def label_scores(
        self, questions: Sequence[Question], *, ctx: Context, description: str
    ) -> list[list[ContinuationScore]]:
        """Log-probability of each choice; for one that train does not hold, of the smallest number above 0."""
        known = {label: place for place, label in enumerate(self.labels)}
        rows = self._log_probabilities([question.example.input for question in questions])
        return [
            [ContinuationScore(row[known[each]] if each in known else NEVER, 1) for each in question.choices]
            for question, row in zip(questions, rows, strict=True)
        ]

    def complete(
        self,
        questions: Sequence[Question],
        sampling: Sampling,
        *,
        ctx: Context,
        description: str,
        tell: Tell | None = None,
    ) -> list[Completion]:
        """The likeliest label."""
        rows = self._log_probabilities([question.example.input for question in questions])
        return [Completion(self.labels[row.index(max(row))], 0, "end") for row in rows]

    def _log_probabilities(self, texts: Sequence[str]) -> list[list[float]]:
        import numpy as np
        from scipy.special import log_softmax
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(vocabulary=list(self.terms), **TERM_COUNTS)
        words.idf_ = self.idf_T
        logits_RL = words.transform(_terms(texts)) @ self.weights_LT.T + self.bias_L
        if not np.isfinite(logits_RL).all():
            raise ArtifactError(
                f"the linear model on word counts gives scores that are not finite: {WEIGHTS} is damaged; "
                "run the recipe again"
            )
        rows: list[list[float]] = log_softmax(logits_RL, axis=1).tolist()
        return rows


def fit_linear(train: Sequence[Example], *, seed: int) -> LinearModel | None:
    """The model of these rows; None where they have one label only, or no word."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(**TERM_COUNTS)
    if len({example.target for example in train}) < 2:
        return None
    try:
        counts_RT = words.fit_transform(_terms([example.input for example in train]))
    except ValueError:  # an empty vocabulary
        return None
    model = LogisticRegression(C=10.0, max_iter=1000, random_state=seed)
    with warnings.catch_warnings():  # of many labels on few rows, which the floors show anyway
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        model.fit(counts_RT, [example.target for example in train])
    weights_LT, bias_L = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(weights_LT) == 1:  # two labels: the weights are those of the second against the first
        weights_LT, bias_L = (np.concatenate([np.zeros_like(each), each]) for each in (weights_LT, bias_L))
    labels = tuple(str(label) for label in model.classes_)
    return LinearModel(labels, tuple(words.get_feature_names_out()), np.asarray(words.idf_), weights_LT, bias_L)


def _terms(texts: Sequence[str]) -> list[list[str]]:
    import polars

    found: list[list[str]] = terms(polars.Series(texts, dtype=polars.String)).to_list()
    return found


def save_linear(model: LinearModel, folder: Path) -> None:
    """Write the model: labels and terms as JSON, numbers as safetensors."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"idf": model.idf_T, "weights": model.weights_LT, "bias": model.bias_L}
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / WEIGHTS)
    facts = {"labels": model.labels, "terms": model.terms}
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")


def load_linear(folder: Path) -> LinearModel:
    """The model `save_linear` wrote. Raises ArtifactError where the files do not fit one another."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    facts = read_as(folder / FACTS, dict[Literal["labels", "terms"], tuple[str, ...]])
    labels, terms = facts.get("labels", ()), facts.get("terms", ())
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError) as error:
        raise ArtifactError(f"{folder / WEIGHTS}: damaged: {error}; run the recipe again") from None
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    expected = {"idf": (len(terms),), "weights": (len(labels), len(terms)), "bias": (len(labels),)}
    if shapes != expected or not labels or len({*terms}) < len(terms):
        raise ArtifactError(f"{folder}: {FACTS} and {WEIGHTS} are not of one model; run the recipe again")
    return LinearModel(labels, terms, tensors["idf"], tensors["weights"], tensors["bias"])
