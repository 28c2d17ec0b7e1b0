"""What others build on. A text that changes here is a change for them: say so in the commit."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from small_runs import SetUp

import ftkit
from ftkit.run.pipeline import Result
from ftkit.training.trainer import TrainOptions, TrainResult


def test_the_public_names_are_these() -> None:
    names = ["DataRecipe", "Recipe", "Trainer", "compare", "load_data_recipe", "load_recipe", "prepare_rows", "run"]
    assert ftkit.__all__ == names
    assert dir(ftkit) == sorted([*names, "__version__"])
    assert [name for name in names if not callable(getattr(ftkit, name))] == []


def test_the_version_is_that_of_the_distribution() -> None:
    assert ftkit.__version__ == version("ftkit")


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Trainr' from 'ftkit'"):
        from ftkit import Trainr  # noqa: F401


def test_run_can_be_called_though_a_room_has_its_name(made: SetUp, tmp_path: Path) -> None:
    importlib.import_module("ftkit.run.side_by_side")
    result = ftkit.run(made.recipe(), runs_dir=tmp_path / "runs", until="prepare", ctx=made.context())
    assert list(result.artifacts) == ["prepare"]
    assert result.verdict is None


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            ftkit.compare,
            "(a: str | Path, b: str | Path, *, metric: str | None = None, margin: float | None = None, "
            "level: float | None = None, seed: int = 17, ctx: Context | None = None) -> FileComparison",
        ),
        (ftkit.load_data_recipe, "(path: str | Path, *, overrides: Sequence[str] = ()) -> DataRecipe"),
        (ftkit.load_recipe, "(path: str | Path, *, overrides: Sequence[str] = ()) -> Recipe"),
        (
            ftkit.prepare_rows,
            "(recipe: DataRecipe, rows: Any = None, *, runs_dir: str | Path = 'runs', fresh: bool = False, "
            "quiet: bool = False, ctx: Context | None = None) -> Result",
        ),
        (
            ftkit.run,
            "(recipe: Recipe | str | Path | Mapping[str, Any], *, runs_dir: str | Path = 'runs', "
            "until: Until = 'compare', fresh: bool = False, overrides: Sequence[str] = (), quiet: bool = False, "
            "ctx: Context | None = None) -> Result",
        ),
        (
            ftkit.Trainer.__init__,
            "(self, model: Any, method: str | Mapping[str, Any] = 'lora', rows: Iterable[Mapping[str, Any]] = (), *, "
            "output_dir: str | Path, valid_rows: Iterable[Mapping[str, Any]] | None = None, instruction: str = '', "
            "tokenizer: Any = None, revision: str | None = None, "
            "precision: Literal['auto', 'float32', 'bfloat16'] = 'auto', seed: int = 17, ctx: Context | None = None, "
            "**train: Unpack[TrainOptions]) -> None",
        ),
        (ftkit.Trainer.fit, "(self) -> TrainResult"),
    ],
    ids=["compare", "load_data_recipe", "load_recipe", "prepare_rows", "run", "Trainer", "Trainer.fit"],
)
def test_a_signature_is_as_it_was(function: Callable[..., Any], expected: str) -> None:
    assert signature_of(function) == expected


def test_options_of_the_trainer_are_these() -> None:
    assert list(TrainOptions.__annotations__) == [
        *("epochs", "max_steps", "learning_rate", "weight_decay", "schedule", "warmup", "global_batch_size"),
        *("max_grad_norm", "gradient_checkpointing", "num_evals", "patience", "checkpoint_steps", "too_long"),
    ]


def test_what_training_gives_back_has_these_fields() -> None:
    assert {field.name: field.type for field in fields(TrainResult)} == {
        "weights_dir": "Path",
        "kind": "Literal['adapter', 'model']",
        "steps": "list[dict[str, Any]]",
        "loss": "float",
        "num_steps": "int",
        "best_step": "int",
        "num_cut": "int",
        "num_dropped": "int",
        "tuned": "LoadedModel",
    }
    assert isinstance(TrainResult.adapter_dir, property)


def test_what_a_run_gives_back_has_these_fields() -> None:
    assert {field.name: field.type for field in fields(Result)} == {
        "run_dir": "Path",
        "artifacts": "Mapping[str, Artifact]",
    }
    assert isinstance(Result.verdict, property)


def signature_of(function: Callable[..., Any]) -> str:
    """As it stands in the source: annotations, which Python keeps as texts, without their quotes."""
    text = str(inspect.signature(function))
    return re.sub(r"""(: |-> )(?:'([^']*)'|"([^"]*)")""", r"\1\2\3", text)
