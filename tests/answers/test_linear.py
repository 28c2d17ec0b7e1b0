"""The linear model on word counts: the numbers of scikit-learn's own pipeline, saved without a pickle."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ftkit.answers.answering import predict
from ftkit.answers.linear import LinearModel, fit_linear, load_linear, save_linear
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Question, Sampling
from ftkit.errors import ArtifactError
from ftkit.records import Example

TEXTS = {
    "delivery": ["where is my parcel", "the courier is late", "parcel not here", "Wo ist mein Paket?"],
    "refund": ["give me my money back", "charged twice, money back", "the return was paid to nobody", "Geld zurück"],
    "login": ["password is wrong", "the login page is white", "cannot enter my account", "пароль не подходит"],
}
WORDS = Prompter(label="words", family="zero_shot")


def rows(labels: list[str]) -> list[Example]:
    pairs = [(text, label) for label in labels for text in TEXTS[label]]
    return [Example(str(place), text, label, str(place)) for place, (text, label) in enumerate(pairs)]


def scores(model: LinearModel, texts: list[str], labels: tuple[str, ...]) -> list[list[float]]:
    asked = [Question(Example("1", text, "", "1"), [], labels, [], [], False) for text in texts]
    return [[each.sum for each in row] for row in model.label_scores(asked, ctx=Context(), description="")]


def fitted(labels: list[str]) -> LinearModel:
    model = fit_linear(rows(labels), seed=3)
    assert model is not None
    return model


@pytest.mark.parametrize("labels", [["delivery", "refund"], ["delivery", "refund", "login"]], ids=["two", "three"])
def test_scores_are_the_log_probabilities_of_scikit_learns_pipeline(labels: list[str]) -> None:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    pipeline = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, random_state=3))
    pipeline.fit([row.input for row in rows(labels)], [row.target for row in rows(labels)])
    texts = ["my parcel is late", "money", "", "nothing known"]
    expected = pipeline.predict_log_proba(texts)
    assert np.allclose(scores(fitted(labels), texts, tuple(sorted(labels))), expected, rtol=1e-9, atol=1e-12)


def test_what_is_read_back_scores_alike_to_the_last_bit(tmp_path: Path) -> None:
    model, labels = fitted(["delivery", "login"]), ("delivery", "login")
    save_linear(model, tmp_path)
    texts = ["parcel password", "пароль", "", "👍", "late " * 40]
    assert scores(load_linear(tmp_path), texts, labels) == scores(model, texts, labels)


def test_two_fits_of_the_same_rows_have_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_linear(fitted(["delivery", "refund", "login"]), tmp_path / name)
    for file in ("linear.json", "linear.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_label_that_train_does_not_hold_is_never_chosen() -> None:
    model = fitted(["delivery", "refund"])
    task = TaskSpec("classify", ("delivery", "login", "refund"), 0, lambda text: text)
    (row,) = predict("linear", model, WORDS, task, [Example("1", "password is wrong", "login", "1")], Context())
    assert scores(model, ["x"], ("login",)) == [[math.log(5e-324)]]
    assert row.parsed in ("delivery", "refund")
    assert (row.prompt_tokens, row.completion_tokens, row.flags) == (0, 0, ())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_linear_model_whose_numbers_are_not_finite_answers_nothing(value: float) -> None:
    model = fitted(["delivery", "refund"])
    model.weights_LT[0, model.terms.index("parcel")] = value
    asked = [Question(Example("1", "my parcel", "", "1"), [], ("delivery",), [], [], False)]
    for ask in (model.label_scores, lambda *rest, **more: model.complete(*rest, Sampling(9), **more)):
        with pytest.raises(ArtifactError, match="the linear model on word counts gives scores that are not finite"):
            ask(asked, ctx=Context(), description="")


def test_it_writes_the_likeliest_label() -> None:
    asked = [Question(Example("1", "money back", "", "1"), [], (), [], [], False)]
    done = fitted(["delivery", "refund"]).complete(asked, Sampling(5), ctx=Context(), description="")
    assert [each.text for each in done] == ["refund"]


def test_there_is_none_of_one_label_or_of_texts_without_a_word() -> None:
    assert fit_linear(rows(["delivery"]), seed=1) is None
    assert fit_linear([Example("1", "!", "a", "1"), Example("2", "?", "b", "2")], seed=1) is None


def test_files_that_do_not_fit_one_another_are_refused(tmp_path: Path) -> None:
    save_linear(fitted(["delivery", "refund"]), tmp_path)
    facts = json.loads((tmp_path / "linear.json").read_text(encoding="utf-8"))
    (tmp_path / "linear.json").write_text(json.dumps({**facts, "terms": facts["terms"][1:]}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"linear\.json and linear\.safetensors are not of one model"):
        load_linear(tmp_path)
