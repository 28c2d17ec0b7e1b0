"""Trainings of tiny models, to start, stop and look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from tiny_models import byte_level, model_of

from ftkit.contracts import Context, Machine, Quiet, Trainable
from ftkit.engine.forward import Way
from ftkit.engine.load import LoadedModel, wrap
from ftkit.engine.loss import num_targets, summed_loss
from ftkit.engine.train import Evaluation, FitResult, Row, TrainSettings, fit, seeded
from ftkit.errors import StoppedError
from ftkit.training.methods.full import Full
from ftkit.training.methods.full import build as build_full
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora

ROWS = [
    Row([5, 6, 7, 8, 9], [False, False, True, True, True]),
    Row([10, 11, 12, 13, 14, 15, 16, 17], [False] * 7 + [True], weight=2.0),
    Row([20, 21, 22], [False, True, True], weight=0.5),
    Row([30, 31, 32, 33, 34, 35], [False, True, False, True, False, False]),
]
MANY = [Row([3 + k, 50 + k, 7, 100 + k % 5, 2], [False, False, False, True, True]) for k in range(20)]

SETTINGS = TrainSettings(
    learning_rate=1e-2,
    weight_decay=0.01,
    epochs=3.0,
    max_steps=8,  # the third epoch lacks its last batch
    global_batch_size=8,
    warmup_share=0.1,
    schedule="cosine",
    max_grad_norm=1.0,
    gradient_checkpointing=False,
    num_evals=6,
    patience=None,
    checkpoint_every_steps=3,
    seed=17,
)


CPU = Machine(device="cpu")


def loss_of(loaded: LoadedModel, rows: Sequence[Row], way: Way = "tree") -> torch.Tensor:
    """Mean loss of the rows' target tokens."""
    return summed_loss(loaded, rows, way=way) / num_targets(rows)


@dataclass
class Run:
    """One training of a tiny model in its own folder, as often as it is started."""

    folder: Path
    settings: TrainSettings = SETTINGS
    method: str = "lora"
    dropout: float = 0.1
    evaluates: bool = True
    machine: Machine = CPU
    stop_after_step: int | None = None
    stop_at_check: int | None = None
    progress: Quiet = field(default_factory=Quiet)
    rows: list[Row] = field(default_factory=lambda: MANY)

    def start(self) -> tuple[FitResult, Trainable]:
        loaded = wrap(model_of(), byte_level())
        with seeded(3):
            if self.method == "full":
                trainable = build_full(Full(), loaded)
            else:
                trainable = build_lora(Lora(rank=4, dropout=self.dropout), loaded)
        tuned = replace(loaded, model=trainable.model)
        checks = iter(range(10**6))

        def check_stop() -> None:
            is_done = self.stop_after_step is not None and len(self.steps) == self.stop_after_step
            if next(checks) == self.stop_at_check or is_done:
                raise StoppedError("stopped")

        ctx = Context(progress=self.progress, machine=self.machine, check_stop=check_stop)
        evaluate = (lambda: judge(tuned)) if self.evaluates else None
        result = fit(
            trainable,
            self.rows,
            self.settings,
            loaded=tuned,
            evaluate=evaluate,
            work_dir=self.folder,
            ctx=ctx,
        )
        return result, trainable

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What the log says of the steps done so far."""
        return [line for line in self.log if "loss" in line] if (self.folder / "steps.jsonl").exists() else []

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "steps.jsonl").read_text().splitlines()]


def judge(loaded: LoadedModel) -> Evaluation:
    with torch.no_grad():
        loss = loss_of(loaded, MANY[:4]).item()
    return Evaluation(-round(loss, 2), loss)


def weights_of(trainable: Trainable) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainable.model.named_parameters() if p.requires_grad}


def assert_same_bytes(one: tuple[FitResult, Trainable], two: tuple[FitResult, Trainable]) -> None:
    assert one[0] == two[0]
    first, second = weights_of(one[1]), weights_of(two[1])
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
