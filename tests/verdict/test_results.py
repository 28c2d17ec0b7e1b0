"""The typed records of a finished run: written and read back to the same bytes, and nothing else is taken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from comparisons import recipe, write_run

from ftkit.contracts import Context
from ftkit.errors import ArtifactError
from ftkit.run.artifacts import Compared
from ftkit.run.stages import compare
from ftkit.run.stages.compare import CompareConfig
from ftkit.store import JsonRecord, read_json, write_json


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A run of 40 rows, compared; tests copy it before they change anything."""
    folder = tmp_path_factory.mktemp("results")
    out = folder / "compare"
    out.mkdir()
    return compare.run(CompareConfig.of(recipe()), write_run(folder / "run", num_rows=40), out, Context())


@pytest.fixture
def compared(whole: Compared, tmp_path: Path) -> Compared:
    """A copy of it."""
    return Compared(Path(shutil.copytree(whole.path, tmp_path / "compare")))


def change(path: Path, **keys: Any) -> None:
    """Write other values into a JSON file; a key may have parts, joined by two underscores."""
    value = read_json(path)
    for key, new in keys.items():
        *outer, last = key.split("__")
        place = value
        for part in outer:
            place = place[part]
        place[last] = new
    write_json(path, value)


def test_records_are_read_back_as_the_bytes_that_were_written(compared: Compared, tmp_path: Path) -> None:
    records: dict[str, JsonRecord] = {"verdict.json": compared.verdict, "metrics.json": compared.metrics}
    for name, record in records.items():
        write_json(tmp_path / name, record.as_json())
        assert (tmp_path / name).read_bytes() == (compared.path / name).read_bytes()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"ship": 3}, r"ship: input should be a valid string, found 3"),
        ({"contrast__diference": 0.2}, r"contrast\.diference: unknown key"),
        ({"primary": {"metric": "accuracy", "level": 0.95}}, r"primary\.margin: is missing"),
        ({"contrast__interval": [0.1]}, r"contrast\.interval\.1: is missing"),
        ({"num_rows": 40.5}, r"num_rows: .*, found 40\.5"),
        ({"verdict": "fine-tuned"}, r"verdict: input should be 'invalid', .*, found 'fine-tuned'"),
        ({"guards": [{"name": "leak", "passed": True, "detail": ""}]}, r"guards\.0\.status: is missing"),
    ],
)
def test_a_verdict_that_does_not_fit_is_refused_by_file_and_key(
    compared: Compared, keys: dict[str, Any], message: str
) -> None:
    change(compared.path / "verdict.json", **keys)
    with pytest.raises(ArtifactError, match=r"verdict\.json: " + message):
        _ = compared.verdict


def test_half_a_file_is_refused(compared: Compared) -> None:
    path = compared.path / "metrics.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"metrics\.json: invalid JSON"):
        _ = compared.metrics


def test_a_record_cannot_be_changed(compared: Compared) -> None:
    with pytest.raises(ValueError, match="frozen"):
        compared.verdict.ship = "base+zero_shot"  # type: ignore[misc]


@pytest.mark.parametrize(("status", "outcome"), [("not_applicable", "fine_tuned"), ("failed", "invalid")])
def test_a_guard_that_does_not_apply_leaves_the_verdict_as_it_is(tmp_path: Path, status: str, outcome: str) -> None:
    inputs = write_run(tmp_path)
    guard = {"name": "adapter_changes_logits", "status": status, "detail": "no log-probabilities"}
    write_json(inputs.evaluated.path / "guards.json", [guard])
    comparison = compare.assemble(CompareConfig.of(recipe()), inputs, Context())
    assert comparison.verdict.verdict == outcome
    assert guard in comparison.verdict.as_json()["guards"]
