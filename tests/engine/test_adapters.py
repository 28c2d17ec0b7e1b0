"""Adapters computed in one go give what peft gives, and what computes in bfloat16 stays near float32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import oracle
import pytest
import torch
from peft.tuners.lora import Linear
from tiny_models import byte_level, loaded_of, model_of
from tiny_trainings import ROWS, loss_of

from ftkit.engine.adapters import _LowRank
from ftkit.engine.load import wrap
from ftkit.training.methods.lora import Lora, build


def tuned(dtype: torch.dtype, **options: Any) -> Any:
    """A model under an adapter whose second factor is no longer 0."""
    torch.manual_seed(1)
    model = build(Lora(rank=4, **options), loaded_of(dtype=dtype)).model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)
    return model


def numbers(model: Any) -> list[torch.Tensor]:
    """Logits and the gradients of what is trained."""
    logits = model(torch.tensor([[5, 6, 7, 8, 9]])).logits
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [logits, *torch.autograd.grad(logits.square().sum(), trained)]


def as_peft_has_it(model: Any) -> Any:
    for module in model.modules():
        if type(module) is Linear:
            module.forward = Linear.forward.__get__(module)
    return model


@pytest.mark.parametrize("target_modules", ["all-linear", ["q_proj", "down_proj"]])
def test_logits_and_gradients_are_those_of_peft(target_modules: Any) -> None:
    model = tuned(torch.float64, target_modules=target_modules)
    ours = numbers(model)
    for one, two in zip(ours, numbers(as_peft_has_it(model)), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_an_adapter_that_is_off_or_merged_is_left_to_peft() -> None:
    model = tuned(torch.float64)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        on = model(ids).logits
        with model.disable_adapter():
            torch.testing.assert_close(model(ids).logits, loaded_of(dtype=torch.float64).model(ids).logits)
        model.merge_adapter()
        torch.testing.assert_close(model(ids).logits, on)
        model.unmerge_adapter()
        torch.testing.assert_close(model(ids).logits, on)


def test_the_gradient_is_that_of_the_sum_of_both() -> None:
    torch.manual_seed(0)
    x, weight, bias, down, up = (
        torch.randn(*shape, dtype=torch.float64) for shape in ((2, 3, 5), (4, 5), (4,), (2, 5), (4, 2))
    )
    assert torch.autograd.gradcheck(
        lambda x, down, up: _LowRank.apply(x, weight, bias, down, up, 0.7),
        (x.requires_grad_(), down.requires_grad_(), up.requires_grad_()),
    )


@pytest.mark.parametrize("method", ["lora", "full"])
def test_in_bfloat16_a_loss_is_near_that_of_float32(method: str, tmp_path: Path) -> None:
    model = model_of().to(torch.bfloat16 if method == "lora" else torch.float32)
    base = replace(wrap(model, byte_level()), precision="bfloat16")
    if method == "lora":
        base = replace(base, model=build(Lora(rank=4), base).model)
        assert {p.dtype for p in base.model.parameters() if p.requires_grad} == {torch.float32}
    loss = loss_of(base, ROWS)
    loss.backward()
    expected = oracle.mean_loss(model_of(), ROWS).item()
    assert loss.item() == pytest.approx(expected, rel=2e-2)
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in base.model.parameters() if p.requires_grad)
