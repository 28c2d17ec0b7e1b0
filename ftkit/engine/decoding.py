"""Rows that are being written, one token a step: what each has behind the prefix that all share.

Knows keys and values; no text and no choice of a token. S rows, H heads, K heads of keys and values, C room, D width of
a head, T packed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ftkit.engine.attention import Keep, NotATreeError, Past
from ftkit.engine.kernels import Block, Rule, additive, block_forward, merge, take_sinks_in, window_mask
from ftkit.engine.tree import Packed


class Decoding:
    """The own keys and values of up to `size` rows of at most `room` tokens each behind a `past`.

    Rows stand in the first places; where one leaves, the last takes its place.
    """

    def __init__(self, size: int, room: int, past: Past | None, device: str) -> None:
        self.size, self.room, self.past, self.device = size, room, past, device
        self.base = 0 if past is None else past.num_tokens
        self.lengths: list[int] = []
        self._of_layer: dict[Any, tuple[torch.Tensor, torch.Tensor]] = {}
        self._masks: dict[Any, torch.Tensor | None] = {}
        self._length_S = torch.zeros(0, dtype=torch.long)

    def enter(self, lengths: Sequence[int]) -> Keep:
        """Take rows of so many tokens in; returns what takes their keys and values, for `forward`'s `keep`."""
        first = len(self.lengths)
        self.lengths += lengths

        def keep(layer: Any, packed: Packed, key_1KTD: torch.Tensor, value_1KTD: torch.Tensor) -> None:
            if layer not in self._of_layer:
                self._of_layer[layer] = (self._empty(key_1KTD), self._empty(value_1KTD))
            for whole_SKCD, new_1KTD in zip(self._of_layer[layer], (key_1KTD, value_1KTD), strict=True):
                for row, path in enumerate(packed.paths, first):
                    whole_SKCD[row, :, : len(path)] = new_1KTD[0][:, torch.tensor(path, device=self.device)]

        return keep

    def leave(self, rows: Sequence[int]) -> None:
        """Take rows out; call with their places, in any order."""
        for row in sorted(rows, reverse=True):
            last = len(self.lengths) - 1
            if row != last:
                for parts in self._of_layer.values():
                    for whole_SKCD in parts:
                        whole_SKCD[row] = whole_SKCD[last]
                self.lengths[row] = self.lengths[last]
            self.lengths.pop()

    def step(self) -> torch.Tensor:
        """Make room for one token of each row; returns its position in the row (S)."""
        self._length_S = torch.tensor(self.lengths, device=self.device)
        self.lengths = [length + 1 for length in self.lengths]
        self._masks = {}
        return self._length_S + self.base

    def attend(
        self, layer: Any, query_1HTD: torch.Tensor, key_1KTD: torch.Tensor, value_1KTD: torch.Tensor, rule: Rule
    ) -> torch.Tensor:
        """Output (1, H, S, D) of a layer's attention for the tokens of a step."""
        num, longest = len(self.lengths), max(self.lengths)
        if query_1HTD.shape[2] != num:
            raise NotATreeError(f"{query_1HTD.shape[2]} tokens for {num} rows")
        keys_SKCD, values_SKCD = self._of_layer[layer]
        places_S = torch.arange(num, device=self.device)
        keys_SKCD[places_S, :, self._length_S] = key_1KTD[0].transpose(0, 1)
        values_SKCD[places_S, :, self._length_S] = value_1KTD[0].transpose(0, 1)
        rows = slice(0, num)
        own = Block(rows, rows, num, False, self._own_mask(rule.window, longest, query_1HTD.dtype))
        query_SH1D = query_1HTD[0].transpose(0, 1)[:, :, None]
        out, lse = block_forward(query_SH1D, keys_SKCD[:num, :, :longest], values_SKCD[:num, :, :longest], own, rule)
        out_1HSD, lse_1HS = out[:, :, 0].transpose(0, 1)[None], lse[:, :, 0].transpose(0, 1)[None]
        if self.past is not None:
            shared = Block(rows, rows, 1, False, self._past_mask(rule.window, query_1HTD.dtype))
            merge(out_1HSD, lse_1HS, *block_forward(query_1HTD, *self.past.of_layer[layer], shared, rule))
        if rule.sinks_H is not None:
            take_sinks_in(out_1HSD, lse_1HS, rule.sinks_H)
        return out_1HSD

    def _empty(self, like_1KTD: torch.Tensor) -> torch.Tensor:
        return like_1KTD.new_zeros(self.size, like_1KTD.shape[1], self.room, like_1KTD.shape[3])

    def _own_mask(self, window: int | None, longest: int, dtype: torch.dtype) -> torch.Tensor:
        """What each row sees of its own (S, 1, 1, C), to be added."""
        key = ("own", window, dtype)
        if key not in self._masks:
            back_SC = self._length_S[:, None] - torch.arange(longest, device=self.device)
            self._masks[key] = additive((back_SC >= 0) & ((back_SC < window) if window else True), dtype)[:, None, None]
        mask = self._masks[key]
        assert mask is not None
        return mask

    def _past_mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
        """What each row sees of the prefix (S, prefix); None for all."""
        key = ("past", window, dtype)
        if key not in self._masks:
            position_S = self._length_S + self.base
            self._masks[key] = window_mask(position_S, torch.arange(self.base, device=self.device), window, dtype)
        return self._masks[key]
