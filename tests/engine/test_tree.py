"""The token tree: what is shared stands once, and a batch that does not fit memory is halved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import context, loaded_of
from tiny_trainings import Run, assert_same_bytes, weights_of
from torch.nn.modules.module import register_module_forward_pre_hook

from ftkit.contracts import Trainable
from ftkit.engine.attention import Past, tree_attention
from ftkit.engine.batching import Budget, Load, plan
from ftkit.engine.capability import way_of
from ftkit.engine.forward import forward
from ftkit.engine.generate import Writing, generate
from ftkit.engine.loss import Row
from ftkit.engine.score import Request, score
from ftkit.engine.train import FitResult
from ftkit.engine.tree import common_beginning, num_packed, pack
from ftkit.errors import MachineError, StoppedError


def test_what_sequences_share_stands_once_and_positions_begin_again_behind_it() -> None:
    packed = pack([[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 6, 7], [9]])
    assert packed.ids == [1, 2, 3, 4, 6, 7, 5, 9]
    assert packed.depths == [0, 1, 2, 3, 3, 4, 2, 0]
    assert packed.parents == [-1, 0, 1, 2, 2, 4, 1, -1]
    assert packed.paths == [[0, 1, 2, 3], [0, 1, 6], [0, 1, 2, 4, 5], [7]]


def test_a_long_shared_beginning_is_a_run_and_short_branches_behind_it_are_one_bush() -> None:
    shared = list(range(100, 200))
    packed = pack([[*shared, 1, 2], [*shared, 1, 3], [*shared, 4], [*shared, *range(300, 340)]])
    assert [(each.start, each.end, each.stop, each.parents) for each in packed.segments] == [
        (0, 100, 144, None),
        (100, 104, 104, (-1, 0, 0, -1)),
        (104, 144, 144, None),
    ]


SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=90), min_size=1, max_size=12)


@given(SEQUENCES)
def test_each_sequence_is_read_along_its_path_and_each_token_is_in_one_segment(sequences: list[list[int]]) -> None:
    packed = pack(sequences)
    assert (
        len(packed.ids) == num_packed(sequences) == len({tuple(s[:n]) for s in sequences for n in range(1, len(s) + 1)})
    )
    for sequence, path in zip(sequences, packed.paths, strict=True):
        assert [packed.ids[place] for place in path] == sequence
        assert [packed.parents[place] for place in path] == [-1, *path[:-1]]
        assert [packed.depths[place] for place in path] == list(range(len(path)))
    assert [t for each in packed.segments for t in range(each.start, each.end)] == list(range(len(packed.ids)))
    sees = {(t, t) for t in range(len(packed.ids))}
    for each in packed.segments:
        own = range(each.start, each.end)
        if each.parents is None:
            sees |= {(query, key) for query in own for key in own if key <= query}
        else:
            for token, parent in enumerate(each.parents):
                if parent >= 0:
                    above = {key for query, key in sees if query == each.start + parent and key >= each.start}
                    sees |= {(each.start + token, key) for key in above}
        sees |= {(query, key) for query in range(each.end, each.stop) for key in own}
    assert sees == {(place, above) for path in packed.paths for n, place in enumerate(path) for above in path[: n + 1]}


@given(SEQUENCES)
def test_the_common_beginning_is_that_of_all(sequences: list[list[int]]) -> None:
    shared = common_beginning(sequences)
    assert all(sequence[: len(shared)] == shared for sequence in sequences)
    longer = {tuple(sequence[: len(shared) + 1]) for sequence in sequences}
    assert len(longer) > 1 or len(shared) == min(map(len, sequences))


def load(ids: list[int]) -> Load:
    return Load(ids, len(ids), len(ids), 1, 10)


def test_a_batch_counts_what_its_rows_share_once_and_the_costliest_comes_first() -> None:
    shared = list(range(90))
    loads = [load([*shared, 100 + k]) for k in range(10)]
    loads += [load([500 + k]) for k in range(3)] + [load(list(range(700, 820)))]
    assert plan(loads, Budget(0, 100, 1000), shares=True) == [[13], list(range(10)), [10, 11, 12]]
    assert plan(loads, Budget(0, 200, 1000), shares=False)[:2] == [[0, 1], [2, 3]]
    assert [len(each) for each in plan(loads, Budget(3, 10**6, 10**6), shares=True)] == [2, 3, 3, 3, 3]
    assert len(plan(loads, Budget(0, 10**6, 20), shares=True)) == 7


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=30),
    st.booleans(),
    st.integers(1, 60),
)
def test_a_plan_takes_each_row_once_and_keeps_to_its_budget(rows: list[list[int]], shares: bool, tokens: int) -> None:
    batches = plan([load(row) for row in rows], Budget(0, tokens, 10**9), shares=shares)
    assert sorted(index for batch in batches for index in batch) == list(range(len(rows)))
    for batch in batches:
        taken = [rows[index] for index in batch]
        cost = num_packed(taken) if shares else len(taken) * max(map(len, taken))
        assert cost <= tokens or len(batch) == 1


class Counted(list[Load]):
    """Loads that count how often one is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("shares", [True, False])
def test_a_plan_of_very_many_rows_looks_at_each_a_few_times(shares: bool) -> None:
    loads = Counted(load([index]) for index in range(2000))
    assert plan(loads, Budget(0, 10**9, 10**9), shares=shares)[0] == list(range(2000))
    assert loads.looks <= 5 * 2000


