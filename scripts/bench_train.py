"""How fast the engine trains, and in how little memory, beside TRL's SFTTrainer.

    python scripts/bench_train.py --setup            make TRL's environment (2 GB, once)
    python scripts/bench_train.py --quick            about three minutes
    python scripts/bench_train.py                    all figures, on as many rows as the goals speak of
    python scripts/bench_train.py --figure s-lora    one of them
    python scripts/bench_train.py --device cuda      models of 0.6 B, 1 B and 8 B in bfloat16; no GPU has run it yet

Ends with one JSON line a figure; `ratio` is ours / rival, of rates or of memory, `spread` its least and greatest from
run to run. Each side is a process of its own with one thread; they take turns. Seconds are those of the processor,
from the beginning of training to the end of its last step: not of starting, reading, saving. Both train the same rows
of ids, in batches of the same number, on the same model with random weights. `of matrix rate` is the share of what
plain matrix products of the model's shapes reach that ftkit reaches in FLOPs that are needed: no token padded,
repeated or read for nothing. Each work begins with one step of one batch, whose losses must be the same to 1e-4.

TRL as it comes recomputes no activations (its default does, and is slower). At its best: memory that is freed stays
in the process, and the faster of padded batches and batches without padding.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_models import (
    SIZES,
    Row,
    banking_rows,
    instruction_rows,
    read_texts,
    rows_behind_shared,
    tokenizer_of,
    work_of_rows,
    write_model,
)
from bench_sides import MALLOC, Facts, Figures, Side, Sides, alternated, clock, matrix_rate, peak_gib, say, serve

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".rivals"
PACKAGES = ["torch==2.13.0", "trl==1.16.0", "peft"]
RANK = 16
TOLERANCE = 1e-4
RATE_ROWS = 1024  # vectors in the products that the matrix rate is measured with


@dataclass(frozen=True)
class Training:
    """One kind of work: rows of a maker, in batches, by a method."""

    size: str
    method: str
    dtype: str
    rows: Callable[[Any, Any, int], list[Row]]
    batch: int
    num_rows: int
    num_quick: int
    goal: str


TRAININGS = {
    "s-lora": Training("S", "lora", "float32", instruction_rows, 8, 1000, 24, ">= 3.2, at its best 2.3"),
    "s-lora-bf16": Training("S", "lora", "bfloat16", instruction_rows, 8, 1000, 24, ">= 3.5"),
    "s-full": Training("S", "full", "float32", instruction_rows, 8, 1000, 24, ">= 2.6"),
    "m-lora-bf16": Training("M", "lora", "bfloat16", instruction_rows, 8, 128, 8, ">= 1.6"),
    "m-full": Training("M", "full", "float32", instruction_rows, 8, 128, 8, ">= 1.2"),
    "shared-300": Training("S", "lora", "float32", rows_behind_shared, 32, 320, 32, "at its best >= 12"),
    "banking77": Training("S", "lora", "float32", banking_rows, 32, 320, 32, ">= 12"),
}


def main() -> None:
    """Measure, and print a JSON line a figure."""
    options = _options()
    if options.serve:
        serve({"train": train, "rate": matrix_rate})
        return
    if options.setup:
        set_up()
        return
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = Sides(
            {
                "ours": [sys.executable, __file__, "--serve"],
                "as it comes": [str(python_of("trl")), str(Path(__file__).with_name("bench_engine_rivals.py")), "trl"],
                "at its best": [str(python_of("trl")), str(Path(__file__).with_name("bench_engine_rivals.py")), "trl"],
            },
            {"at its best": MALLOC},
            folder,
        )
        for name in [options.figure] if options.figure else TRAININGS:
            speed(figures, name, sides, options)
    figures.finish()


def python_of(name: str) -> Path:
    """The Python of a rival's environment."""
    return ENVIRONMENTS / name / "bin" / "python"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the public sets")
    parser.add_argument("--figure", choices=TRAININGS, help="one alone")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def set_up() -> None:
    """Install TRL into its environment."""
    folder = ENVIRONMENTS / "trl"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    constraints = str(Path(__file__).with_name("constraints.txt"))
    command = [str(python_of("trl")), "-m", "pip", "install", "--quiet", "-c", constraints, *PACKAGES]
    subprocess.run(command, check=True)


