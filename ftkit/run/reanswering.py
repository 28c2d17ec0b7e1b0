"""The test rows of a run, answered anew by an exported folder: `python -m ftkit.run.reanswering FOLDER`.

A process of its own, which knows nothing of how the folder was made.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.contracts import Context, Machine
from ftkit.errors import ArtifactError
from ftkit.records import Prediction, read_predictions, write_jsonl
from ftkit.store import read_json, write_json

if TYPE_CHECKING:
    import torch

POLL_S = 0.5  # how often the stop flag is looked at


@dataclass(frozen=True)
class Reanswered:
    """Answers to the test rows, in their order, and logits (rows, vocabulary) behind the last id of each probe."""

    predictions: list[Prediction]
    logits: torch.Tensor


def reanswer(
    run_dir: Path, folder: Path, *, arm: str, precision: str, probes: Sequence[Sequence[int]], ctx: Context
) -> Reanswered:
    """Answer in a fresh process. `run_dir` is as `open_run` takes it.

    Raises ArtifactError where the folder cannot be loaded or does not answer.
    """
    import torch

    with tempfile.TemporaryDirectory(prefix="ftkit-export-") as place:
        asked: dict[str, object] = {"run_dir": str(run_dir.absolute()), "folder": str(folder.absolute()), "arm": arm}
        asked |= {"precision": precision, "probes": [list(ids) for ids in probes]}
        write_json(Path(place, "asked.json"), {**asked, "machine": ctx.machine.model_dump(mode="json")})
        errors = _answer_apart(place, ctx)
        if errors:
            raise ArtifactError(f"{folder}: cannot answer in a fresh process: {errors.splitlines()[-1]}")
        return Reanswered(
            read_predictions(Path(place, "predictions.jsonl")), torch.tensor(read_json(Path(place, "logits.json")))
        )


def _answer_apart(place: str, ctx: Context) -> str:
    """What a process of its own wrote of errors; '' where it answered."""
    command = [sys.executable, "-m", "ftkit.run.reanswering", place]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    errors = process.communicate(timeout=POLL_S)[1].strip()
                    break
                ctx.check_stop()
        except BaseException:
            process.kill()
            raise
    return "" if process.returncode == 0 else errors or f"it ended with {process.returncode}"


def answer_here(place: Path) -> None:
    """Answer what `asked.json` asks, and write beside it what `reanswer` reads."""
    from ftkit.answers.answering import predict
    from ftkit.engine.files import ModelSpec
    from ftkit.engine.load import load
    from ftkit.engine.local import LocalModel
    from ftkit.engine.probe import last_logits
    from ftkit.run.finished import open_run

    asked = read_json(place / "asked.json")
    run = open_run(Path(asked["run_dir"]))
    ctx = Context(machine=Machine(**asked["machine"]), cache_dir=place, offline=True)
    spec = ModelSpec(path=Path(asked["folder"]), hub=None, revision=None, precision=asked["precision"])
    loaded = load(spec, ctx)
    arm = run.arm(asked["arm"])
    rows = predict(arm.name, LocalModel(loaded), arm.prompter, run.task, run.prepared.split("test"), ctx)
    write_jsonl(place / "predictions.jsonl", rows)
    write_json(place / "logits.json", last_logits(loaded.model, asked["probes"]).tolist())


if __name__ == "__main__":
    answer_here(Path(sys.argv[1]))
