"""Sides of a benchmark: each a process of its own that does the work it is asked for, in turn with the others.

Knows no ftkit and no rival: `serve` runs in a side, under its own Python; `Side` and `Figures` in what asks them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
ROOT = Path(__file__).parents[1]
MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**32)}  # freed pages are kept
MATRIX_SECONDS = 0.4
MATRIX_ROWS = 1024


def say(text: str) -> None:
    """To the terminal, beside the figures."""
    print(text, file=sys.stderr, flush=True)


def options_of(doc: str | None, figures: Iterable[str]) -> argparse.Namespace:
    """What the command line of a benchmark of these figures asks for."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the public sets")
    parser.add_argument("--rivals", type=Path, default=ROOT / ".rivals", help="folder of environments and models")
    parser.add_argument("--figure", choices=list(figures), help="one alone")
    parser.add_argument("--rows", type=int, default=0, help="in place of the number that each figure has")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def serve(works: Mapping[str, Callable[[Facts], Facts]]) -> None:
    """Answer jobs, one a line of JSON: its `work` says which. What libraries print goes to the log."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        answers.write(json.dumps(works[job["work"]](job)) + "\n")
        answers.flush()


class Side:
    """A process that serves. `environment` is added to ours; one thread each, and nothing from the network."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        fixed = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **fixed, **(environment or {})},
            )

    def ask(self, job: Facts) -> Facts:
        """What the side says of a job. Ends the benchmark with the end of its log where it says nothing."""
        assert self.process.stdin is not None and self.process.stdout is not None, "both are pipes"
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        if not (line := self.process.stdout.readline()):
            sys.exit(f"{job['work']} failed:\n{self.log.read_text()[-3000:]}")
        facts: Facts = json.loads(line)
        return facts

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def rivals_python(folder: Path, name: str) -> Path:
    """The Python of a rival's environment. Ends the benchmark where it is not there."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is missing: run with --setup first")
    return python


def rivals_side(folder: Path, name: str, log: Path, environment: Mapping[str, str] | None = None) -> Side:
    """A side of `bench_engine_rivals`."""
    command = [str(rivals_python(folder, name)), str(Path(__file__).with_name("bench_engine_rivals.py")), name]
    return Side(command, log, environment)


def set_up(folder: Path, name: str, packages: Sequence[str], *, device: str) -> None:
    """Make a rival's environment. On a CPU it has the torch and transformers that we are tested with."""
    environment = folder / name
    if not environment.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    constraints = ["-c", str(Path(__file__).with_name("constraints.txt"))] if device == "cpu" else []
    command = [str(rivals_python(folder, name)), "-m", "pip", "install", "--quiet", *constraints, "torch", *packages]
    subprocess.run(command, check=True)


def alternated(sides: Mapping[str, Side], jobs: Mapping[str, Facts], repeats: int) -> dict[str, list[Facts]]:
    """What each side says of its job, all in turn, `repeats` times."""
    found: dict[str, list[Facts]] = {name: [] for name in jobs}
    for number in range(repeats):
        for name, job in jobs.items():
            found[name].append(sides[name].ask(job))
        seconds = ", ".join(f"{name} {each[-1]['seconds']:.2f}" for name, each in found.items())
        say(f"  {number + 1} of {repeats}: {seconds} s")
    return found


@dataclass
class Figures:
    """Lines to print at the end, and what was not as it must be."""

    lines: list[Facts] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def rates(
        self, figure: str, ours: Sequence[Facts], rival: Sequence[Facts], amount: int, unit: str, **more: Any
    ) -> None:
        """Medians of `amount` over the seconds of each; the spread is that of the ratio, from pair to pair."""
        ratios = [two["seconds"] / one["seconds"] for one, two in zip(ours, rival, strict=True)]
        mine, theirs = (amount / statistics.median(facts["seconds"] for facts in side) for side in (ours, rival))
        spread = [round(min(ratios), 3), round(max(ratios), 3)]
        self.add(figure, mine, theirs, unit, spread=spread, versions=ours[0]["versions"] | rival[0]["versions"], **more)

    def add(self, figure: str, ours: float, rival: float, unit: str, **more: Any) -> None:
        """One figure; `more` stands in its line too."""
        line = {"figure": figure, "ours": round(ours, 4), "rival": round(rival, 4), "ratio": round(ours / rival, 4)}
        self.lines.append({**line, "unit": unit, **more})
        extra = "".join(f", {name} {value}" for name, value in more.items() if name != "versions")
        say(f"{figure}: ours {ours:,.4g}, rival {rival:,.4g} {unit}, ratio {ours / rival:,.3g}{extra}")

    def require(self, figure: str, differences: Sequence[float], most: float) -> None:
        """Keep a fault where a difference is larger than `most`."""
        worst = max(differences)
        say(f"  {figure}: differs by {worst:.1e} at most, of {most:.0e} allowed")
        if not worst <= most:
            self.faults.append(f"{figure}: differs by {worst:.3g}, of {most:.0e} allowed")

    def finish(self) -> None:
        """Print a JSON line a figure; exit with 1 where results differ."""
        for line in self.lines:
            print(json.dumps(line))
        if self.faults:
            sys.exit("\n".join(self.faults))


def clock(device: str) -> float:
    """CPU seconds of this process; where a GPU works, seconds on the wall once it has done all."""
    if device != "cuda":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def peak_gib(device: str) -> float:
    """The most memory that this process ever had; not of getrusage, which begins with what the parent had."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**30
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 2**20


@contextmanager
def counted(model: Any) -> Iterator[list[int]]:
    """Of each call of a model within the block, the tokens that it is given; of no model, none."""
    tokens: list[int] = []
    if model is None:
        yield tokens
        return

    def note(_: Any, positional: Sequence[Any], named: Mapping[str, Any]) -> None:
        ids = named["input_ids"] if "input_ids" in named else positional[0]
        tokens.append(ids.numel())

    hook = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield tokens
    finally:
        hook.remove()


def matrix_rate(job: Facts) -> Facts:
    """FLOP/s of plain products of many vectors with matrices of some `shapes`, in `dtype` on `device`."""
    import torch

    device, rows = job["device"], MATRIX_ROWS
    pairs = []
    for wide, high in job["shapes"]:
        options = {"dtype": getattr(torch, job["dtype"]), "device": device}
        pairs.append((torch.randn(rows, wide, **options), torch.randn(wide, high, **options)))
    flops = sum(2 * rows * wide * high for wide, high in job["shapes"])
    for left, right in pairs:
        left @ right
    num_rounds, begun = 0, clock(device)
    while (seconds := clock(device) - begun) < MATRIX_SECONDS:
        for left, right in pairs:
            left @ right
        num_rounds += 1
    return {"flops_per_s": num_rounds * flops / seconds}
