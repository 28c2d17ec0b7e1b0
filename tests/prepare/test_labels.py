"""Labels and other targets, as sources hold them: texts, numbers, truth values, objects, or none at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftkit.contracts import Context, Quiet
from ftkit.errors import DataError
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, check, run


def config(folder: Path, rows: list[dict[str, Any]], task: Any = "classify", **columns: str) -> PrepareConfig:
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    data = {"source": {"jsonl": {"path": str(folder / "t.jsonl"), **columns}}, "clean": [], "split": {"by": "random"}}
    return PrepareConfig.model_validate({"task": task, "seed": 17, "data": data})


def prepared(config: PrepareConfig, folder: Path, progress: Quiet | None = None) -> Prepared:
    out = folder / "out"
    out.mkdir()
    return run(config, out, Context(progress=progress or Quiet()))


def texts(count: int) -> list[str]:
    return [f"{number**9:x} {number**8:x}" for number in range(1, count + 1)]


def test_texts_alone_cannot_be_classified_and_check_says_so_at_once(tmp_path: Path) -> None:
    alone = config(tmp_path, [{"text": text} for text in texts(40)])
    for place in (lambda: check(alone, Context()), lambda: prepared(alone, tmp_path)):
        with pytest.raises(DataError, match=r"^data\.source: the rows are texts alone, without a label; to classify, "):
            place()


def test_targets_that_nearly_every_row_has_for_itself_are_no_labels_unless_they_are_listed(tmp_path: Path) -> None:
    rows = [{"text": text, "answer": f"answer {number}"} for number, text in enumerate(texts(40))]
    columns = {"input": "text", "target": "answer"}
    with pytest.raises(DataError, match=r"40 rows have 40 targets, 'answer 0' and 'answer 1' among them: too many"):
        prepared(config(tmp_path, rows, **columns), tmp_path)
    task = {"classify": {"labels": [row["answer"] for row in rows]}}
    other = tmp_path / "other"
    other.mkdir()
    assert len(prepared(config(other, rows, task, **columns), other).summary.labels) == 40


def test_a_few_rows_may_have_a_label_each(tmp_path: Path) -> None:
    rows = [{"input": text, "target": f"label {number}"} for number, text in enumerate(texts(12))]
    assert len(prepared(config(tmp_path, rows), tmp_path).summary.labels) == 12


@pytest.mark.parametrize(
    ("values", "labels", "kinds"),
    [
        ([1, 2, 3], ("1", "2", "3"), ["numbers"]),
        ([0.0, 1, 0.5], ("0", "0.5", "1"), ["numbers"]),
        ([True, False], ("false", "true"), ["truth values"]),
        ([1, "two", True], ("1", "true", "two"), ["numbers", "truth values"]),
    ],
)
def test_numbers_and_truth_values_are_labels_and_said_once(
    values: list[Any], labels: tuple[str, ...], kinds: list[str], tmp_path: Path
) -> None:
    rows = [{"input": text, "target": values[number % len(values)]} for number, text in enumerate(texts(300))]
    said = Quiet()
    assert prepared(config(tmp_path, rows), tmp_path, said).summary.labels == labels
    assert [line for line in said.said if "taken as text" in line] == [
        f"source: 'target' holds {kind}: they are taken as text" for kind in kinds
    ]


def objects() -> list[dict[str, Any]]:
    topics = ("refund", "login")
    return [{"text": text, "json": {"topic": topics[n % 2], "day": {"n": n}}} for n, text in enumerate(texts(40))]


def test_targets_that_are_objects_are_one_error_that_says_how_to_write_or_enter_them(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        check(config(tmp_path, objects(), "generate", input="text", target="json"), Context())
    path = tmp_path / "t.jsonl"
    assert str(raised.value) == (
        f"{path}:1: 'json' is an object; expected a string: target: \"{{json}}\" writes it as JSON, target: json.topic "
        f"takes what stands in it; so are 19 more rows, up to {path}:20; on_error: drop in data leaves such rows out "
        "and lists them in the ledger"
    )


def test_an_object_is_written_as_json_or_entered(tmp_path: Path) -> None:
    for folder in ("whole", "within"):
        (tmp_path / folder).mkdir()
    whole = prepared(
        config(tmp_path / "whole", objects(), "generate", input="text", target="{json}"), tmp_path / "whole"
    )
    assert {json.loads(row.target)["topic"] for row in whole.split("train")} == {"refund", "login"}
    within = config(tmp_path / "within", objects(), input="text", target="json.topic")
    assert prepared(within, tmp_path / "within").summary.labels == ("login", "refund")


def test_an_object_within_an_object_is_no_text(tmp_path: Path) -> None:
    nested = config(tmp_path, objects(), "generate", input="text", target="json.day")
    with pytest.raises(DataError, match=r"'json\.day' is an object; .* target: json\.day\.n takes what stands in it"):
        prepared(nested, tmp_path)
