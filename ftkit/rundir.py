"""What can be done with a finished run: read its verdict, answer new rows, export the model to ship.

Reads run directories; changes none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftkit.answering import predict
from ftkit.arms import ArmModel, arm_models, task_spec
from ftkit.artifacts import Arm, Compared, Evaluated, Prepared, Trained
from ftkit.contracts import Context
from ftkit.engine.load import load, load_tuned, merge
from ftkit.engine.probe import last_logits, logits_in_fresh_process
from ftkit.errors import ArtifactError, DataError, RecipeError
from ftkit.recipe import Recipe
from ftkit.records import Example, read_numbered_jsonl
from ftkit.registry import suggest
from ftkit.sources import SourceConfig
from ftkit.store import read_json, verify, write_json

NUM_PROBES = 4
LOGIT_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}  # relative; merging rounds the weights once more


@dataclass(frozen=True)
class FinishedRun:
    """A run directory with its verified artifacts, by stage."""

    path: Path
    recipe: Recipe
    artifacts: dict[str, Path]

    @property
    def compared(self) -> Compared:
        """The last stage."""
        return Compared(self.artifacts["compare"])

    @property
    def trained(self) -> dict[str, Trained]:
        """The tuned models, by method."""
        found = {name: path for name, path in self.artifacts.items() if name.startswith("train-")}
        return {name.removeprefix("train-"): Trained(path) for name, path in found.items()}

    def arm(self, name: str = "") -> Arm:
        """An arm by name; without one, the arm to ship. Raises RecipeError where there is none."""
        arms = {arm.name: arm for arm in Evaluated(self.artifacts["evaluate"]).arms}
        chosen = name or self.compared.verdict["ship"]
        if chosen is None:
            raise RecipeError(f"{self.path}: the verdict is invalid, so no arm ships; name one with --arm")
        if chosen not in arms:
            raise RecipeError(f"--arm {chosen}: no such arm{suggest(chosen, arms)}")
        return arms[chosen]


def open_run(run_dir: Path) -> FinishedRun:
    """Open a run whose verdict is there. Raises RecipeError where it is not, ArtifactError where it is damaged."""
    latest = run_dir / "latest.json"
    if not latest.is_file():
        raise RecipeError(f"{run_dir}: not a run directory (no latest.json); expected something like runs/quickstart")
    names = read_json(latest)
    if "compare" not in names:
        raise RecipeError(f"{run_dir}: the run has not reached its verdict; run the same command again")
    resolved = run_dir / "recipe.resolved.json"
    try:
        recipe = Recipe.model_validate(read_json(resolved))
    except (OSError, ValidationError):
        raise ArtifactError(
            f"{resolved}: missing, damaged, or of another version of ftkit; run the same command again"
        ) from None
    return FinishedRun(run_dir, recipe, {stage: verify(run_dir / name).path for stage, name in names.items()})


def predict_rows(run_dir: Path, rows: Path, *, arm: str = "", ctx: Context) -> Iterator[dict[str, Any]]:
    """Answers of an arm to the rows of a JSONL file, in their order: id, answer, raw, flags."""
    run = open_run(run_dir)
    source = run.recipe.data.source.options
    assert isinstance(source, SourceConfig)
    examples = _examples(rows, source.input, source.id)
    chosen = run.arm(arm)
    task = task_spec(run.recipe.task, Prepared(run.artifacts["prepare"]).summary["labels"])
    loaded = arm_models(run.recipe, run.trained, ctx)[chosen.model].load()
    for row in predict(chosen.name, loaded, chosen.prompt, task, examples, ctx):
        yield {"id": row.id, "answer": row.parsed, "raw": row.raw, "flags": list(row.flags)}


def export_model(run_dir: Path, out: Path, *, arm: str = "", ctx: Context) -> Path:
    """Write the model of an arm as one folder that transformers loads, with its prompt in `arm.json`.

    Adapters are merged; one that was trained on nf4 is merged onto the unquantised base. Raises RecipeError where
    `out` exists already.
    """
    if out.exists():
        raise RecipeError(f"--out {out}: exists already; name a new folder")
    run = open_run(run_dir)
    chosen = run.arm(arm)
    model = arm_models(run.recipe, run.trained, ctx)[chosen.model]
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if chosen.model in run.trained and run.trained[chosen.model].training["kind"] == "adapter":
        merge(model.spec, run.trained[chosen.model].weights, partial, ctx)
    else:
        loaded = model.load()
        loaded.model.save_pretrained(partial)
        loaded.renderer.tokenizer.save_pretrained(partial)
    write_json(partial / "arm.json", chosen.as_json())
    _check_logits(run, chosen, model, partial, ctx)
    partial.rename(out)
    return out


def _check_logits(run: FinishedRun, arm: Arm, model: ArmModel, folder: Path, ctx: Context) -> None:
    """Hold the folder's logits, computed in a fresh process, against those of the arm. Raises ArtifactError."""
    spec = replace(model.spec, quantize="none")
    trained = run.trained.get(arm.model)
    loaded = load_tuned(spec, trained.weights, trained.training["kind"], ctx) if trained else load(spec, ctx)
    rows = Prepared(run.artifacts["prepare"]).split("valid")[:NUM_PROBES]
    ids = [loaded.renderer.render(arm.prompt.messages(row.input)).context_ids for row in rows]
    expected = last_logits(loaded.model, ids)
    found = logits_in_fresh_process(folder, ids)
    difference = float((found - expected).norm() / expected.norm())
    if not difference <= LOGIT_TOLERANCE[loaded.precision]:
        raise ArtifactError(
            f"{folder}: its logits differ from the arm's by {difference:.2e}, "
            f"more than {LOGIT_TOLERANCE[loaded.precision]:.0e}; the export is not usable"
        )
    ctx.progress.say(f"logits checked in a fresh process: relative difference {difference:.1e} on {len(ids)} rows")


def _examples(path: Path, column: str, id_column: str | None) -> list[Example]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    examples = []
    for number, row in read_numbered_jsonl(path):
        text = row.get(column)
        if not isinstance(text, str):
            found = f"is {json.dumps(text)}" if column in row else f"is missing{suggest(column, row)}"
            raise DataError(f"{path}:{number}: {column!r} {found}; a text is expected")
        name = str(row.get(id_column, number)) if id_column else str(number)
        examples.append(Example(id=name, input=text, target="", group=name))
    if not examples:
        raise DataError(f"{path}: has no rows")
    return examples
