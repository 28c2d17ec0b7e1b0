"""Whether ftkit does on a GPU what it does on a CPU: one command, eight minutes at most on one card.

    .venv/bin/python scripts/check_gpu.py [--skip qlora,speed] [--device cuda]

Prints a line per check, `ok`, `WRONG` or `skipped` with what was found, and ends with 1 if one was wrong. Without CUDA
the parts that need it are skipped and said, and the others run on the CPU. No GPU has run this yet: the first one that
does tells what is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402  only from here on are the folders on the path
from families import TREE, family_loaded  # noqa: E402
from tiny_trainings import ROWS, loss_of  # noqa: E402

from ftkit.contracts import Context, Machine  # noqa: E402
from ftkit.engine.capability import way_of  # noqa: E402
from ftkit.engine.generate import Writing, generate  # noqa: E402
from ftkit.engine.load import LoadedModel, wrap  # noqa: E402
from ftkit.engine.loss import Row, summed_loss  # noqa: E402
from ftkit.engine.score import Request, score  # noqa: E402

RECIPE = ROOT / "recipes" / "quickstart.yaml"
FEW = ("data.limit={train: 256, valid: 64, test: 96}", "train.epochs=1", "baseline.prompts=[zero_shot]")
METHODS = {"lora": "{lora: {rank: 16, alpha: 32}}", "qlora": "{qlora: {rank: 16, alpha: 32}}", "full": "full"}
TOLERANCE = 1e-3  # relative, of float32 on another device
LARGE = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16}


class NotHereError(Exception):
    """A check that needs what this machine has not."""


@dataclass(frozen=True)
class Place:
    """Where the checks run, and what they write."""

    device: str
    folder: Path

    @property
    def has_gpu(self) -> bool:
        return self.device == "cuda"

    def context(self) -> Context:
        return Context(machine=Machine(device=self.device), cache_dir=self.folder / "cache")

    def ftkit(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "ftkit", *args]

    def command(self, runs: str, method: str, *overrides: str) -> list[str]:
        """A run of the quickstart with a method."""
        chosen = [f"machine.device={self.device}", f"train.method={METHODS[method]}", *overrides]
        sets = [part for each in chosen for part in ("--set", each)]
        return self.ftkit("run", str(RECIPE), "--runs-dir", str(self.folder / runs), *sets)

    def done(self, command: list[str]) -> str:
        """What a command printed. Raises AssertionError where it failed."""
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"exit {ended.returncode}: {ended.stderr[-600:]}"
        return ended.stdout


def quickstart(place: Place, method: str) -> str:
    """The quickstart, whole on a GPU, with few rows on a CPU."""
    if method != "lora" and not place.has_gpu:
        raise NotHereError("needs CUDA; on a CPU one method is enough")
    began = time.monotonic()
    place.done(place.command(method, method, *(() if place.has_gpu else FEW)))
    verdict = _verdict(place, method)
    return f"{time.monotonic() - began:.0f} s: {verdict['sentence']}"


def agreement(place: Place) -> str:
    """Scores, losses, gradients and texts of every family beside those of the CPU, row by row."""
    if not place.has_gpu:
        raise NotHereError("needs CUDA, to be held against the CPU")
    contexts = [[3 + (7 * k * k + 11 * j) % 290 for k in range(20 + j)] for j in range(6)]
    requests = [Request(ids, [[5, 6, 7], [5, 8], [9]]) for ids in contexts]
    worst, ways = 0.0, dict[str, int]()
    for family in TREE:
        numbers = []
        for device in ("cpu", place.device):
            loaded = _on(family_loaded(family), device)
            ctx = replace(place.context(), machine=Machine(device=device))
            scores = [each.sum for row in score(loaded, requests, ctx=ctx) for each in row]
            loss = loss_of(loaded, ROWS)
            loss.backward()
            norm = torch.stack([p.grad.norm() for p in loaded.model.parameters() if p.grad is not None]).norm()
            texts = [each.ids for each in generate(loaded, contexts, Writing(8), ctx=ctx)]
            numbers.append((scores, loss.item(), norm.item(), texts))
            way = f"{device} {way_of(loaded, ctx)}"
            ways[way] = ways.get(way, 0) + 1
        (scores, loss_cpu, norm_cpu, texts), (others, loss_gpu, norm_gpu, written) = numbers
        pairs = [*zip(scores, others, strict=True), (loss_cpu, loss_gpu), (norm_cpu, norm_gpu)]
        off = max(abs(one - two) / max(1.0, abs(one)) for one, two in pairs)
        assert off <= TOLERANCE, f"{family}: off by {off:.1e}"
        assert texts == written, f"{family}: other texts"
        worst = max(worst, off)
    return f"{len(TREE)} families, off by {worst:.1e} at most; {ways}"


def resume(place: Place) -> str:
    """A run killed in training, then finished: the answers of one that nobody stopped."""
    more = (*FEW, "train.checkpoint_steps=2", "train.epochs=3", "model.precision=float32")
    place.done(place.command("whole", "lora", *more))
    process = subprocess.Popen(
        place.command("killed", "lora", *more), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not list((place.folder / "killed").rglob("checkpoints/*/*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    place.done(place.command("killed", "lora", *more))
    one, two = _answers(place, "whole"), _answers(place, "killed")
    same = sum(a == b for a, b in zip(one, two, strict=True))
    exact = 1.0 if not place.has_gpu else 0.97  # a GPU adds up in an order of its own
    assert same >= exact * len(one), f"{same} of {len(one)} answers are the same"
    return f"{same} of {len(one)} answers are the same"


def export(place: Place) -> str:
    """An exported model answers as the arm that was scored: of qlora on a GPU, of lora on a CPU."""
    method = "qlora" if place.has_gpu else "lora"
    if not (place.folder / method).exists():
        raise NotHereError(f"the part {method} was skipped")
    arm = next(name for name in _verdict(place, method)["arms"] if name.startswith(method))
    run = next((place.folder / method).iterdir())
    said = place.done(place.ftkit("export", str(run), "--out", str(place.folder / "exported"), "--arm", arm))
    return " ".join(said.split())[:300]


def speed(place: Place) -> str:
    """Training and scoring of a model of 0.6 B random weights: tokens a second, and peak memory."""
    if not place.has_gpu:
        raise NotHereError("needs CUDA")
    from tiny_models import byte_level
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.device(place.device):
        model: Any = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=32_000, **LARGE)).to(torch.bfloat16)
    loaded = wrap(model, byte_level())
    shared = list(range(3, 403))
    tails = [[500 + (k * 31 + j) % 9000 for j in range(200)] for k in range(32)]
    rows = [Row([*shared, *tail], [False] * 500 + [True] * 100) for tail in tails]
    requests = [Request(row.ids[:500], [[7], [8, 9]]) for row in rows]
    way = way_of(loaded, place.context())
    works: dict[str, Callable[[], Any]] = {
        "training": lambda: summed_loss(loaded, rows, way=way).backward(),
        "scoring": lambda: score(loaded, requests, ctx=place.context()),
    }
    torch.cuda.reset_peak_memory_stats()
    found = []
    for name, work in works.items():
        work()
        torch.cuda.synchronize()
        began = time.monotonic()
        work()
        torch.cuda.synchronize()
        num_tokens = sum(len(row.ids) for row in rows)
        found.append(f"{name} {num_tokens / (time.monotonic() - began):,.0f} tokens/s")
    gib = torch.cuda.max_memory_allocated() / 2**30
    return f"{way}: {', '.join(found)}, peak {gib:.1f} GiB"


def _on(loaded: LoadedModel, device: str) -> LoadedModel:
    return replace(loaded, model=loaded.model.to(device), device=device)


def _verdict(place: Place, runs: str) -> dict[str, Any]:
    (path,) = (place.folder / runs).rglob("verdict.json")
    verdict: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return verdict


def _answers(place: Place, runs: str) -> list[tuple[str, str, str]]:
    (path,) = (place.folder / runs).glob("*/evaluate-*/predictions.jsonl")
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(row["arm"], row["id"], row["raw"]) for row in rows]


PARTS: dict[str, Callable[[Place], str]] = {
    "agreement": agreement,
    **{method: lambda place, method=method: quickstart(place, method) for method in METHODS},  # type: ignore[misc]
    "resume": resume,
    "export": export,
    "speed": speed,
}


def main() -> None:
    """Run the parts, say how each ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--skip", default="", help=f"parts, with commas: {', '.join(PARTS)}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Place(options.device, Path(folder))
        for name, part in PARTS.items():
            began = time.monotonic()
            try:
                said = f"{name}: skipped: as asked" if name in options.skip.split(",") else f"{name}: ok: {part(place)}"
            except NotHereError as error:
                said = f"{name}: skipped: {error}"
            except Exception as error:  # whatever breaks on a GPU is what we want to hear of
                wrong += 1
                said = f"{name}: WRONG: {type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}"
            print(f"{said} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