def speed(figures: Figures, name: str, sides: Sides, options: argparse.Namespace) -> None:
    """Rates of one work beside TRL."""
    work = TRAININGS[name]
    say(name)
    texts = read_texts(options.data)
    model_dir = write_model(ENVIRONMENTS / "models", work.size, texts, dtype=work.dtype)
    num_rows = work.num_quick if options.quick else work.num_rows
    rows = work.rows(tokenizer_of(model_dir), texts, num_rows)
    path = sides.folder / "rows.json"
    path.write_text(json.dumps(rows))
    job: Facts = {
        "work": "train",
        "model": str(model_dir),
        "rows": str(path),
        "method": work.method,
        "dtype": work.dtype,
        "device": options.device,
        "batch": work.batch,
        "options": {},
    }
    with ExitStack() as stack:
        running = sides.open(stack, ["ours", "as it comes", "at its best"])
        warm = {side: running[side].ask({**job, "num_rows": work.batch}) for side in running}
        say(str(warm))
        jobs = {side: {**job, "num_rows": num_rows} for side in running}
        found = alternated(running, jobs, options.repeats)
    for side in ("as it comes", "at its best"):
        figures.rates(f"{name}, {side}", found["ours"], found[side], num_rows, "rows/s", goal=work.goal)


def train(job: Facts) -> Facts:
    """Seconds of ftkit's loop from its beginning to the end of the last step, and the first step's loss."""
    from ftkit.contracts import Context, Machine, Quiet
    from ftkit.engine.load import ModelSpec, load
    from ftkit.engine.settings import TrainSettings
    from ftkit.engine.train import Row as TrainRow
    from ftkit.engine.train import fit, seeded
    from ftkit.training.methods import full, lora, qlora

    device, times = job["device"], []

    class Clocked(Quiet):
        """Takes the time where the bar of training begins and moves."""

        @contextmanager
        def bar(self, description: str, total: int, unit: str = "rows") -> Any:
            times.append(clock(device))
            yield self

        def advance(self, count: int = 1, note: str = "") -> None:
            if count:
                times.append(clock(device))

    micro_batch = job["options"].get("micro_batch", "auto")
    ctx = Context(progress=Clocked(), machine=Machine(device=device, threads=1, micro_batch=micro_batch))
    method = {"full": full, "lora": lora, "qlora": qlora}[job["method"]]
    spec = ModelSpec(path=Path(job["model"]), hub=None, revision=None, precision=job["dtype"], quantize=method.QUANTIZE)
    base = load(spec, ctx)
    with seeded(17):
        trainable = method.build(full.Full() if method is full else lora.Lora(rank=RANK, alpha=2 * RANK), base)
    rows = [
        TrainRow(row["ids"], [bool(counts) for counts in row["mask"]])
        for row in json.loads(Path(job["rows"]).read_text())[: job["num_rows"]]
    ]
    settings = TrainSettings(
        learning_rate=method.DEFAULTS.learning_rate,
        weight_decay=method.DEFAULTS.weight_decay,
        epochs=1.0,
        max_steps=None,
        global_batch_size=job["batch"],
        warmup_share=0.0,
        schedule="linear",
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        num_evals=1,
        patience=None,
        checkpoint_every_steps=2**30,
        seed=17,
    )
    with tempfile.TemporaryDirectory() as folder:
        tuned = replace(base, model=trainable.model)
        result = fit(trainable, rows, settings, loaded=tuned, evaluate=None, work_dir=Path(folder), ctx=ctx)
        first = json.loads((Path(folder) / "steps.jsonl").read_text().splitlines()[0])
    return {
        "seconds": times[-1] - times[0],
        "loss": first["loss"],
        "num_steps": result.num_steps,
        "gib": peak_gib(device),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("ftkit", "torch", "transformers")}


if __name__ == "__main__":
    main()