def test_sequences_may_be_lists_or_tuples() -> None:
    assert pack([(1, 2, 3), [1, 2, 4], (1, 2)]).ids == [1, 2, 3, 4]
    assert common_beginning([(1, 2, 3), [1, 2], (1, 2)]) == [1, 2]


@contextmanager
def memory_of(num_tokens: int) -> Iterator[list[int]]:
    """Models run out of memory where they read more tokens than that at a time; the sizes that came are noted."""
    sizes: list[int] = []

    def check(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, torch.nn.Embedding):
            sizes.append(args[0].numel())
            if sizes[-1] > num_tokens:
                raise torch.OutOfMemoryError("CUDA out of memory")

    handle = register_module_forward_pre_hook(check)
    try:
        yield sizes
    finally:
        handle.remove()


rng = random.Random(0)
REQUESTS = [Request([rng.randrange(3, 300) for _ in range(9)], [[7, 8, 9], [7, 10]]) for _ in range(16)]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_where_memory_runs_out_batches_are_halved_and_scores_and_texts_stay(family: str, tmp_path: Path) -> None:
    loaded, ctx = loaded_of(family, dtype=torch.float64), context(tmp_path)
    contexts = [request.context_ids for request in REQUESTS]
    scores = score(loaded, REQUESTS, ctx=ctx)
    texts = generate(loaded, contexts, Writing(6), ctx=ctx)
    with memory_of(50) as sizes:
        again = score(loaded, REQUESTS, ctx=ctx)
        assert max(sizes) > 50 and sizes[-1] <= 50
        assert [[each.sum for each in row] for row in again] == [
            pytest.approx([each.sum for each in row], rel=1e-9) for row in scores
        ]
        assert [each.ids for each in generate(loaded, contexts, Writing(6), ctx=ctx)] == [each.ids for each in texts]
    with memory_of(5), pytest.raises(MachineError, match="a row of 9 tokens does not fit the memory of cpu"):
        score(loaded, REQUESTS, ctx=ctx)


def test_a_beginning_that_does_not_fit_memory_is_named(tmp_path: Path) -> None:
    loaded, ctx = loaded_of(), context(tmp_path)
    contexts = [[*range(100, 160), 200 + k] for k in range(3)]
    assert way_of(loaded, ctx) == "tree"
    expected = "the 60 tokens that all prompts begin with do not fit the memory of cpu"
    with memory_of(50):
        with pytest.raises(MachineError, match=expected):
            score(loaded, [Request(ids, [[7]]) for ids in contexts], ctx=ctx)
        with pytest.raises(MachineError, match=expected):
            generate(loaded, contexts, Writing(2), ctx=ctx)


def test_gradients_behind_what_is_kept_are_refused() -> None:
    loaded, past = loaded_of(), Past(3)
    forward(loaded, [[5, 6, 7]], [[]], way="tree", keep=past.keep)
    with pytest.raises(AssertionError, match="gradients would not reach"):
        forward(loaded, [[8, 9]], [[1]], way="tree", past=past)


LONG = [Row([40 + k, 6, *range(20, 30), 5, 100 + k % 5, 2], [False] * 13 + [True] * 2) for k in range(20)]


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, tuple[FitResult, Trainable]]:
    run = Run(tmp_path_factory.mktemp("halved"), dropout=0.0, rows=LONG)
    with memory_of(60):  # fewer than the tokens of 8 rows
        return run, run.start()


def test_where_memory_runs_out_a_step_begins_anew_with_half_and_learns_the_same(
    halved: tuple[Run, tuple[FitResult, Trainable]], tmp_path: Path
) -> None:
    whole = Run(tmp_path, dropout=0.0, rows=LONG)
    _, one = whole.start()
    run, (_, two) = halved
    assert any("the micro-batch is halved to" in line for line in run.progress.said)
    for (name, ours), theirs in zip(weights_of(one).items(), weights_of(two).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("step", [1, 5])
def test_batches_stay_halved_after_an_interruption_and_the_bytes_are_those_of_one_run(
    step: int, halved: tuple[Run, tuple[FitResult, Trainable]], tmp_path: Path
) -> None:
    with memory_of(60), pytest.raises(StoppedError):
        Run(tmp_path, dropout=0.0, rows=LONG, stop_after_step=step).start()
    again = Run(tmp_path, dropout=0.0, rows=LONG)
    assert_same_bytes(again.start(), halved[1])
    assert again.progress.said == [f"training continues after step {step} of 8"]  # the tree was used


def test_a_model_may_be_asked_from_several_threads(tmp_path: Path) -> None:
    loaded, ctx = loaded_of(dtype=torch.float64), context(tmp_path)
    expected = score(loaded, REQUESTS, ctx=ctx)
    begun, is_amid = Event(), Event()

    def other() -> None:
        with tree_attention(loaded.model):
            begun.set()
            is_amid.wait(timeout=0.2)

    thread = Thread(target=other)

    def leave_amid(*_: Any) -> None:
        is_amid.set()
        thread.join()

    handle = loaded.model.get_input_embeddings().register_forward_pre_hook(leave_amid)
    thread.start()
    begun.wait()
    found = score(loaded, REQUESTS, ctx=ctx)
    handle.remove()
    assert found == expected
