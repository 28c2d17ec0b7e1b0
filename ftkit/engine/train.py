"""The training loop, one for every method: what decides whether a result can be trusted stands here.

Knows rows of ids and a trainable model; no text, no task and no recipe.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_

from ftkit.contracts import Bar, Context, Trainable
from ftkit.engine.attention import tree_attention
from ftkit.engine.batching import Budget, base_of, in_batches
from ftkit.engine.capability import way_of
from ftkit.engine.checkpoint import Best, Checkpoints, State
from ftkit.engine.dropout import drops
from ftkit.engine.finite import NotFiniteError, not_finite
from ftkit.engine.load import LoadedModel
from ftkit.engine.loss import Row, load_of, mean_weight_one, num_targets, summed_loss
from ftkit.engine.settings import Schedule, TrainSettings
from ftkit.errors import DataError, DivergedError, InterruptedRunError, MachineError, StoppedError
from ftkit.records import dump
from ftkit.store import FULL, derive_seed, digest, no_room, write_bytes

__all__ = ["Evaluation", "FitResult", "Row", "TrainSettings", "fit", "refuse_several_processes", "seeded"]

STEP_LOG = "steps.jsonl"
BETAS = (0.9, 0.999)
EPSILON = 1e-8
ONE_BY_ONE = "with dropout rows are computed one by one: how they are batched changes nothing learned"
RULES = 4  # of batches, weights and masks: a checkpoint that was made under others is not continued


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good the weights are on valid: `value`, higher is better; `loss` breaks ties, lower is better."""

    value: float
    loss: float


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training did. Without an evaluation the last step is the best and has no value."""

    num_steps: int
    best_step: int
    best_value: float | None
    num_target_tokens: int
    stopped_early: bool


def fit(
    trainable: Trainable,
    rows: Sequence[Row],
    settings: TrainSettings,
    *,
    loaded: LoadedModel,
    evaluate: Callable[[], Evaluation] | None,
    work_dir: Path,
    ctx: Context,
) -> FitResult:
    """Train; afterwards `trainable` holds the best weights. Continues from the checkpoints in `work_dir`.

    `work_dir/steps.jsonl` gets one line per optimizer step and per evaluation. `evaluate` is called with the
    model in evaluation mode. Raises DivergedError before a loss or gradient that is not finite reaches the
    weights, NotFiniteError where it is the base's, DataError for rows without a target, MachineError for more than one
    process or too little memory.
    """
    _check(rows)
    loop = _Loop(trainable, rows, settings, loaded, evaluate, work_dir, ctx)
    model = trainable.model
    try:
        loop.resume()
        if settings.gradient_checkpointing:
            _recompute_activations(model, on=True)
        with ctx.progress.bar("training", loop.schedule.num_steps, unit="steps", done=loop.state.step) as bar:
            while loop.advance(bar):
                pass
    finally:
        model.eval()
        if settings.gradient_checkpointing:
            _recompute_activations(model, on=False)
    return loop.finish()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of torch from `seed` within the block, as before behind it."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class _Loop:
    """One training under way: the model's weights, the optimizer, the state and the log move together."""

    def __init__(
        self,
        trainable: Trainable,
        rows: Sequence[Row],
        settings: TrainSettings,
        loaded: LoadedModel,
        evaluate: Callable[[], Evaluation] | None,
        work_dir: Path,
        ctx: Context,
    ) -> None:
        self.model, self.rows, self.settings, self.evaluate, self.ctx = (
            trainable.model,
            mean_weight_one(rows),
            settings,
            evaluate,
            ctx,
        )
        self.loaded = loaded
        self.schedule = Schedule(settings, len(rows))
        named = sorted(self.model.named_parameters())
        self.parameters = {name: parameter for name, parameter in named if parameter.requires_grad}
        assert self.parameters, "a method leaves something to train"
        assert all(p.dtype in (torch.float32, torch.float64) for p in self.parameters.values()), "float32 or wider"
        self.optimizer = _adamw(list(self.parameters.values()), settings)
        self.row_by_row = drops(self.model)
        if self.row_by_row:
            ctx.progress.say(ONE_BY_ONE)
        self.way = "plain" if self.row_by_row else way_of(loaded, ctx)
        self.state = State()
        fingerprint = self._fingerprint(loaded)
        self.checkpoints = Checkpoints(work_dir / "checkpoints", fingerprint, _environment(loaded), ctx.progress.say)
        work_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = work_dir / STEP_LOG

    def resume(self) -> None:
        """Go to the newest whole checkpoint with its log, or to the beginning."""
        state = self.checkpoints.newest()
        if state is not None:
            self.checkpoints.restore(state, self.parameters, self.optimizer)
            self.state = state
            self.ctx.progress.say(f"training continues after step {state.step} of {self.schedule.num_steps}")
        write_bytes(self.log_path, self.checkpoints.log(state.step) if state is not None else b"")
        if state is None and self.evaluate is not None:
            self._evaluate(self.evaluate)

    def advance(self, bar: Bar) -> bool:
        """One unit of work; False when there is none left. A stop leaves a checkpoint behind."""
        state, settings = self.state, self.settings
        try:
            if state.pending_evaluation and self.evaluate is not None:
                is_best = self._evaluate(self.evaluate)
                state.pending_evaluation = False
                if is_best or state.stopped_early or state.step == self.schedule.num_steps:
                    self._save()
            if state.stopped_early or state.step == self.schedule.num_steps:
                return False
            self._optimizer_step(bar)
            last = state.step == self.schedule.num_steps
            state.pending_evaluation = self.evaluate is not None and self.schedule.evaluates_after(state.step)
            if state.step % settings.checkpoint_every_steps == 0 or (last and self.evaluate is None):
                self._save()
            self.ctx.check_stop()
        except (StoppedError, InterruptedRunError):
            if state.step > 0:
                self._save()
            raise
        return True

    def finish(self) -> FitResult:
        """Put the best weights in place."""
        state = self.state
        best_step = state.step if state.best is None else state.best.step
        if best_step != state.step:
            self.checkpoints.restore_weights(best_step, self.parameters)
        value = None if state.best is None else state.best.value
        return FitResult(state.step, best_step, value, state.num_target_tokens, state.stopped_early)

    def _evaluate(self, evaluate: Callable[[], Evaluation]) -> bool:
        """Evaluate and log; True where these weights are the best of all trained ones."""
        self.model.eval()
        try:
            evaluation = evaluate()
        except NotFiniteError as error:
            raise self._named(error) from None
        if not math.isfinite(evaluation.value) or not math.isfinite(evaluation.loss):
            what = f"step {self.state.step}: the loss on valid is {evaluation.loss}"
            raise DivergedError(f"{what}; use a lower learning rate")
        self._write_log({"step": self.state.step, "valid_value": evaluation.value, "valid_loss": evaluation.loss})
        state = self.state
        if state.step == 0:
            return False
        if state.best is None or (evaluation.value, -evaluation.loss) > (state.best.value, -state.best.loss):
            state.best = Best(state.step, evaluation.value, evaluation.loss)
            state.evaluations_without_gain = 0
            return True
        state.evaluations_without_gain += 1
        patience = self.settings.patience
        state.stopped_early = (
            patience is not None and state.evaluations_without_gain >= patience and state.step < self.schedule.num_steps
        )
        return False

    def _optimizer_step(self, bar: Bar) -> None:
        began = time.monotonic()
        step = self.state.step + 1
        epoch, places = self.schedule.batch(step)
        order = _order(self.settings.seed, len(self.rows), epoch)
        batch = {order[place]: self.rows[order[place]] for place in places}
        rate = self.schedule.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        loss = self._backward(batch, step)
        norm = float(clip_grad_norm_(list(self.parameters.values()), self.settings.max_grad_norm))
        if not math.isfinite(loss):
            self._require_finite_base(list(batch.values()))
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise DivergedError(
                f"step {step}: loss {loss}, gradient norm {norm}; the weights before it are kept in the last "
                f"checkpoint; use a lower train.learning_rate (here {rate:.2g}) or a longer warm-up"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        num_tokens = num_targets(list(batch.values()))
        self.state.step = step
        self.state.num_target_tokens += num_tokens
        self._write_log(
            {
                "step": step,
                "epoch": self.schedule.epoch(step),
                "loss": loss,
                "learning_rate": rate,
                "grad_norm": norm,
                "num_target_tokens": num_tokens,
            }
        )
        speed = sum(row.width for row in batch.values()) / max(1e-9, time.monotonic() - began)
        bar.advance(1, note=f"loss {loss:.3f}  lr {rate:.1e}  {speed:,.0f} tokens/s")

    @property
    def budget(self) -> Budget:
        """What a batch may hold: less where memory ran out, also before a run was interrupted."""
        if self.state.budget is not None and self.ctx.machine.micro_batch == "auto":
            return self.state.budget
        return Budget.of(self.ctx.machine, self.loaded.device, trains=True)

    def _backward(self, batch: Mapping[int, Row], step: int) -> float:
        """Gradients of the loss over the global batch, by place in train, micro-batch by micro-batch; returns the loss.

        Masks of dropout come from seed, step and row: there one micro-batch is one row.
        """
        places, rows = list(batch), list(batch.values())
        num, losses = num_targets(rows), [0.0]

        def begin() -> None:
            self.optimizer.zero_grad(set_to_none=True)
            losses.clear()

        def compute(items: list[int]) -> None:
            if losses:
                self.ctx.check_stop()  # the weights are still those of the step before
            with seeded(derive_seed(self.settings.seed, "dropout", str(step), str(min(places[i] for i in items)))):
                loss = summed_loss(self.loaded, [rows[i] for i in items], way=self.way) / num
                loss.backward()
            losses.append(loss.item())

        with tree_attention(self.model) if self.way == "tree" else nullcontext():
            budget = in_batches(
                [load_of(row, self.model) for row in rows],
                replace(self.budget, items=1) if self.row_by_row else self.budget,
                compute,
                shares=self.way != "plain",
                may_halve=self.ctx.machine.micro_batch == "auto",
                begin=begin,
                no_room=lambda items: (
                    f"a micro-batch of {len(items)} rows does not fit {self.loaded.device}; "
                    "set machine.micro_batch lower or train.gradient_checkpointing: true"
                ),
            )
        if not self.row_by_row and budget != self.budget:
            self.state.budget = budget
            self.ctx.progress.say(f"memory ran out: the micro-batch is halved to {budget.items} rows")
        return math.fsum(losses)

    def _require_finite_base(self, rows: Sequence[Row]) -> None:
        """Raise NotFiniteError where a loss is not finite since that of the base is not."""
        self.model.eval()
        faults = (not_finite(self.loaded, row.ids) for row in rows if not math.isfinite(self._loss_of(row)))
        fault = next(faults, None)
        if fault is not None and isinstance(self._named(fault), NotFiniteError):
            raise fault

    def _loss_of(self, row: Row) -> float:
        with torch.no_grad():
            return float(summed_loss(self.loaded, [row], way="plain"))

    def _named(self, fault: NotFiniteError) -> NotFiniteError | DivergedError:
        """The base's fault as it is; else training left the finite numbers. Untrained, a whole model is the base."""
        if fault.is_base and (hasattr(self.model, "disable_adapter") or self.state.step == 0):
            return fault
        return DivergedError(f"step {self.state.step}: {fault}; use a lower train.learning_rate")

    def _write_log(self, line: dict[str, Any]) -> None:
        if not all(math.isfinite(value) for value in line.values()):
            raise DivergedError(f"step {self.state.step}: not finite: {line}")
        content = (dump(line) + "\n").encode()
        try:
            with self.log_path.open("ab") as file:
                file.write(content)
        except OSError as error:
            raise (no_room(self.log_path, len(content)) if error.errno in FULL else error) from None

    def _save(self) -> None:
        self.checkpoints.save(self.state, self.parameters, self.optimizer, log=self.log_path.read_bytes())

    def _fingerprint(self, loaded: LoadedModel) -> str:
        shapes = [[name, list(parameter.shape), str(parameter.dtype)] for name, parameter in self.parameters.items()]
        rows = [[row.ids, row.target_mask, row.weight] for row in self.rows]
        evaluates = self.evaluate is not None
        return digest(
            [
                RULES,
                asdict(replace(self.settings, checkpoint_every_steps=0)),
                rows,
                shapes,
                loaded.identity,
                loaded.precision,
                loaded.quantize,
                evaluates,
            ]
        )


def refuse_several_processes() -> None:
    """Raise MachineError where a launcher started more than one process: each would train alone."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        raise MachineError(
            f"WORLD_SIZE is {processes}: training in several processes is not supported; "
            "start one process, without torchrun or accelerate launch"
        )


def _check(rows: Sequence[Row]) -> None:
    refuse_several_processes()
    if not rows:
        raise DataError("no rows to train on")
    for index, row in enumerate(rows):
        assert len(row.ids) == len(row.target_mask), "one mark per id"
        if not row.targets or not 0 <= row.weight < math.inf:
            raise DataError(f"row {index}: nothing to learn: no target token, or a weight below 0")
    if not 0 < sum(row.weight for row in rows) < math.inf:
        raise DataError("nothing to learn: the weights of the rows are all 0, or too large to add up")


def _recompute_activations(model: Any, *, on: bool) -> None:
    """Gradient checkpointing, which transformers renamed; not re-entrant: a frozen base needs no tricks."""
    base = base_of(model)
    name = "activation" if hasattr(base, "activation_checkpointing_enable") else "gradient"
    if on:
        options: Any = {f"{name}_checkpointing_kwargs": {"use_reentrant": False}}
        getattr(base, f"{name}_checkpointing_enable")(**options)
    else:
        getattr(base, f"{name}_checkpointing_disable")()


def _adamw(parameters: list[torch.nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    """Weight decay on matrices only: norms and biases are left alone."""
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, betas=BETAS, eps=EPSILON)


@lru_cache(maxsize=4)
def _order(seed: int, num_rows: int, epoch: int) -> list[int]:
    order = list(range(num_rows))
    random.Random(derive_seed(seed, "order", str(epoch))).shuffle(order)
    return order


def _environment(loaded: LoadedModel) -> dict[str, Any]:
    device = torch.cuda.get_device_name() if loaded.device == "cuda" else loaded.device
    return {"torch": torch.__version__, "device": device, "threads": torch.get_num_threads()}
