"""The training loop: losses against the oracle, batches that do not matter, what is written and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import oracle
import pytest
import torch
from tiny_models import byte_level, config_of, context, loaded_of, model_of, save_base, spec_of
from tiny_trainings import MANY, ROWS, SETTINGS, Run, assert_same_bytes, loss_of, weights_of
from transformers import AutoModelForCausalLM

from ftkit.contracts import Machine
from ftkit.engine.dropout import drops
from ftkit.engine.finite import NotFiniteError
from ftkit.engine.forward import Way
from ftkit.engine.load import load, wrap
from ftkit.engine.settings import Schedule
from ftkit.engine.train import ONE_BY_ONE, Evaluation, Row, _order, fit
from ftkit.errors import DataError, MachineError
from ftkit.training.methods.full import Full
from ftkit.training.methods.full import build as build_full
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora

# --- losses and gradients -------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 1e-4)])
@pytest.mark.parametrize("way", get_args(Way))
def test_loss_and_gradients_equal_the_oracles(family: str, dtype: Any, tolerance: float, way: Way) -> None:
    loaded = loaded_of(family, dtype=dtype)
    model = loaded.model
    found, expected = loss_of(loaded, ROWS, way), oracle.mean_loss(model, ROWS)
    assert found.item() == pytest.approx(expected.item(), rel=tolerance)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(found, parameters)
    theirs = torch.autograd.grad(expected, parameters)
    whole = torch.cat([gradient.flatten() for gradient in theirs])
    difference = torch.cat([(one - two).flatten() for one, two in zip(ours, theirs, strict=True)])
    assert difference.norm() <= tolerance * whole.norm()


def test_loss_and_gradients_of_an_adapter_on_nf4_equal_the_oracles(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    loaded = load(spec_of(tmp_path / "base", quantize="nf4"), context(tmp_path))
    trainable = build_lora(Lora(rank=4), loaded)
    parameters = [p for p in trainable.model.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0, 0.1)
    loaded.model.eval()
    found, expected = loss_of(replace(loaded, model=trainable.model), ROWS), oracle.mean_loss(trainable.model, ROWS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-3)
    for one, two in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True):
        assert (one - two).norm() <= 1e-3 * two.norm()


def test_a_large_vocabulary_is_computed_in_chunks_with_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit.engine import loss

    loaded = loaded_of()
    parameters = list(loaded.model.parameters())
    whole = loss_of(loaded, ROWS)
    gradients = torch.autograd.grad(whole, parameters)
    monkeypatch.setattr(loss, "CHUNK", 3 * 400)
    chunked = loss_of(loaded, ROWS)
    assert chunked.item() == pytest.approx(whole.item(), rel=1e-6)
    for one, two in zip(torch.autograd.grad(chunked, parameters), gradients, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_adapter_changes_nothing_at_step_0_and_something_later(method: str, tmp_path: Path) -> None:
    base = model_of()
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = base(ids).logits
        loaded = wrap(model_of(), byte_level())
        trainable = build_full(Full(), loaded) if method == "full" else build_lora(Lora(), loaded)
        assert torch.equal(trainable.model.eval()(ids).logits, before)
    _, tuned = Run(tmp_path, method=method).start()
    with torch.no_grad():
        assert not torch.allclose(tuned.model(ids).logits, before, atol=1e-3)


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["lora", "full"])
def test_eight_micro_batches_of_one_equal_one_of_eight(method: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, max_steps=3)
    results = {}
    for micro_batch in (1, 3, 8):
        machine = Machine(device="cpu", micro_batch=micro_batch)
        run = Run(tmp_path / str(micro_batch), settings=settings, method=method, dropout=0.0, machine=machine)
        run.rows = [replace(row, weight=1.0 + index % 2) for index, row in enumerate(MANY)]
        _, trainable = run.start()
        results[micro_batch] = (run.log, weights_of(trainable))
    log_8, weights_8 = results[8]
    for micro_batch in (1, 3):
        log, weights = results[micro_batch]
        for one, two in zip(log, log_8, strict=True):
            assert one == pytest.approx(two, rel=1e-4)
        # Adam divides by the gradient's size: rounding of a gradient near 0 moves a weight by up to a step
        for name in weights:
            torch.testing.assert_close(weights[name], weights_8[name], rtol=1e-3, atol=2e-4)


def test_gradient_checkpointing_changes_no_number(tmp_path: Path) -> None:
    one = Run(tmp_path / "one").start()
    two = Run(tmp_path / "two", settings=replace(SETTINGS, gradient_checkpointing=True)).start()
    assert_same_bytes(one, two)


def test_with_dropout_what_is_learned_does_not_depend_on_the_micro_batch(tmp_path: Path) -> None:
    """Masks come from seed, step and row: the adapters of micro-batches of 1, 3 and 8 are the same to the last bit."""
    results = {}
    for micro_batch in (1, 3, 8):
        machine = Machine(device="cpu", micro_batch=micro_batch)
        run = Run(tmp_path / str(micro_batch), dropout=0.1, machine=machine)
        results[micro_batch] = weights_of(run.start()[1])
        assert run.progress.said.count(ONE_BY_ONE) == 1
    assert all(torch.equal(results[1][name], results[size][name]) for size in (3, 8) for name in results[1])
    without = Run(tmp_path / "without", dropout=0.0)
    without.start()
    assert ONE_BY_ONE not in without.progress.said


def test_each_row_and_each_step_has_a_mask_of_its_own(tmp_path: Path) -> None:
    """Two rows alike, and one row at two steps, are not dropped alike; the same row at the same step is."""
    rows = [MANY[0]] * 2
    settings = replace(SETTINGS, global_batch_size=1, learning_rate=1e-12, epochs=2.0, warmup_share=0.0)
    losses = []
    for name in ("one", "two"):
        run = Run(tmp_path / name, settings=settings, method="lora", dropout=0.5, evaluates=False, rows=rows)
        run.start()
        losses.append([(line["loss"], line["grad_norm"]) for line in run.log])
    assert losses[0] == losses[1]
    assert len({norm for _, norm in losses[0]}) == 4


@pytest.mark.parametrize(
    ("family", "changes", "expected"),
    [
        ("llama", {}, False),
        ("llama", {"attention_dropout": 0.1}, True),
        ("gpt2", {}, False),  # summary_first_dropout is 0.1, of a head that is not there
        ("gpt2", {"resid_pdrop": 0.1}, True),
    ],
)
def test_dropout_is_found_where_a_family_hides_it(family: str, changes: dict[str, float], expected: bool) -> None:
    config = config_of(family, 400)
    for name, value in changes.items():
        setattr(config, name, value)
    assert drops(AutoModelForCausalLM.from_config(config)) is expected


def test_the_weight_of_a_row_means_the_same_in_any_batch(tmp_path: Path) -> None:
    """A row of weight 3 alone in its batch pulls three times as hard as one of weight 1."""
    settings = replace(SETTINGS, global_batch_size=1, learning_rate=1e-12, epochs=1.0, warmup_share=0.0)
    norms = {}
    for weights in ((1.0, 1.0), (1.5, 0.5), (3.0, 1.0)):
        rows = [replace(row, weight=weight) for row, weight in zip(MANY[:2], weights, strict=True)]
        run = Run(tmp_path / str(weights), settings=settings, method="full", evaluates=False, rows=rows)
        run.start()
        norms[weights] = [line["grad_norm"] for line in run.log]
    by_row = dict(zip(_order(17, 2, 0), range(2), strict=True))
    ratios = [norms[1.5, 0.5][by_row[row]] / norms[1.0, 1.0][by_row[row]] for row in range(2)]
    assert ratios == pytest.approx([1.5, 0.5], rel=1e-5)
    assert norms[3.0, 1.0] == pytest.approx(norms[1.5, 0.5], rel=1e-5)  # weights are brought to a mean of 1


def test_the_loss_of_a_batch_is_divided_by_its_tokens_not_by_its_weights() -> None:
    loaded = loaded_of()
    light, heavy = (loss_of(loaded, [replace(MANY[0], weight=weight)]).item() for weight in (1.0, 5.0))
    assert heavy == pytest.approx(5 * light, rel=1e-6)


@pytest.mark.parametrize(
    ("num_rows", "epochs", "size", "steps"),
    [
        (33, 1.0, 32, [32, 1]),
        (33, 2.0, 32, [32, 1, 32, 1]),
        (20, 1.5, 8, [8, 8, 4, 8, 2]),
        (20, 0.25, 8, [5]),
        (2, 1.0, 32, [2]),
        (2, 3.0, 1, [1] * 6),
        (7, 0.01, 8, [1]),
    ],
)
def test_an_epoch_is_every_row_once_and_its_last_batch_may_be_short(
    num_rows: int, epochs: float, size: int, steps: list[int]
) -> None:
    schedule = Schedule(replace(SETTINGS, epochs=epochs, global_batch_size=size), num_rows)
    assert [len(schedule.batch(step)[1]) for step in range(1, schedule.num_steps + 1)] == steps
    assert schedule.epoch(schedule.num_steps) == pytest.approx(max(epochs, 1 / num_rows), abs=1e-6)


def test_a_short_batch_is_divided_by_its_own_tokens(tmp_path: Path) -> None:
    """Of 9 rows and batches of 8 the last is one row: its loss is its own mean, as an untrained model has it."""
    settings = replace(SETTINGS, epochs=1.0, learning_rate=1e-12, warmup_share=0.0)
    run = Run(tmp_path, settings=settings, dropout=0.0, evaluates=False, rows=MANY[:9])
    run.start()
    assert [(line["epoch"], line["num_target_tokens"]) for line in run.log] == [(0.888889, 16), (1.0, 2)]
    last = MANY[_order(17, 9, 0)[8]]
    assert run.log[-1]["loss"] == pytest.approx(oracle.mean_loss(model_of(), [last]).item(), rel=1e-5)


def test_every_epoch_has_another_order(tmp_path: Path) -> None:
    orders = [_order(17, 20, epoch) for epoch in range(4)]
    assert [sorted(order) for order in orders] == [list(range(20))] * 4
    assert len(set(map(tuple, orders))) == 4


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0), (1e308, 1e308)])
def test_weights_from_which_nothing_can_be_learned_are_refused(weights: tuple[float, float], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        Run(tmp_path, rows=[replace(MANY[0], weight=weight) for weight in weights]).start()


def test_the_schedule_warms_up_and_comes_down() -> None:
    common = replace(SETTINGS, learning_rate=1.0, max_steps=10, epochs=99.0, warmup_share=0.2)

    def rates(kind: Any) -> list[float]:
        schedule = Schedule(replace(common, schedule=kind), 20)
        return [round(schedule.learning_rate(step), 3) for step in range(1, 11)]

    assert rates("constant") == [0.5] + [1.0] * 9
    assert rates("linear") == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert rates("cosine") == [0.5, 1.0, 1.0, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]


# --- what is written, kept and stopped ------------------------------------------------------------


def test_the_log_has_one_line_a_step_and_one_an_evaluation(tmp_path: Path) -> None:
    run = Run(tmp_path)
    result, _ = run.start()
    steps = [line for line in run.log if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(steps[0]) == ["step", "epoch", "loss", "learning_rate", "grad_norm", "num_target_tokens"]
    assert steps[4]["epoch"] == 1.8 and steps[0]["num_target_tokens"] == 16
    # six evenly spaced over 8 steps, and one before the first step
    assert [line["step"] for line in run.log if "valid_value" in line] == [0, 2, 3, 4, 6, 7, 8]
    assert (result.num_steps, result.num_target_tokens) == (8, 112)
    assert steps[-1]["loss"] < 0.6 * steps[0]["loss"]


def test_the_best_weights_are_kept_by_value_then_loss_then_step(tmp_path: Path) -> None:
    values = iter([9.0, 0.5, 0.7, 0.7, 0.7, 0.1, 0.0])  # the 9.0 of step 0 is no trained weight
    losses = iter([0.1, 0.9, 0.8, 0.6, 0.6, 0.1, 0.1])
    kept: list[dict[str, torch.Tensor]] = []
    loaded = wrap(model_of(), byte_level())
    trainable = build_lora(Lora(rank=4), loaded)

    def evaluate() -> Evaluation:
        kept.append(weights_of(trainable))
        return Evaluation(next(values), next(losses))

    result = fit(trainable, MANY, SETTINGS, loaded=loaded, evaluate=evaluate, work_dir=tmp_path, ctx=context(tmp_path))
    assert (result.best_step, result.best_value) == (4, 0.7)
    assert all(torch.equal(value, kept[3][name]) for name, value in weights_of(trainable).items())


def test_patience_ends_training_early(tmp_path: Path) -> None:
    values = iter([0.0, 0.5, 0.4, 0.4])
    loaded = wrap(model_of(), byte_level())
    trainable = build_lora(Lora(rank=4), loaded)
    result = fit(
        trainable,
        MANY,
        replace(SETTINGS, patience=2),
        loaded=loaded,
        evaluate=lambda: Evaluation(next(values), 1.0),
        work_dir=tmp_path,
        ctx=context(tmp_path),
    )
    assert (result.num_steps, result.best_step, result.stopped_early) == (4, 2, True)


def test_a_loss_that_is_not_finite_never_reaches_the_weights(tmp_path: Path) -> None:
    loaded = wrap(model_of(), byte_level())
    trainable = build_full(Full(), loaded)
    with torch.no_grad():
        trainable.model.get_output_embeddings().weight[7] = float("inf")
    before = weights_of(trainable)
    with pytest.raises(NotFiniteError, match=r"the base model .* gives scores that are not finite") as caught:
        fit(trainable, MANY, SETTINGS, loaded=loaded, evaluate=None, work_dir=tmp_path, ctx=context(tmp_path))
    assert caught.value.exit_code == 7
    assert all(torch.equal(value, before[name]) for name, value in weights_of(trainable).items())


def test_rows_without_a_target_and_several_processes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="row 1: nothing to learn"):
        Run(tmp_path, rows=[MANY[0], Row([1, 2], [True, False])]).start()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MachineError, match="WORLD_SIZE is 2"):
        Run(tmp_path).start()
