"""Every prompt strategy, extractor and metric does what its golden example says, and keeps to its kind's contracts.

Knows no component by name: adding one is adding its file, and `golden/<kind>/<name>.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from golden_examples import Extractor, Metric, Prompting, golden, write

from ftkit.answers.answering import metric_value
from ftkit.answers.prompt import Prompter, Skipped, prompter_of, shown_turns
from ftkit.contracts import Scores, TaskSpec, Totals
from ftkit.errors import DataError
from ftkit.records import Example, Prediction
from ftkit.registry import choice_of, find, names


def fitted(name: str, example: Prompting, train: Sequence[Example]) -> dict[str, Prompter | Skipped]:
    """The prompts of an example by label, as they are read back once they are frozen."""
    component, task = find("prompting", name), TaskSpec("classify", tuple(example.labels), 0, lambda text: text)
    config = component.config_type.model_validate(example.options)
    prompts = component.function(config, task, train, example.seed)
    named = [
        each
        if isinstance(each, Skipped)
        else prompter_of(json.loads(json.dumps(each.named(name, example.options, example.instruction).as_json())))
        for each in prompts
    ]
    assert len({each.label for each in named}) == len(named)
    return {each.label: each for each in named}


@pytest.mark.parametrize("name", names("prompting"))
def test_every_prompt_strategy_asks_of_its_example_what_the_example_says(name: str) -> None:
    example = golden(Prompting, name)
    train, row = [Example(**row, group=row["id"]) for row in example.train], Example(**example.row, group="row")
    prompts = fitted(name, example, train)
    assert prompts == fitted(name, example, train[::-1])
    assert example.expected == {
        label: each.reason
        if isinstance(each, Skipped)
        else [[turn["role"], turn["content"]] for turn in each.messages(row)]
        for label, each in prompts.items()
    }
    of_train = {row.id: shown_turns(row) for row in train}
    assert all(each.train_rows.items() <= of_train.items() for each in prompts.values() if isinstance(each, Prompter))


@pytest.mark.parametrize("name", names("extractors"))
def test_every_extractor_finds_in_its_example_what_the_example_says(name: str) -> None:
    example, component = golden(Extractor, name), find("extractors", name)
    config = component.config_type.model_validate(example.options)
    expected = [answer["expected"] for answer in example.answers]
    assert [component.function(config, answer["text"]) for answer in example.answers] == expected
    assert None in expected, "an example shows where there is nothing to find"
    assert all(text.strip() == text != "" for text in expected if text is not None)
    assert component.function(config, "") is None


HARD = [
    *["-5", "+5", "5", "3.14", "314", "1,5", "15", "1 000", "50%", "-50 %", "6.02e23", "$1,250.50", "٣٫٥", "４２"],
    *["C", "C++", "C#", "A+", ":)", ":(", "😀", "❤️", "...", "!", "?", "()", "**", "'", "The", "a", "-", "%"],
    *[
        r"\frac{3}{4}",
        r"\boxed{-\sqrt{2}}",
        "$x^2$",
        "f(x)",
        "[0, 1)",
        "x != 1",
        "a\nb",
        "北京",
        "日本語。",
        "cafe\u0301",
    ],
]


@pytest.mark.parametrize("name", names("extractors"))
def test_what_any_extractor_finds_in_a_hard_text_is_all_that_it_needs(name: str) -> None:
    component = find("extractors", name)
    config = component.config_type.model_validate(golden(Extractor, name).options)
    for text in HARD:
        found = component.function(config, text)
        assert found is None or found == found.strip() != "", text
        assert found is None or any(letter.isalnum() for letter in found) or found in text, text
        assert component.function(config, f"{text}\n") == found, text


OF_OTHERS = pytest.mark.filterwarnings("ignore")  # code from elsewhere may warn of what it likes
METRICS = [
    pytest.param(name, marks=OF_OTHERS if find("metrics", name).config_type.runs_code else ())
    for name in names("metrics")
]


def scores(found: Scores) -> Sequence[float] | float:
    """What a metric returned, of totals their value."""
    return found.value if isinstance(found, Totals) else found


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_scores_its_example_as_the_example_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, component = golden(Metric, name), find("metrics", name)
    write(example.files, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    config = component.config_type.model_validate(example.options)
    rows = [
        Prediction("arm", f"r{n}", f"r{n}", row["reference"], row["parsed"] or "", row["parsed"], {}, (), 1, 1)
        for n, row in enumerate(example.predictions)
    ]
    unparsed = [row.parsed is None for row in rows]
    assert any(unparsed), "an example shows what an answer counts that could not be parsed"
    found, backwards = scores(component.function(config, rows)), scores(component.function(config, rows[::-1]))
    assert found == pytest.approx(example.expected, rel=1e-6)
    assert scores(component.function(config, rows)) == found
    if isinstance(found, float):
        assert backwards == pytest.approx(found)
        return
    assert [type(value) for value in found] == [float] * len(rows)
    assert backwards == found[::-1]
    assert [component.function(config, [row]) for row in rows] == [[value] for value in found]
    assert {value for value, is_unparsed in zip(found, unparsed, strict=True) if is_unparsed} == {0.0}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_a_perfect_answer_all_of_its_score_or_says_why_it_cannot(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = golden(Metric, name)
    write(example.files, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    metric = choice_of("metrics").model_validate({name: example.options})
    judged = []
    for text in HARD if not metric.options.runs_code else HARD[:1]:
        try:
            assert metric_value(metric, [Prediction("arm", "R1", "R1", text, text, text, {}, (), 1, 1)]) == 1.0, text
        except DataError as error:
            assert str(error).startswith("R1: ") and repr(text) in str(error)
        else:
            judged.append(text)
    assert judged, "a metric judges some of the texts"
