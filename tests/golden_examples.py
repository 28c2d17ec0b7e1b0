"""The golden examples of components, where a kind has them: how they look, and how they are read.

Knows no component by name.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow
import pyarrow.parquet
import pytest
from word_vectors import model

GOLDEN = Path(__file__).parent / "golden"
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Example:
    """`needs` is a library of an extra; `files` are written beside the example's own folder, by the ending of each."""

    about: str
    options: Row
    needs: str | None = None
    files: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Source(Example):
    """{"about": "…", "options": {"path": "t.csv"}, "expected": [{"id": "t.csv:2", …}], "places": ["t.csv:2"]}

    The input stands beside it, here as golden/sources/<name>/t.csv, or as rows in "files" where its format is binary.
    There may be "faults", reasons by place, and "said", the lines that are said.
    """

    expected: list[Row]
    places: list[str]
    faults: Mapping[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Shape(Example):
    """{"about": "…", "options": {}, "recognised": "…", "rows": [{"id": "1", …}], "expected": [{"id": "1", …}]}

    "recognised" is the shape that the rows are taken for. There may be "faults", reasons by id.
    """

    recognised: str
    rows: list[Row]
    expected: list[Row]
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step(Example):
    """{"about": "…", "options": {}, "rows": [{"id": "1", "input": "…", "target": "…"}], "expected": [rows after it],
    "events": [{"id": "1", "action": "change", "reason": "…"}]}

    A row is its own group and has the weight 1.0 unless it says so. "twice" says what happens where the step is applied
    again; without it, nothing.
    """

    rows: list[Row]
    expected: list[Row]
    events: list[Row]
    twice: str | None = None


@dataclass(frozen=True, kw_only=True)
class Split(Example):
    """{"about": "…", "options": {}, "valid": 0.25, "test": 0.25, "seed": 17, "rows": [{"id": "1", "group": "a",
    "stratum": "x"}], "expected": {"train": ["1"], "valid": [], "test": []}}
    """

    valid: float
    test: float
    seed: int
    rows: list[Row]
    expected: Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Extractor(Example):
    """{"about": "…", "options": {}, "answers": [{"text": "It is 4", "expected": "4"}, {"text": "", "expected": null}]}

    In one text at least there is nothing to find.
    """

    answers: list[Row]


@dataclass(frozen=True, kw_only=True)
class Metric(Example):
    """{"about": "…", "options": {}, "predictions": [{"parsed": "a", "reference": "a"}, {"parsed": null,
    "reference": "b"}], "expected": [1.0, 0.0]}

    Expected is a number for each row, or one for all where the metric is that of a corpus. At least one answer could
    not be parsed.
    """

    predictions: list[Row]
    expected: list[float] | float


@dataclass(frozen=True, kw_only=True)
class Prompting(Example):
    """{"about": "…", "options": {}, "labels": ["a", "b"], "seed": 17, "instruction": "Sort.",
    "train": [{"id": "1", "input": "…", "target": "a"}], "row": {"id": "2", "input": "…", "target": "b"},
    "expected": {"zero_shot": [["user", "Sort.\\n\\n…"]]}}

    Expected are the turns before the answer to the row, by the label of each prompt, or the reason why it is skipped.
    """

    labels: list[str]
    seed: int
    instruction: str
    train: list[Row]
    row: Row
    expected: Mapping[str, list[list[str]] | str]


KINDS: dict[str, type[Example]] = {
    "sources": Source,
    "shapes": Shape,
    "cleaning": Step,
    "splitting": Split,
    "prompting": Prompting,
    "extractors": Extractor,
    "metrics": Metric,
}
Kind = TypeVar("Kind", bound=Example)


def golden(kind: type[Kind], name: str, folder: Path = GOLDEN) -> Kind:
    """The example of a component; the test fails where there is none, and is skipped where its library is missing."""
    (of_kind,) = (each for each, its_type in KINDS.items() if its_type is kind)
    path = folder / of_kind / f"{name}.json"
    looks = f"each of {of_kind} has a golden example, which looks like\n{inspect.getdoc(kind)}"
    if not path.is_file():
        pytest.fail(f"add {path}: {looks}", pytrace=False)
    try:
        example = kind(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        pytest.fail(f"{path}: {error}; {looks}", pytrace=False)
    if example.needs is not None:
        pytest.importorskip(example.needs, reason=f"{path.stem} needs {example.needs}")
    return example


def write(files: Mapping[str, Any], folder: Path) -> None:
    """What cannot stand in the repository as text."""
    for name, content in files.items():
        path = folder / name
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), path)
        elif path.suffix == ".arrow":
            table = pyarrow.Table.from_pylist(content)
            with pyarrow.ipc.new_file(str(path), table.schema) as file:
                file.write_table(table)
        elif path.suffix == ".xlsx":
            book = importlib.import_module("openpyxl").Workbook()
            for values in (content[0].keys(), *(row.values() for row in content)):
                book.active.append(list(values))
            book.save(path)
        elif path.suffix == ".py":
            path.write_text(content, encoding="utf-8")
        else:
            assert path.suffix == ".embeddings", f"{name}: files like this are not written yet"
            model(path, content)
