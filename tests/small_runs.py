"""A whole run in a few seconds: a tiny random Llama, 126 made-up rows, and ways to start, stop and look at runs."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import Forked
from tiny_models import save_base

from ftkit.contracts import Context, Quiet
from ftkit.recipe.schema import Recipe, load_recipe
from ftkit.run.pipeline import Result, run
from ftkit.store import file_digest

ROOT = Path(__file__).parents[1]
STAGES = ["prepare", "baseline", "train-lora", "evaluate", "compare"]
WORDS = {
    "delivery": ["parcel", "courier", "late", "arrive", "street", "door", "box", "track"],
    "login": ["password", "account", "code", "mail", "enter", "page", "lock", "reset"],
    "refund": ["money", "back", "charged", "twice", "card", "return", "pay", "amount"],
}
RECIPE = """
name: small
model: {path: base}
task: {classify: {labels: auto}}
data:
  source: {jsonl: {path: rows.jsonl, id: id, input: text, target: label}}
  split: {valid: 0.2, test: 0.3, group: customer}
baseline:
  instructions: ["Sort.", "One of: {labels}."]
  prompts: [zero_shot, {few_shot: {k: 2}}]
train:
  method: {lora: {rank: 4, dropout: 0.1}}
  epochs: 2
  learning_rate: 1e-2
  global_batch_size: 16
  checkpoint_steps: 1
machine: {threads: 1, device: cpu}
"""
CLOCKED = ("timing.json", "report.md", "report.html", "manifest.json", "run.log")


@dataclass(frozen=True)
class SetUp:
    """A folder with a base model, rows and a recipe."""

    folder: Path

    @property
    def recipe_path(self) -> Path:
        return self.folder / "recipe.yaml"

    def recipe(self, *overrides: str) -> Recipe:
        return load_recipe(self.recipe_path, overrides=overrides)

    def context(self, **parts: Any) -> Context:
        return Context(base_dir=self.folder, cache_dir=self.folder / "cache", **parts)


@dataclass(frozen=True)
class Ran:
    """A run in this process: what it published, and what it said."""

    result: Result
    said: list[str] = field(default_factory=list)

    @property
    def made(self) -> list[str]:
        """Stages that were run."""
        return [line.removesuffix(": started") for line in self.said if line.endswith(": started")]

    @property
    def reused(self) -> list[str]:
        return [line.split(": reused")[0] for line in self.said if ": reused" in line]


def make_rows() -> list[dict[str, str]]:
    """120 plain rows of 60 customers, and six with a defect each."""
    rng = random.Random(5)
    rows = []
    for number in range(120):
        label = sorted(WORDS)[number % 3]
        text = " ".join([*rng.sample(WORDS[label], 4), str(rng.randint(10, 99))])
        rows.append({"id": f"R{number:03}", "text": text, "label": label, "customer": f"C{number // 2}"})
    first, second = rows[0], rows[50]
    defects = [
        {**first, "id": "copy"},
        {**first, "id": "copy of another customer", "customer": "C99"},
        {**second, "id": "other label", "label": "refund" if second["label"] != "refund" else "login"},
        {**second, "id": "nearly equal", "text": second["text"] + "!"},
        {**first, "id": "empty", "text": "  "},
        {**first, "id": "markup", "text": "<p>card &amp; money</p> back twice 77"},
    ]
    return [*rows, *defects]


def make_set_up(folder: Path) -> SetUp:
    """Write base model, rows and recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    save_base(folder / "base")
    lines = [json.dumps(row) + "\n" for row in make_rows()]
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return SetUp(folder)


def run_here(set_up: SetUp, runs_dir: Path, *overrides: str, **options: Any) -> Ran:
    """Run in this process; `options` are those of `ftkit.run`."""
    progress = Quiet()
    ctx = options.pop("ctx", None) or set_up.context(progress=progress)
    result = run(set_up.recipe(*overrides), runs_dir=runs_dir, ctx=ctx, **options)
    return Ran(result, progress.said)


def hashes(run_dir: Path, *, but: Sequence[str] = ("run.log",)) -> dict[str, str]:
    """SHA-256 of every file below a run directory, by path; files named in `but` are left out."""
    paths = (path for path in sorted(run_dir.rglob("*")) if path.is_file() and path.name not in but)
    return {path.relative_to(run_dir).as_posix(): file_digest(path) for path in paths}


def start(set_up: SetUp, runs_dir: Path, *, recipe: Path = Path("recipe.yaml"), cwd: Path | None = None) -> Forked:
    """The command line in a process of its own, in the folder of the set-up, which is also its home."""
    args = ["run", str(recipe), "--runs-dir", str(runs_dir)]
    env = {**os.environ, "HOME": str(set_up.folder), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "0"}
    return Forked("ftkit", args, cwd=cwd or set_up.folder, env=env)


def finish(process: Forked, *, timeout: float = 240) -> tuple[int, str]:
    """Exit code and all that was printed; no exit may show a traceback."""
    output = "".join(process.communicate(timeout=timeout))
    assert "Traceback" not in output, output
    return process.returncode, output


def wait_until(there: Callable[[], bool], process: Forked) -> bool:
    """Whether something came true before the process ended."""
    while process.poll() is None:
        if there():
            return True
        time.sleep(0.001)
    return False


def freeze_when(there: Callable[[], bool], process: Forked) -> bool:
    """Halt the process at a moment at which something is true; False where it ended without."""
    while wait_until(there, process):
        process.send_signal(signal.SIGSTOP)
        _wait_for_halt(process.pid)
        if there():
            return True
        process.send_signal(signal.SIGCONT)
    return False


def _wait_for_halt(pid: int) -> None:
    """Return once every thread of a process has halted, or the process has ended."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "TZ":
            return
        time.sleep(0.0005)
