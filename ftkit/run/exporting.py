"""The model of an arm as a folder to ship, which answers the test rows as the arm was scored, or is refused.

Reads a run directory; changes none.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ftkit.answers.answering import metric_value
from ftkit.answers.asking import Asker
from ftkit.answers.prompt import Arm
from ftkit.contracts import Context
from ftkit.engine.answerer import Reader
from ftkit.engine.load import load_plain, load_tuned
from ftkit.engine.local import LocalModel
from ftkit.engine.probe import last_logits
from ftkit.engine.shipping import write_model
from ftkit.errors import ArtifactError, MachineError, RecipeError
from ftkit.records import Example, Prediction
from ftkit.run.finished import FinishedRun, open_run
from ftkit.run.models import ArmModel
from ftkit.run.reanswering import Reanswered, reanswer
from ftkit.store import write_json

NUM_PROBES = 4
LOGIT_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}  # relative; merging rounds the weights once more


def export_model(run_dir: Path, out: Path, *, arm: str = "", ctx: Context) -> Path:
    """Write the model of an arm as one folder that transformers loads, with its prompt in `arm.json`.

    Adapters are merged; quantised weights take the values that they stand for. The linear model is copied as it is.
    Raises RecipeError where `out` exists already, ArtifactError where the folder does not answer as the arm did.
    """
    if out.exists():
        raise RecipeError(f"--out {out}: exists already; name a new folder")
    run = open_run(run_dir)
    chosen = run.arm(arm)
    model = run.model(chosen, ctx)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if chosen.side == "simple":
        shutil.copytree(run.evaluated.path / "linear", partial, dirs_exist_ok=True)
    else:
        write_checked(run, chosen, model, partial, ctx)
    turns = chosen.prompter.messages(Example(id="", input="{input}", target="", group=""))
    write_json(partial / "arm.json", {**chosen.as_json(), "messages": turns})
    partial.rename(out)
    return out


def write_checked(run: FinishedRun, arm: Arm, model: ArmModel, folder: Path, ctx: Context) -> None:
    """The model of an arm that has a base, as transformers loads it; held against the arm in a fresh process."""
    if model.precision != arm.precision:
        raise MachineError(
            f"{arm.name} was scored in {arm.precision}, this machine computes in {model.precision}: "
            "export it on a machine like the one it was scored on, or set model.precision and run the recipe again"
        )
    answerer = model.load()
    assert isinstance(answerer, LocalModel), "arms of these sides have a base"
    ids = _probes(run, arm, answerer)
    expected = last_logits(answerer.loaded.model, ids)
    del answerer
    plain = _plain_model(run, arm, model, ctx)
    write_model(plain.loaded, folder, max_new_tokens=_longest_answer(run, arm, plain))
    precision = plain.loaded.precision
    del plain
    found = reanswer(run.artifacts["compare"], folder, arm=arm.name, precision=precision, probes=ids, ctx=ctx)
    difference = float((found.logits - expected).norm() / expected.norm())
    if not difference <= LOGIT_TOLERANCE[precision]:
        raise ArtifactError(
            f"{folder}: its logits differ from the arm's by {difference:.2e}, "
            f"more than {LOGIT_TOLERANCE[precision]:.0e}; the export is not usable"
        )
    ctx.progress.say(f"logits checked in a fresh process: relative difference {difference:.1e} on {len(ids)} rows")
    ctx.progress.say(require_as_scored(run, arm, found, folder))


def _plain_model(run: FinishedRun, arm: Arm, model: ArmModel, ctx: Context) -> LocalModel:
    """The model of an arm as one of plain weights."""
    assert model.spec is not None, "arms of these sides have a base"
    trained = run.trained.get(arm.model)
    if trained is not None and trained.training.kind == "model":
        return LocalModel(load_tuned(model.spec, trained.weights, "model", ctx))
    return LocalModel(load_plain(model.spec, trained.weights if trained is not None else None, ctx))


def _probes(run: FinishedRun, arm: Arm, reader: Reader) -> list[list[int]]:
    """Some rows of valid under the arm's prompt, as ids."""
    asker = Asker.of_free_text(reader, arm.prompter)
    return [asker.ask(row).context_ids for row in run.prepared.split("valid")[:NUM_PROBES]]


def _longest_answer(run: FinishedRun, arm: Arm, model: LocalModel) -> int:
    """Tokens that an answer may take: what the recipe grants, or those of the longest label with its end."""
    task = run.task
    if task.kind == "generate":
        return task.max_new_tokens
    question = Example(id="", input="a", target="", group="")
    return max(map(len, Asker.of_task(model, arm.prompter, task).ask(question).choices_ids))


def require_as_scored(run: FinishedRun, arm: Arm, found: Reanswered, folder: Path) -> str:
    """What the folder's answers to test are beside those that were scored. Raises ArtifactError beyond the margin."""
    before = [row for row in run.evaluated.predictions if row.arm == arm.name]
    num_changed = sum(one.parsed != two.parsed for one, two in zip(before, found.predictions, strict=True))
    metric, margin = run.recipe.primary, run.recipe.compare.margin
    if metric.options.runs_code:  # not run here: as if each changed answer were a point
        was, now = 1.0, 1 - num_changed / len(before)
    else:
        was, now = (metric_value(metric, rows) for rows in (before, _with_references(found.predictions, before)))
    told = (
        f"{len(before):,} test rows answered anew in a fresh process: {num_changed:,} otherwise than scored; "
        f"{metric.name} {now:.4f}, scored {was:.4f}, difference {now - was:+.4f}"
    )
    if not abs(now - was) <= margin:
        raise ArtifactError(
            f"{folder}: {told}, beyond the margin of {margin:g}: what would ship is not what was scored"
        )
    return told


def _with_references(rows: Sequence[Prediction], scored: Sequence[Prediction]) -> list[Prediction]:
    """The answers, held against what was held against them when they were scored."""
    return [replace(row, reference=other.reference) for row, other in zip(rows, scored, strict=True)]
