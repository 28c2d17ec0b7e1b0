"""What is drawn, where it stops and who is told: the same whatever else is written beside it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import context, loaded_of
from torch.utils._python_dispatch import TorchDispatchMode

from ftkit.engine.answerer import Question, Sampling
from ftkit.engine.finite import NotFiniteError
from ftkit.engine.generate import Writing, generate
from ftkit.engine.local import LocalModel
from ftkit.errors import DataError
from ftkit.records import Example

CONTEXTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14], [20], [30, 31, 32, 33], [5, 6, 7], [5, 6, 7, 40]]


@pytest.mark.parametrize("micro_batch", [1, 2, "auto"])
def test_samples_do_not_depend_on_the_batch_nor_on_other_rows(micro_batch: Any, tmp_path: Path) -> None:
    loaded, writing = loaded_of(dtype=torch.float64), Writing(8, temperature=0.7, top_p=0.9, seed=3)
    ctx = context(tmp_path, micro_batch=micro_batch)
    found = [each.ids for each in generate(loaded, CONTEXTS, writing, ctx=ctx)]
    alone = [generate(loaded, [ids], writing, ctx=context(tmp_path))[0].ids for ids in CONTEXTS]
    twice = [each.ids for each in generate(loaded, [CONTEXTS[0]] * 2, writing, ctx=context(tmp_path))]
    assert found[:4] == alone[:4] and found[5] == alone[5]
    assert [found[0], found[4]] == twice and twice[0] != twice[1]
    other = Writing(8, temperature=0.7, top_p=0.9, seed=4)
    assert found != [each.ids for each in generate(loaded, CONTEXTS, other, ctx=ctx)]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6)])
def test_samples_are_as_frequent_as_they_are_likely(temperature: float, top_p: float, tmp_path: Path) -> None:
    loaded = loaded_of(dtype=torch.float64)
    with torch.no_grad():
        p = (loaded.model(torch.tensor([[5, 6, 7]])).logits[0, -1] / temperature).softmax(-1)
    ordered, ids = p.sort(descending=True)
    kept = int((ordered.cumsum(0) - ordered < top_p).sum())
    expected = dict(zip(ids[:kept].tolist(), (ordered[:kept] / ordered[:kept].sum()).tolist(), strict=True))
    writing = Writing(1, temperature=temperature, top_p=top_p, seed=1)
    drawn = Counter(each.ids[0] for each in generate(loaded, [[5, 6, 7]] * 4000, writing, ctx=context(tmp_path)))
    assert set(drawn) <= set(expected)
    for id, share in expected.items():
        assert abs(drawn[id] / 4000 - share) <= 5 * (share * (1 - share) / 4000) ** 0.5 + 1e-3


def test_a_temperature_near_0_takes_the_likeliest_and_what_leaves_no_token_is_refused(tmp_path: Path) -> None:
    loaded = loaded_of(dtype=torch.float64)
    cold = generate(loaded, CONTEXTS[:2], Writing(4, temperature=1e-308), ctx=context(tmp_path))
    assert cold == generate(loaded, CONTEXTS[:2], Writing(4), ctx=context(tmp_path))
    for options in ({"max_new_tokens": 0}, {"top_p": 0.0}, {"temperature": -1.0}):
        with pytest.raises(AssertionError, match="something is to be written"):
            Writing(**{"max_new_tokens": 4, **options})  # type: ignore[arg-type]


def test_each_token_is_told_as_it_comes_and_enough_is_enough(tmp_path: Path) -> None:
    loaded, told = loaded_of(), []
    loaded.renderer.eos_ids = frozenset()
    writing = Writing(6, is_stopped=lambda ids: len(ids) == 4, tell=lambda index, ids: told.append((index, list(ids))))
    found = generate(loaded, CONTEXTS[:2], writing, ctx=context(tmp_path))
    assert [each.reason for each in found] == ["stop", "stop"]
    for index, each in enumerate(found):
        assert [ids for number, ids in told if number == index] == [each.ids[:count] for count in (1, 2, 3, 4)]


@pytest.mark.parametrize("place", [4, 30, 60])
def test_a_text_ends_before_a_string_to_stop_at(place: int, tmp_path: Path) -> None:
    model = LocalModel(loaded_of())
    model.loaded.renderer.eos_ids = frozenset()
    question = Question(Example(id="a", input="x", target="", group=""), [], (), [5, 6, 7], [], False)
    drawn = Sampling(60, temperature=1.0)
    (whole,) = model.complete([question], drawn, ctx=context(tmp_path), description="")
    stop = whole.text[place : place + 4]
    sampling = replace(drawn, stop=("never there", stop))
    (cut,) = model.complete([question], sampling, ctx=context(tmp_path), description="")
    assert cut.text == whole.text[: whole.text.index(stop)] and whole.text.index(stop) == place
    assert (whole.reason, cut.reason) == ("limit", "stop") and cut.num_tokens < whole.num_tokens


def test_a_model_that_fails_at_one_token_only_is_named_where_it_comes_to_that(tmp_path: Path) -> None:
    loaded = loaded_of()
    with torch.no_grad():
        loaded.model.get_input_embeddings().weight[301] = torch.nan
    assert len(generate(loaded, [[5, 6], [7, 8, 9]], Writing(2), ctx=context(tmp_path))) == 2
    assert loaded.way == "tree"
    with pytest.raises(NotFiniteError, match=r"the base model .* gives scores that are not finite"):
        generate(loaded, [[5, 6], [7, 301, 9]], Writing(2), ctx=context(tmp_path))


def asked(loaded: Any, sampling: Sampling, tmp_path: Path) -> list[Any]:
    """What a model writes behind four contexts."""
    questions = [
        Question(Example(id="a", input="x", target="", group=""), [], (), ids, [], False) for ids in CONTEXTS[:4]
    ]
    return LocalModel(loaded).complete(questions, sampling, ctx=context(tmp_path), description="")


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_a_text_under_a_constraint_is_one_of_the_strings_or_json_of_the_schema(
    temperature: float, tmp_path: Path
) -> None:
    loaded, strings = loaded_of(), ("card arrival", "card", "lost (stolen)?", "退款")
    written = asked(loaded, Sampling(40, temperature, one_of=strings), tmp_path)
    assert {each.text for each in written} <= set(strings) and {each.reason for each in written} == {"end"}
    schema = {"type": "object", "properties": {"of": {"enum": ["card", "loan"]}, "sure": {"type": "boolean"}}}
    schema |= {"required": ["of", "sure"], "additionalProperties": False}
    for each in asked(loaded, Sampling(60, temperature, json_schema=schema), tmp_path):
        value = json.loads(each.text)
        assert value["of"] in ("card", "loan") and isinstance(value["sure"], bool) and len(value) == 2


def test_a_constraint_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the JSON schema: "):
        asked(loaded_of(), Sampling(9, json_schema={"type": "strange"}), tmp_path)
    with pytest.raises(DataError, match="none of them empty"):
        asked(loaded_of(), Sampling(9, one_of=("a", "")), tmp_path)


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that anything returns."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.size = max(self.size, result.untyped_storage().nbytes() // result.element_size())
        return result


def test_many_short_texts_beside_a_long_one_are_not_given_room_for_it_each(tmp_path: Path) -> None:
    loaded = loaded_of()
    loaded.context_length, loaded.renderer.eos_ids = 10_000, frozenset()
    contexts = [[5 + k % 9 for k in range(8300)], *([7 + k, *range(100, 190)] for k in range(100))]
    with Largest() as largest:
        found = generate(loaded, contexts, Writing(2), ctx=context(tmp_path))
    assert [len(each.ids) for each in found] == [2] * 101
    assert largest.size < 1_000_000  # 100 rows x 8,302 tokens x 16 numbers of a layer's keys are 13 millions
