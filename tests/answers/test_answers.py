"""Extractors and metrics, held against hand-worked cases, scikit-learn, and gsm8k's own judgements."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, f1_score

from ftkit import compare
from ftkit.contracts import Totals
from ftkit.records import Prediction, read_jsonl
from ftkit.registry import find


def extract(name: str, text: str, **options: Any) -> str | None:
    component = find("extractors", name)
    found = component.function(component.config_type(**options), text)
    assert found is None or isinstance(found, str)
    return found


def score(name: str, *pairs: tuple[str | None, str], **options: Any) -> Any:
    component = find("metrics", name)
    found = component.function(component.config_type(**options), [prediction(*pair) for pair in pairs])
    return found.value if isinstance(found, Totals) else found


def prediction(parsed: str | None, reference: str) -> Prediction:
    return Prediction("arm", "id", "group", reference, parsed or "", parsed, {}, (), 1, 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She makes $18 a day. #### 18", "18"),
        ("$1,250.50 in total", "1250.5"),
        ("10-3 is 7", "7"),
        ("from 10-3", "3"),
        ("it fell to -4.0 degrees", "-4"),
        ("0.50", "0.5"),
        (".5 of it", "0.5"),
        ("12,34", "34"),
        ("1,000,000", "1000000"),
        ("−7", "-7"),
        ("-0", "0"),
        ("answer: 18.", "18"),
        ("none at all", None),
        ("", None),
    ],
)
def test_the_last_number_is_written_plainly(text: str, number: str | None) -> None:
    assert extract("last_number", text) == number


def test_last_number_agrees_with_gsm8k_on_every_solution(shared_data: Path) -> None:
    disagreements, judged = [], 0
    for row in read_jsonl(shared_data / "gsm8k" / "example_model_solutions.jsonl"):
        expected = extract("last_number", row["ground_truth"])
        for name, solution in row.items():
            if isinstance(solution, dict):
                judged += 1
                if (extract("last_number", solution["solution"]) == expected) != solution["is_correct"]:
                    disagreements.append((name, row["question"]))
    assert judged == 5276
    assert disagreements == []


def test_regex_takes_the_first_group_of_the_last_match() -> None:
    assert extract("regex", "Answer: A\nAnswer: C", pattern=r"Answer: ([A-D])") == "C"
    assert extract("regex", "A then B", pattern=r"[A-D]") == "B"
    assert extract("regex", "none", pattern=r"([A-D])x") is None


def test_exact_and_first_line_leave_nothing_but_the_answer() -> None:
    assert extract("exact", "  yes \n") == "yes"
    assert extract("exact", " \n") is None
    assert extract("first_line", "\n  yes \nno") == "yes"


def test_accuracy_and_macro_f1_agree_with_scikit_learn() -> None:
    rng = random.Random(0)
    labels = ["a", "b", "c", "d"]
    expected = [rng.choice(labels) for _ in range(400)]
    answered = [label if rng.random() < 0.6 else rng.choice(labels) for label in expected]
    pairs = list(zip(answered, expected, strict=True))
    assert sum(score("accuracy", *pairs)) / 400 == pytest.approx(accuracy_score(expected, answered))
    assert score("macro_f1", *pairs) == pytest.approx(f1_score(expected, answered, average="macro"))


def test_an_answer_that_could_not_be_parsed_is_wrong_everywhere() -> None:
    assert score("accuracy", (None, "a"), ("a", "a")) == [0.0, 1.0]
    assert score("exact_match", (None, "a")) == score("token_f1", (None, "a")) == [0.0]
    assert score("numeric_match", (None, "3")) == [0.0]
    assert score("macro_f1", (None, "a"), ("b", "b")) == 0.5


def test_token_f1_counts_shared_words() -> None:
    assert score("token_f1", ("the cat sat", "a cat sat down")) == [pytest.approx(2 * 2 / (2 + 3))]
    assert score("squad_match", ("The cat!", "cat"), ("!", "?"), ("?", "?")) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("A.", "A"),
        ("(A)", "A"),
        ("A)", "A"),
        ('"A".', "A"),
        ("**A**", "A"),
        ("«Oui !»", "Oui"),
        ("¿Qué?", "Qué"),
        ("「東京」。", "東京"),
        ("cafe\u0301", "café"),
        ("a\u00a0 b\n", "a b"),
        ("\u200bA", "A"),
    ],
)
def test_exact_match_looks_past_form_white_space_and_outer_punctuation(answer: str, reference: str) -> None:
    assert score("exact_match", (answer, reference), (reference, answer)) == [1.0, 1.0]


@pytest.mark.parametrize(
    "texts",
    [
        ["-5", "5", "+5", "5!", "5%", "$5", "#5", ".5"],
        ["3.14", "314", "3,14"],
        ["C", "C++", "C#", "c", "C*"],
        ["A", "A+", "A-", "a"],
        [":)", ":(", "!", "?", "...", "😀", "😃"],
        ["(0, 1)", "[0, 1]", "0, 1"],
        ["f(x)", "f", "fx"],
        ["x²", "x2"],
        ["n", "n!", "-n"],
        ["the cat", "cat", "The cat"],
        ['"A" and "B"', "A and B"],
    ],
)
def test_exact_match_keeps_signs_that_carry_meaning(texts: list[str]) -> None:
    for one in texts:
        assert score("exact_match", *((one, two) for two in texts)) == [float(one == two) for two in texts]


def test_token_f1_and_squad_match_never_empty_a_text() -> None:
    pairs = [("The", "a"), ("!", "?"), ("A", "The"), ("...", "The"), ("The", "the"), ("?!", "?!")]
    assert score("token_f1", *pairs) == score("squad_match", *pairs) == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "metric", "values"),
    [("option", "exact_match", (1.0, 1.0)), ("percent", "numeric_match", (1.0, 0.0))],  # percent_b is one off each time
)
def test_the_collected_answers_are_judged_right(
    name: str, metric: str, values: tuple[float, float], shared_data: Path
) -> None:
    cases = shared_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip("the cases are not here")
    found = compare(cases / f"{name}_a.jsonl", cases / f"{name}_b.jsonl", metric=metric)
    assert tuple(found.arms[arm].metrics[metric].value for arm in ("a", "b")) == values
    assert found.contrast.difference == values[0] - values[1]


def test_numeric_match_compares_numbers_not_texts() -> None:
    assert score("numeric_match", ("1,250.50", "1250.5"), ("3", "4"), ("x", "4")) == [1.0, 0.0, 0.0]
    assert score("numeric_match", ("101", "100"), tolerance=0.02) == [1.0]


LOCAL_METRIC = """
import datasets
import evaluate

class Same(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("string"), "references": datasets.Value("string")})
        return evaluate.MetricInfo(description="share", citation="", features=features)

    def _compute(self, predictions, references):
        return {"other": -1.0, "share": sum(p == r for p, r in zip(predictions, references)) / len(references)}
"""


@pytest.mark.filterwarnings("ignore")
def test_a_local_metric_of_the_evaluate_library_gives_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "same.py").write_text(LOCAL_METRIC)
    pairs = [("a", "a"), (None, "b"), ("c", "c"), ("d", "e")]
    assert score("evaluate", *pairs, path=str(tmp_path / "same.py"), key="share") == 0.5
