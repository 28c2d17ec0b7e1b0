"""Label scores and generation against the oracle, for every family and for labels that begin one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import oracle
import pytest
import torch
from tiny_models import byte_level, context, loaded_of, save_base, spec_of

from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import load
from ftkit.engine.score import Request, score
from ftkit.errors import DataError

REQUESTS = [
    Request([5, 6, 7, 8, 9, 10, 11], [[20, 21, 22], [20, 21], [20, 23, 22], [24]]),
    Request([9], [[20, 21, 22], [20, 21], [20, 23, 22], [24]]),
    Request([30, 31, 5, 6], [[40, 41, 42, 43, 44], [7, 41], [40, 41, 2]]),
]


def relative_difference(one: float, two: float) -> float:
    return abs(one - two) / abs(two)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.float32, 1e-4)])
def test_scores_of_a_tree_equal_separate_rows(family: str, dtype: Any, tolerance: float, tmp_path: Path) -> None:
    loaded = loaded_of(family, dtype=dtype)
    found = score(loaded, REQUESTS, ctx=context(tmp_path))
    assert loaded.way == "tree"
    for request, row in zip(REQUESTS, found, strict=True):
        for ids, one in zip(request.continuations_ids, row, strict=True):
            expected = oracle.log_probability(loaded.model, request.context_ids, ids).item()
            assert relative_difference(one.sum, expected) <= tolerance
            assert one.num_tokens == len(ids)


@pytest.mark.parametrize("micro_batch", [1, 2, "auto"])
def test_scores_do_not_depend_on_the_batch(micro_batch: Any, tmp_path: Path) -> None:
    loaded = loaded_of()
    alone = [score(loaded, [request], ctx=context(tmp_path))[0] for request in REQUESTS]
    together = score(loaded, REQUESTS, ctx=context(tmp_path, micro_batch=micro_batch))
    for one, two in zip(alone, together, strict=True):
        assert [each.sum for each in one] == pytest.approx([each.sum for each in two], rel=1e-5)


def test_nf4_scores_equal_separate_rows(tmp_path: Path) -> None:
    save_base(tmp_path / "base")
    ctx = context(tmp_path)
    loaded = load(spec_of(tmp_path / "base", quantize="nf4"), ctx)
    found = score(loaded, REQUESTS, ctx=ctx)
    with torch.no_grad():
        for request, row in zip(REQUESTS, found, strict=True):
            for ids, one in zip(request.continuations_ids, row, strict=True):
                expected = oracle.log_probability(loaded.model, request.context_ids, ids).item()
                assert relative_difference(one.sum, expected) <= 1e-3


def test_of_labels_that_begin_one_another_either_can_win(tmp_path: Path) -> None:
    """Without its end-of-turn 'card' could never lose to 'card arrival', whatever the context."""
    loaded = loaded_of(tokenizer=byte_level(chat=False))
    winners = set()
    for text in (
        "where",
        "lost",
        "a",
        "charged twice",
        "it is",
        "not yet",
        "please",
        "payment",
        "one",
        "two",
    ):
        rendered = [
            loaded.renderer.render([{"role": "user", "content": text}], label) for label in ("card", "card arrival")
        ]
        short, long = (each.target_ids for each in rendered)
        assert short[:-1] == long[: len(short) - 1] and short[-1] != long[len(short) - 1]
        ((one, two),) = score(loaded, [Request(rendered[0].context_ids, [short, long])], ctx=context(tmp_path))
        # the mean: random weights punish every further token, a sum would always choose the short one
        winners.add("card" if one.sum / one.num_tokens > two.sum / two.num_tokens else "card arrival")
    assert winners == {"card", "card arrival"}


CONTEXTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14], [20], [30, 31, 32, 33], [40, 3, 50]]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2"])
def test_generation_in_a_batch_equals_generation_row_by_row(family: str, tmp_path: Path) -> None:
    loaded = loaded_of(family, dtype=torch.float64)
    # an id that some rows would write and others not ends a turn, so that rows leave the batch one by one
    first = [oracle.greedy(loaded.model, ids, 12, frozenset()) for ids in CONTEXTS]
    ends = next(id for row in first for id in row[2:] if not all(id in other for other in first))
    loaded.renderer.eos_ids = frozenset({ends})
    found = generate(loaded, CONTEXTS, Writing(12), ctx=context(tmp_path))
    expected = [oracle.greedy(loaded.model, ids, 12, loaded.renderer.eos_ids) for ids in CONTEXTS]
    assert [each.ids for each in found] == expected
    ends = [ids[-1] in loaded.renderer.eos_ids for ids in expected]
    assert [each.reason for each in found] == [("limit", "end")[ends_here] for ends_here in ends]
    assert {each.reason for each in found} == {"limit", "end"}


def test_generation_ends_where_the_context_ends(tmp_path: Path) -> None:
    loaded = loaded_of()
    loaded.renderer.eos_ids = frozenset()
    loaded.context_length = 10
    (found,) = generate(loaded, [[5] * 8], Writing(50), ctx=context(tmp_path))
    assert (len(found.ids), found.reason) == (2, "limit")
    with pytest.raises(DataError, match="prompt 0: 10 tokens; between 1 and 9"):
        generate(loaded, [[5] * 10], Writing(1), ctx=context(tmp_path))
