"""In every family: in which way it may be computed is found out rightly, and that way gives what rows alone give."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread, current_thread

import oracle
import pytest
import torch
from families import PLAIN, TREE, VOCABULARY, WAY_OF, family_loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import byte_level, context
from tiny_trainings import loss_of
from transformers import AutoModelForCausalLM, OPTConfig

from ftkit.engine.attention import Past
from ftkit.engine.capability import way_of
from ftkit.engine.forward import forward
from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import wrap
from ftkit.engine.loss import Row
from ftkit.engine.score import Request, score


def ids(begin: int, count: int) -> list[int]:
    return [3 + (begin + 7 * k * k + 11 * k) % (VOCABULARY - 3) for k in range(count)]


SHARED = ids(1, 13)  # longer than the windows of the families that have one
LABELS = [ids(40, 3), [*ids(40, 2), 5], ids(40, 1), ids(60, 2)]
REQUESTS = [Request([*SHARED, *ids(begin, count)], LABELS) for begin, count in ((5, 4), (9, 1), (5, 9), (20, 12))]
ROWS = [
    Row([*SHARED, *ids(5, 9)], [False] * 15 + [True] * 7),
    Row([*SHARED, *ids(5, 4), *ids(70, 4)], [False] * 17 + [True] * 4, weight=2.0),
    Row([*SHARED, *ids(30, 20)], [False] * 20 + [True] * 13),
    Row(ids(80, 6), [False, True, False, True, True, False]),
]


LOADED = cache(partial(family_loaded, dtype=torch.float64))


@pytest.mark.parametrize("family", WAY_OF)
def test_scores_losses_and_gradients_of_the_way_that_is_found_equal_rows_alone(family: str, tmp_path: Path) -> None:
    loaded = family_loaded(family, torch.float64)
    ctx = context(tmp_path)
    found = score(loaded, REQUESTS, ctx=ctx)
    assert loaded.way == WAY_OF[family]
    assert bool(ctx.progress.said) == (loaded.way != "tree")  # type: ignore[attr-defined]
    for request, row in zip(REQUESTS, found, strict=True):
        with torch.no_grad():
            expected = [oracle.log_probability(loaded.model, request.context_ids, label).item() for label in LABELS]
        assert [one.sum for one in row] == pytest.approx(expected, rel=1e-5)
    parameters = list(loaded.model.parameters())
    ours, theirs = loss_of(loaded, ROWS, loaded.way), oracle.mean_loss(loaded.model, ROWS)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    one, two = (torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (ours, theirs))
    largest = max(gradient.abs().max().item() for gradient in two if gradient is not None)
    for mine, expected_gradient in zip(one, two, strict=True):
        assert (mine is None) == (expected_gradient is None)
        if mine is not None and expected_gradient is not None:
            assert (mine - expected_gradient).abs().max().item() <= 1e-5 * largest


@pytest.mark.parametrize("family", WAY_OF)
def test_what_is_written_equals_what_each_row_alone_writes(family: str, tmp_path: Path) -> None:
    loaded = family_loaded(family, torch.float64)
    contexts = [[*SHARED, *ids(begin, count)] for begin, count in ((5, 4), (9, 1), (5, 9), (20, 12))]
    first = [oracle.greedy(loaded.model, each, 8, frozenset()) for each in contexts]
    ends = next((id for row in first for id in row[1:] if not all(id in other for other in first)), 2)
    loaded.renderer.eos_ids = frozenset({ends})  # which some rows write and others not: they leave one by one
    expected = [oracle.greedy(loaded.model, each, 8, loaded.renderer.eos_ids) for each in contexts]
    for micro_batch in ("auto", 2):
        found = generate(loaded, contexts, Writing(8), ctx=context(tmp_path, micro_batch=micro_batch))
        assert [each.ids for each in found] == expected


@pytest.mark.parametrize("family", TREE)
def test_in_float32_too(family: str, tmp_path: Path) -> None:
    loaded = family_loaded(family)
    for request, row in zip(REQUESTS, score(loaded, REQUESTS, ctx=context(tmp_path)), strict=True):
        with torch.no_grad():
            expected = [oracle.log_probability(loaded.model, request.context_ids, label).item() for label in LABELS]
        assert [one.sum for one in row] == pytest.approx(expected, rel=1e-4)
    assert loss_of(loaded, ROWS).item() == pytest.approx(oracle.mean_loss(loaded.model, ROWS).item(), rel=1e-4)


IDS = st.lists(st.integers(3, 5), min_size=1, max_size=24)
OFTEN = st.lists(IDS, min_size=1, max_size=7).flatmap(
    lambda rows: st.tuples(st.just(rows), st.lists(st.sampled_from(rows), max_size=3), st.integers(1, 24))
)


@pytest.mark.parametrize("family", ["GptOss", "Gemma2"])  # sinks and a window by turns; capped products
@settings(max_examples=12)
@given(OFTEN, IDS)
def test_whatever_sequences_share_each_token_gets_the_logits_it_gets_alone(
    family: str, drawn: tuple[list[list[int]], list[list[int]], int], begin: list[int]
) -> None:
    loaded = LOADED(family)
    rows, again, cut = drawn
    sequences = [*rows, *again, *(row[:cut] for row in again)]
    with torch.inference_mode():
        past = Past(len(begin))
        forward(loaded, [begin], [[]], way="tree", keep=past.keep)
        for before, kept in (([], None), (begin, past)):
            found = forward(loaded, sequences, [range(len(row)) for row in sequences], way="tree", past=kept)
            for row, places in zip(sequences, found.places, strict=True):
                expected = loaded.model(torch.tensor([[*before, *row]])).logits[0, len(before) :]
                torch.testing.assert_close(found.values_WV[places], expected, rtol=0, atol=1e-5 * expected.abs().max())


@pytest.mark.parametrize("family", PLAIN)
def test_a_model_that_cannot_share_says_so_once(family: str, tmp_path: Path) -> None:
    loaded, ctx = family_loaded(family), context(tmp_path)
    assert [way_of(loaded, ctx), way_of(loaded, ctx)] == ["plain", "plain"]
    assert ctx.progress.said == [  # type: ignore[attr-defined]
        "this model's attention cannot share tokens among rows: plain batches are used"
    ]


@pytest.mark.parametrize("family", ["Jamba", "Lfm2"])
def test_a_state_that_flows_is_seen_in_bfloat16_where_it_changes_little(family: str, tmp_path: Path) -> None:
    loaded = replace(family_loaded(family, torch.bfloat16), precision="bfloat16")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(0.13)
    assert way_of(loaded, context(tmp_path)) == "plain"


@pytest.mark.parametrize("length", [2, 5, 16])
def test_a_model_of_few_positions_is_judged_within_them(length: int, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_config(OPTConfig(**TREE["OPT"], vocab_size=300, max_position_embeddings=length))
    assert way_of(wrap(model, byte_level(size=300)), context(tmp_path)) == "tree"


def test_a_model_may_be_asked_while_another_thread_finds_out_its_way(tmp_path: Path) -> None:
    loaded, ctx = family_loaded("Mistral", torch.float64), context(tmp_path)
    expected = score(loaded, REQUESTS, ctx=ctx)
    thread = Thread(target=lambda: way_of(replace(loaded, way=None), ctx))
    begun, is_asked = Event(), Event()

    def wait_amid(*_: object) -> None:
        if current_thread() is thread and not begun.is_set():
            begun.set()
            is_asked.wait(timeout=0.2)

    loaded.model.get_input_embeddings().register_forward_pre_hook(wait_amid)
    thread.start()
    begun.wait()
    found = score(loaded, REQUESTS, ctx=ctx)
    is_asked.set()
    thread.join()
    assert found == expected
