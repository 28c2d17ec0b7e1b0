"""Two arms side by side: of files of predictions, and of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import comparisons
import pytest
from commands import ftkit
from comparisons import ARMS, answers, write_run

from ftkit import compare
from ftkit.errors import DataError, RecipeError
from ftkit.records import write_jsonl


def test_two_arms_of_one_file_are_compared_by_name(tmp_path: Path) -> None:
    path = write_run(tmp_path, num_rows=40).evaluated.path / "predictions.jsonl"
    found = compare(f"{path}#lora+zero_shot", f"{path}#base+few_shot")
    assert (found.contrast.a, found.contrast.b) == ("lora+zero_shot", "base+few_shot")
    assert found.num_rows == 40


def test_a_file_of_several_arms_needs_a_name(tmp_path: Path) -> None:
    path = write_run(tmp_path, num_rows=40).evaluated.path / "predictions.jsonl"
    with pytest.raises(DataError, match=r"holds 5 arms .*name one as .*#base\+few_shot"):
        compare(path, path)
    with pytest.raises(DataError, match=r"no arm 'lora\+zero'; did you mean 'lora\+zero_shot'"):
        compare(f"{path}#lora+zero", f"{path}#base+few_shot")


def test_a_missing_file_and_an_unknown_metric_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file of predictions"):
        compare(tmp_path / "none.jsonl", tmp_path / "none.jsonl")
    with pytest.raises(RecipeError, match="did you mean 'accuracy'"):
        compare(tmp_path, tmp_path, metric="acuracy")


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    one, twice = tmp_path / "one.jsonl", tmp_path / "twice.jsonl"
    rows = answers(ARMS[0], comparisons.tests(4), right="012")
    write_jsonl(one, rows)
    write_jsonl(twice, [*rows, rows[0]])
    with pytest.raises(DataError, match=rf"a is {one}, b is {twice}: side b: 1 ids stand twice \('r0000'\)"):
        compare(one, twice)


def test_the_convention_read_from_the_references_of_files_is_said_once_beside_the_result(tmp_path: Path) -> None:
    rows = answers(ARMS[0], comparisons.tests(4), right="0123")
    written = [replace(row, reference=f"{k},5", raw=f"{k}.5", parsed=f"{k}.5") for k, row in enumerate(rows)]
    for name in ("a", "b"):
        write_jsonl(tmp_path / name, [replace(row, arm=name) for row in written])
    done = ftkit("compare", tmp_path / "a", tmp_path / "b", "--metric", "numeric_match", "--json")
    assert json.loads(done.out)["num_rows"] == 4
    assert done.err.splitlines() == [
        "numbers: the decimal sign is ','; numbers in targets that show it: 4",
        "numbers: no target has a per cent sign, so 50% in an answer counts as 50; else say percent: hundredths",
    ]
    assert ftkit("compare", tmp_path / "a", tmp_path / "b", "--metric", "exact_match").err == ""
