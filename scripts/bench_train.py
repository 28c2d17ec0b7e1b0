"""How fast the engine trains, and in how little memory, beside TRL's SFTTrainer.

    python scripts/bench_train.py --setup            make TRL's environment (2 GB, once)
    python scripts/bench_train.py --quick            the small model on few rows: some four minutes
    python scripts/bench_train.py                    all figures, on as many rows as the goals speak of: hours
    python scripts/bench_train.py --figure s-lora    one of them
    python scripts/bench_train.py --device cuda      models of 0.6 B, 1 B and 8 B in bfloat16; no GPU has run it yet

Ends with one JSON line a figure; `ratio` is ours / rival, of rates or of memory, `spread` its least and greatest from
run to run. Each side is a process of its own with one thread; they take turns. Seconds are those of the processor,
from the beginning of training to the end of its last step: not of starting, reading, saving. All train the same rows
of ids, in batches of the same number, on the same model with random weights. `of_matrix_rate` is the share of what
plain matrix products of the model's shapes reach that ftkit reaches in FLOPs that are needed: no token padded,
repeated or read for nothing. Each work begins with one step of one small batch: in float32 its losses must be the
same to 1e-4. Memory is the most a process ever had, its libraries included.

TRL as it comes, but that no activations are computed twice, which it does by default and is slower; its memory is
given both ways. At its best: pages that are freed stay in the process, and the faster of batches as they come and of
like lengths, which want more than 64 rows. Without padding, or packed, it was slower on a CPU: 0.83 of its rate.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_models import (
    SIZES,
    Row,
    Texts,
    banking_rows,
    instruction_rows,
    read_texts,
    rows_behind_shared,
    tokenizer_of,
    work_of_rows,
    write_model,
)
from bench_sides import (
    MALLOC,
    Facts,
    Figures,
    Side,
    alternated,
    clock,
    matrix_rate,
    options_of,
    peak_gib,
    rivals_side,
    say,
    serve,
    set_up,
)

from ftkit.contracts import Bar, Quiet

PACKAGES = {
    "cpu": ["trl==1.16.0", "peft"],
    "cuda": ["trl==1.16.0", "peft", "bitsandbytes", "liger-kernel", "flash-attn"],
}
RANK = 16
TOLERANCE = 1e-4
WARM_ROWS = 8  # of the step before
BY_LENGTH_ROWS = 64  # the sampler of like lengths sorts nothing where there are fewer


@dataclass(frozen=True)
class Training:
    """One kind of work: rows of a maker in batches, by a method, beside TRL `as it comes`, `at its best` or both."""

    size: str
    method: str
    dtype: str
    rows: Callable[[Any, Texts, int], list[Row]]
    batch: int
    num_rows: int
    num_quick: int
    goals: dict[str, str]


BOTH = ("as it comes", "at its best")
TRAININGS = {
    "s-lora": Training(
        "S", "lora", "float32", instruction_rows, 8, 1000, 16, dict(zip(BOTH, (">= 3.2", ">= 2.3"), strict=True))
    ),
    "s-lora-bf16": Training("S", "lora", "bfloat16", instruction_rows, 8, 1000, 16, dict.fromkeys(BOTH, ">= 3.5")),
    "s-full": Training("S", "full", "float32", instruction_rows, 8, 1000, 16, dict.fromkeys(BOTH, ">= 2.6")),
    "m-lora": Training("M", "lora", "float32", instruction_rows, 8, 128, 0, dict.fromkeys(BOTH, "")),
    "m-lora-bf16": Training("M", "lora", "bfloat16", instruction_rows, 8, 128, 0, dict.fromkeys(BOTH, ">= 1.6")),
    "m-full": Training("M", "full", "float32", instruction_rows, 8, 128, 0, dict.fromkeys(BOTH, ">= 1.2")),
    "shared-300": Training("S", "lora", "float32", rows_behind_shared, 32, 320, 32, {"at its best": ">= 12"}),
    "banking77": Training("S", "lora", "float32", banking_rows, 32, 320, 32, {"at its best": ">= 12"}),
}
ON_GPU = {
    "0.6b-lora": Training("0.6B", "lora", "bfloat16", instruction_rows, 32, 512, 128, {"at its best": ""}),
    "1b-lora": Training("1B", "lora", "bfloat16", instruction_rows, 32, 512, 128, {"at its best": ""}),
    "1b-full": Training("1B", "full", "bfloat16", instruction_rows, 32, 256, 64, {"at its best": ""}),
    "8b-qlora": Training("8B", "qlora", "bfloat16", instruction_rows, 16, 128, 32, {"at its best": ""}),
}
GPU_OPTIONS: Facts = {"padding_free": True, "use_liger_kernel": True}
MEMORY = {"s-lora": "<= 0.45", "m-lora": "<= 0.45", "m-lora-bf16": "<= 0.45"}


def main() -> None:
    """Measure, and print a JSON line a figure."""
    options = options_of(__doc__, [*TRAININGS, *ON_GPU])
    if options.serve:
        serve({"train": train, "rate": matrix_rate})
        return
    if options.setup:
        set_up(options.rivals, "trl", PACKAGES[options.device], device=options.device)
        return
    figures, trainings = Figures(), TRAININGS if options.device == "cpu" else ON_GPU
    for name in [options.figure] if options.figure else trainings:
        work = (TRAININGS | ON_GPU)[name]
        num_rows = options.rows or (work.num_quick if options.quick else work.num_rows)
        if num_rows:
            with tempfile.TemporaryDirectory() as folder:
                speed(figures, name, work, num_rows, options, Path(folder))
        else:
            say(f"{name} is left out of --quick; --figure {name} --rows 8 measures it on few rows")
    figures.finish()


def speed(
    figures: Figures, name: str, work: Training, num_rows: int, options: argparse.Namespace, folder: Path
) -> None:
    """Rates and memory of one work beside TRL, and whether the losses are the same."""
    say(name)
    texts = read_texts(options.data)
    model_dir = write_model(options.rivals / "models", work.size, texts, dtype=work.dtype, device=options.device)
    rows = work.rows(tokenizer_of(model_dir), texts, num_rows)
    say(f"  {num_rows} rows of {statistics.mean(len(row['ids']) for row in rows):.0f} tokens")
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    job: Facts = {"work": "train", "model": str(model_dir), "rows": str(path), "num_rows": num_rows, "options": {}}
    job |= {"method": work.method, "dtype": work.dtype, "device": options.device, "batch": work.batch, "rank": RANK}
    with ExitStack() as stack:
        ours = stack.enter_context(Side([sys.executable, __file__, "--serve"], folder / "ours.log"))
        warm = ours.ask({**job, "num_rows": WARM_ROWS})
        if "refused" in warm:
            say(f"  left out: {warm['refused']}")
            return
        sides, jobs = {"ours": ours}, {"ours": job}
        for rival in work.goals:
            _add_rival(sides, jobs, rival, stack=stack, folder=folder, options=options)
        for rival in work.goals:
            loss = sides[rival].ask({**jobs[rival], "num_rows": WARM_ROWS})["loss"]
            most = TOLERANCE if work.dtype == "float32" else 1.0
            figures.require(f"{name}, first loss {rival}", [abs(warm["loss"] / loss - 1)], most)
        if work.rows is rows_behind_shared:
            sides["separate rows"], jobs["separate rows"] = ours, {**job, "options": {"micro_batch": 1}}
        rates = [_rate(ours, work, options.device)]
        found = alternated(sides, jobs, options.repeats)
        rates.append(_rate(ours, work, options.device))
    _report(figures, name, work, rows, found, statistics.mean(rates))
    if name in MEMORY:
        _memory(figures, name, found, job, options, folder)


def _add_rival(
    sides: dict[str, Side],
    jobs: dict[str, Facts],
    rival: str,
    *,
    stack: ExitStack,
    folder: Path,
    options: argparse.Namespace,
) -> None:
    """Start TRL, `as it comes` or `at its best`; the best is one process that is asked in two ways."""
    environment = MALLOC if rival == "at its best" else None
    side = stack.enter_context(rivals_side(options.rivals, "trl", folder / f"{rival}.log", environment))
    own: Facts = {"gradient_checkpointing": False, **(GPU_OPTIONS if options.device == "cuda" else {})}
    sides[rival], jobs[rival] = side, {**jobs["ours"], "options": own}
    if rival == "at its best" and jobs["ours"]["num_rows"] > BY_LENGTH_ROWS and options.device == "cpu":
        name = "at its best, like lengths"
        sides[name], jobs[name] = (
            side,
            {**jobs[rival], "options": {**own, "train_sampling_strategy": "group_by_length"}},
        )


def _rate(ours: Side, work: Training, device: str) -> float:
    job = {"work": "rate", "dtype": work.dtype, "device": device, "shapes": SIZES[work.size].shapes[:7]}
    return float(ours.ask(job)["flops_per_s"])


def _report(
    figures: Figures, name: str, work: Training, rows: list[Row], found: dict[str, list[Facts]], rate: float
) -> None:
    needed = work_of_rows(rows, work.batch)
    rank = 0 if work.method == "full" else RANK
    flops = needed.flops(SIZES[work.size], trained=True, weights=work.method == "full", rank=rank)
    share = flops / _median(found["ours"]) / rate
    facts: Facts = {"of_matrix_rate": round(share, 3), "matrix_gflops": round(rate / 1e9, 1)}
    for rival, goal in work.goals.items():
        ways = [each for way, each in found.items() if way.startswith(rival)]
        best = min(ways, key=_median)
        figures.rates(f"{name}, {rival}", found["ours"], best, len(rows), "rows/s", goal=goal, **facts)
    if "separate rows" in found:
        ratio = sum(len(row["ids"]) - 1 for row in rows) / needed.tokens
        facts = {"goal": ">= 0.9 of the token ratio", "token_ratio": round(ratio, 2)}
        figures.rates(f"{name}, ours row by row", found["ours"], found["separate rows"], len(rows), "rows/s", **facts)


def _median(side: list[Facts]) -> float:
    return float(statistics.median(facts["seconds"] for facts in side))


def _memory(
    figures: Figures, name: str, found: dict[str, list[Facts]], job: Facts, options: argparse.Namespace, folder: Path
) -> None:
    """Peaks after one run; TRL's also where it computes activations twice, as it does by default."""
    with rivals_side(options.rivals, "trl", folder / "memory.log") as side:
        twice = side.ask({**job, "options": {"gradient_checkpointing": True}})
    ours, usual = found["ours"][0], found["as it comes"][0]
    for which, rival in (("as it comes", usual), ("computing activations twice", twice)):
        more = {"goal": MEMORY[name] if rival is usual else "", "versions": ours["versions"] | rival["versions"]}
        figures.add(f"peak memory of {name}, {which}", ours["gib"], rival["gib"], "GiB", **more)


