"""Low-rank adapters computed in one go: the same weights and state, fewer passes over what flows through them.

Knows peft's linear layers; no method and no training loop. T tokens, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


class _LowRank(torch.autograd.Function):
    """x W' + b + scale x A' B', of a frozen W and b: the product of the two factors is added in place."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight_OI: torch.Tensor,
        bias_O: torch.Tensor | None,
        down_RI: torch.Tensor,
        up_OR: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        x_TI = x.reshape(-1, x.shape[-1])
        down, up = down_RI.to(x.dtype), up_OR.to(x.dtype)
        hidden_TR = x_TI @ down.T
        out_TO = functional.linear(x_TI, weight_OI, bias_O)
        out_TO.addmm_(hidden_TR, up.T, alpha=scale)
        ctx.save_for_backward(x_TI, weight_OI, hidden_TR, down, up)
        ctx.scale, ctx.dtype, ctx.shape = scale, down_RI.dtype, x.shape
        return out_TO.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        x_TI, weight_OI, hidden_TR, down, up = ctx.saved_tensors
        grad_TO = grad.reshape(-1, grad.shape[-1])
        through_TR = (grad_TO @ up) * ctx.scale
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = (grad_TO @ weight_OI).addmm_(through_TR, down).view(ctx.shape)
        d_down = (through_TR.T @ x_TI).to(ctx.dtype)
        d_up = ((grad_TO.T @ hidden_TR) * ctx.scale).to(ctx.dtype)
        return d_x, None, None, d_down, d_up, None


def compute_at_once(model: Any) -> None:
    """Let plain linear layers under one adapter each compute both in one go, wherever the adapter is on and unmerged.

    Others (quantised, with dropout, of another kind) compute as peft has it. What is saved is the same.
    """
    from peft.tuners.lora import Linear

    for module in model.modules():
        if type(module) is Linear and type(module.get_base_layer()) is torch.nn.Linear:
            module.forward = _forward_of(module)


def _forward_of(module: Any) -> Any:
    by_peft = type(module).forward.__get__(module)

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not _is_one_plain_adapter(module):
            return by_peft(x, *args, **kwargs)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        (name,), base = module.active_adapters, module.get_base_layer()
        bias = None if base.bias is None else base.bias.to(x.dtype)
        down, up = module.lora_A[name].weight, module.lora_B[name].weight
        return _LowRank.apply(x, base.weight.to(x.dtype), bias, down, up, module.scaling[name])

    return forward


def _is_one_plain_adapter(module: Any) -> bool:
    names = module.active_adapters
    if module.disable_adapters or module.merged or len(names) != 1 or names[0] not in module.lora_A:
        return False
    is_usual = isinstance(module.lora_dropout[names[0]], torch.nn.Identity) and not module.lora_variant
    return is_usual and not module.lora_bias[names[0]] and not module.get_base_layer().weight.requires_grad
