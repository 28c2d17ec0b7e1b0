"""In which way a model may be computed: tried on a few ids before it is used.

Knows a model and made-up ids; no text and no task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ftkit.contracts import Context
from ftkit.engine.attention import TURN, Past, Tree
from ftkit.engine.batching import base_of, vocabulary
from ftkit.engine.finite import not_finite
from ftkit.engine.forward import Logits, Way, autocast, forward, through
from ftkit.engine.load import LoadedModel
from ftkit.engine.tree import pack

TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2}  # of the largest logit; a wrong mask or position is off by far more
LEAK = {"float32": 1e-5, "bfloat16": 1e-3}  # likewise, by what another row reads: without a leak, nothing but rounding
WINDOW = 5  # that layers with a window get while it is tried: a longer one would not show on few ids
MASK_LAYERS = {"full_attention", "sliding_attention"}
SAID: dict[Way, str] = {
    "masked": "this model's own attention is used under a mask: what rows share is computed once in a batch",
    "plain": "this model's attention cannot share tokens among rows: plain batches are used",
}


def way_of(loaded: LoadedModel, ctx: Context) -> Way:
    """The fastest way that gives what rows one by one give; found out on first use, and said where it is slow.

    Raises NotFiniteError for a model that gives no numbers at all.
    """
    if loaded.way is None:
        loaded.way = _found(loaded)
        if loaded.way in SAID:
            ctx.progress.say(SAID[loaded.way])
    return loaded.way


def _found(loaded: LoadedModel) -> Way:
    model = loaded.model
    was_training = model.training
    model.eval()
    try:
        with TURN, torch.inference_mode(), _short_windows(model):
            expected = _alone(loaded)
            if not _has_known_layers(loaded):
                return "plain"
            ways: tuple[Way, ...] = ("tree", "masked")
            return next((way for way in ways if _is_exact(loaded, way, expected)), "plain")
    finally:
        model.train(was_training)


def _is_exact(loaded: LoadedModel, way: Way, expected: torch.Tensor) -> bool:
    """Whether two levels of shared tokens, and for the tree a kept prefix, give what separate rows give."""
    prefix, rows, other = _made_up(loaded)
    sequences = [[*prefix, *row] for row in rows]
    wanted = [range(len(prefix), len(each)) for each in sequences]
    try:
        if way == "tree" and not _hands_all_over(loaded, sequences):
            return False
        found = [forward(loaded, sequences, wanted, way=way)]
        changed = forward(loaded, [[*prefix, *other], *sequences[1:]], wanted, way=way)
        if way == "tree":
            past = Past(len(prefix))
            forward(loaded, [prefix], [[]], way=way, keep=past.keep)
            found.append(forward(loaded, rows, [range(len(row)) for row in rows], way=way, past=past))
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, KeyError, NotImplementedError):
        return False
    largest = expected.masked_fill(~expected.isfinite(), 0.0).abs().max()
    precision = "bfloat16" if loaded.quantize == "nf4" else loaded.precision
    is_sealed = _are_near(_values(changed, 1), _values(found[0], 1), LEAK[precision] * largest)
    return is_sealed and all(_are_near(_values(each), expected, TOLERANCE[precision] * largest) for each in found)


def _made_up(loaded: LoadedModel) -> tuple[list[int], list[list[int]], list[int]]:
    """Ids of a prefix, of rows behind it, and of what the first row may read instead."""
    ids = [number % vocabulary(loaded.model) for number in range(3, 43)]
    prefix = ids[: min(9, loaded.context_length - 1)]
    rows = [ids[9:17], [*ids[17:23], *ids[23:26]], [*ids[17:23], *ids[26:28]], ids[28:40], ids[1:9]]
    *rows, other = (row[: loaded.context_length - len(prefix)] for row in rows)
    return prefix, rows, other


def _values(logits: Logits, first: int = 0) -> torch.Tensor:
    """At all wanted places of the sequences from that one on."""
    return logits.values_WV[[row for places in logits.places[first:] for row in places]].float()


def _are_near(one: torch.Tensor, two: torch.Tensor, tolerance: torch.Tensor) -> bool:
    return bool((((one - two).abs() <= tolerance) | (one == two)).all())


def _alone(loaded: LoadedModel) -> torch.Tensor:
    """Logits behind the prefix and within each row, each by itself, as the model computes them."""
    prefix, rows, _ = _made_up(loaded)
    parts = []
    for row in rows:
        ids_1L = torch.tensor([[*prefix, *row]], device=loaded.device)
        with autocast(loaded):
            parts.append(loaded.model(input_ids=ids_1L, use_cache=False).logits[0, len(prefix) :].float())
    logits_WV = torch.cat(parts)
    if not bool(logits_WV.amax(dim=-1).isfinite().all()):
        raise not_finite(loaded, [*prefix, *rows[0]])
    return logits_WV


def _hands_all_over(loaded: LoadedModel, sequences: Sequence[Sequence[int]]) -> bool:
    """Whether every layer asks our attention once, and each that has a window says so.

    A layer that keeps a state, or another pattern than a window, would be wrong where few ids do not show it.
    """
    config = base_of(loaded.model).config.get_text_config()
    tree = Tree(pack(sequences), device=loaded.device)
    through(loaded, tree, [[] for _ in sequences])
    layers = [layer for layer, _ in tree.seen]
    if len(set(layers)) != len(layers) or len(layers) != config.num_hidden_layers:
        return False
    has_window = bool(getattr(config, "sliding_window", None)) and getattr(config, "use_sliding_window", True)
    types = getattr(config, "layer_types", None)
    num_expected = types.count("sliding_attention") if types is not None else len(layers) if has_window else 0
    return sum(window is not None for _, window in tree.seen) == num_expected


def _has_known_layers(loaded: LoadedModel) -> bool:
    """Whether the config names no layers but those of attention, and no window that would not show on few ids."""
    config = base_of(loaded.model).config.get_text_config()
    windows = {key for key, value in config.to_dict().items() if "window" in key and value}
    is_usual = all("sliding_window" in key or key == "max_window_layers" for key in windows)
    return is_usual and set(getattr(config, "layer_types", None) or []) <= MASK_LAYERS


@contextmanager
def _short_windows(model: Any) -> Iterator[None]:
    base = base_of(model)
    owners = [base.config.get_text_config(), *base.modules()]
    before = [(each, each.sliding_window) for each in owners if isinstance(getattr(each, "sliding_window", None), int)]
    try:
        for owner, _ in before:
            owner.sliding_window = WINDOW
        yield
    finally:
        for owner, window in before:
            owner.sliding_window = window