class Clocked(Quiet):
    """Takes the time where the bar of training begins and moves."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.times: list[float] = []

    @contextmanager
    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> Iterator[Bar]:
        """A bar nobody sees."""
        with super().bar(description, total, unit, done) as bar:
            self.times.append(clock(self.device))
            yield bar

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count nothing."""
        super().advance(count, note)
        if count:
            self.times.append(clock(self.device))


def train(job: Facts) -> Facts:
    """Seconds of ftkit's loop from its beginning to the end of the last step, and the first step's loss."""
    from ftkit.contracts import Context, Machine
    from ftkit.engine.load import ModelSpec, load
    from ftkit.engine.train import Row as TrainRow
    from ftkit.engine.train import fit, seeded
    from ftkit.errors import MachineError
    from ftkit.training.methods import full, lora, qlora

    gc.collect()  # of the job before
    machine = Machine(device=job["device"], threads=1, micro_batch=job["options"].get("micro_batch", "auto"))
    ctx = Context(progress=(clocked := Clocked(job["device"])), machine=machine)
    method: Any = {"full": full, "lora": lora, "qlora": qlora}[job["method"]]
    spec = ModelSpec(path=Path(job["model"]), hub=None, revision=None, precision=job["dtype"], quantize=method.QUANTIZE)
    try:
        base = load(spec, ctx)
    except MachineError as error:
        return {"refused": str(error)}
    own = {"full": "Full", "lora": "Lora", "qlora": "Qlora"}[job["method"]]
    chosen = getattr(method, own)(**({} if method is full else {"rank": job["rank"], "alpha": 2 * job["rank"]}))
    with seeded(17):
        trainable = method.build(chosen, base)
    rows = [
        TrainRow(row["ids"], [bool(counts) for counts in row["mask"]])
        for row in json.loads(Path(job["rows"]).read_text())[: job["num_rows"]]
    ]
    with tempfile.TemporaryDirectory() as name:
        tuned, folder = replace(base, model=trainable.model), Path(name)
        settings = _settings(method, job["batch"])
        fit(trainable, rows, settings, loaded=tuned, evaluate=None, work_dir=folder, ctx=ctx)
        first = json.loads((folder / "steps.jsonl").read_text().splitlines()[0])
    seconds = clocked.times[-1] - clocked.times[0]
    return {"seconds": seconds, "loss": first["loss"], "gib": peak_gib(job["device"]), "versions": _versions()}


def _settings(method: Any, batch: int) -> Any:
    from ftkit.engine.settings import TrainSettings

    return TrainSettings(
        learning_rate=method.DEFAULTS.learning_rate,
        weight_decay=method.DEFAULTS.weight_decay,
        epochs=1.0,
        max_steps=None,
        global_batch_size=batch,
        warmup_share=0.0,
        schedule="linear",
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        num_evals=1,
        patience=None,
        checkpoint_every_steps=2**30,
        seed=17,
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("ftkit", "torch", "transformers")}


if __name__ == "__main__":
    main()
