"""NaN and infinity are no answers: what gives them is named, and nothing is answered, kept or compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import byte_level, context, loaded_of, model_of
from tiny_trainings import MANY, SETTINGS

from ftkit.answers.answering import predict, score_labels, target_scores
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import Completion, ContinuationScore, Question, Sampling
from ftkit.engine.finite import NotFiniteError
from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import LoadedModel, wrap
from ftkit.engine.local import LocalModel
from ftkit.engine.probe import last_logits
from ftkit.engine.score import Request, score
from ftkit.engine.train import Evaluation, fit
from ftkit.errors import ArtifactError, DivergedError
from ftkit.records import Example
from ftkit.training.methods.full import Full
from ftkit.training.methods.full import build as build_full
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora

BARE = Prompter(label="zero_shot", family="zero_shot")
CLASSIFY = TaskSpec("classify", ("a", "b"), 0, lambda text: text)
WRITE = TaskSpec("generate", (), 4, lambda text: text)
ROW = Example("r", "text", "a", "r")


def base(value: float | None = None) -> LoadedModel:
    """A base; one of its head's numbers is `value`, and one its opposite: one of two tokens gets the value."""
    loaded = loaded_of()
    if value is not None:
        with torch.no_grad():
            loaded.model.get_output_embeddings().weight[7, 3] = value
            loaded.model.get_output_embeddings().weight[8, 3] = -value
    return loaded


def adapted(loaded: LoadedModel, value: float | None = None) -> LoadedModel:
    """An adapter on the base, full of `value`."""
    trainable = build_lora(Lora(rank=2), loaded)
    if value is not None:
        with torch.no_grad():
            for parameter in trainable.model.parameters():
                if parameter.requires_grad:
                    parameter.fill_(value)
    return replace(loaded, model=trainable.model.eval())


ASKED: dict[str, Callable[[LoadedModel, Context], Any]] = {
    "labels": lambda loaded, ctx: score_labels(LocalModel(loaded), BARE, CLASSIFY, [ROW], ctx),
    "predict classify": lambda loaded, ctx: predict("arm", LocalModel(loaded), BARE, CLASSIFY, [ROW], ctx),
    "predict generate": lambda loaded, ctx: predict("arm", LocalModel(loaded), BARE, WRITE, [ROW], ctx),
    "score": lambda loaded, ctx: score(loaded, [Request([5, 6], [[8], [9, 8]])], ctx=ctx),
    "generate": lambda loaded, ctx: generate(loaded, [[5, 6], [9]], Writing(3), ctx=ctx),
}
FAULTS = {
    "base NaN": (
        lambda: base(float("nan")),
        "the base model LlamaForCausalLM .*1 of its weights.*lm_head.weight",
        True,
    ),
    "base infinite": (lambda: base(float("inf")), "the base model LlamaForCausalLM", True),
    "base under an adapter": (lambda: adapted(base(float("nan"))), "the base model LlamaForCausalLM", True),
    "adapter NaN": (
        lambda: adapted(base(), float("nan")),
        "the adapter on LlamaForCausalLM .*28 of its weights",
        False,
    ),
    "adapter endless": (lambda: adapted(base(), 1e30), "the adapter on LlamaForCausalLM", False),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_score_that_is_not_finite_stops_and_names_base_or_adapter(fault: str, asked: str, tmp_path: Path) -> None:
    make, found, is_base = FAULTS[fault]
    with pytest.raises(NotFiniteError, match=found) as caught:
        ASKED[asked](make(), context(tmp_path))
    assert (caught.value.exit_code, caught.value.is_base) == (7, is_base)


@pytest.mark.parametrize("asked", ASKED)
def test_a_token_that_never_comes_is_no_fault_where_it_is_not_asked_for(asked: str, tmp_path: Path) -> None:
    class Masked(torch.nn.Linear):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden).index_fill(-1, torch.tensor([342]), float("-inf"))

    loaded = base()
    head = loaded.model.get_output_embeddings()
    masked = Masked(head.in_features, head.out_features, bias=False)
    masked.weight = head.weight
    loaded.model.set_output_embeddings(masked)
    ASKED[asked](loaded, context(tmp_path))


class Mute:
    """An answerer that is no local model and gives what it is told."""

    renderer = None
    context_length = None

    def __init__(self, value: float) -> None:
        self.value = value

    def count(self, messages: Any) -> None: ...

    def label_scores(self, questions: Any, *, ctx: Context, description: str) -> list[list[ContinuationScore]]:
        return [[ContinuationScore(self.value, 1) for _ in question.choices] for question in questions]

    def complete(
        self, questions: Any, sampling: Sampling, *, ctx: Context, description: str, tell: Any = None
    ) -> list[Completion]:
        return []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_no_answerer_gets_through_with_a_score_that_is_not_finite(value: float) -> None:
    question = Question(ROW, [], ("a",), [], [], False)
    with pytest.raises(ArtifactError, match="r: probing: a score is not finite"):
        target_scores(Mute(value), [question], Context(), description="probing")
    with pytest.raises(ArtifactError, match="scoring zero_shot: a score is not finite"):
        score_labels(Mute(value), BARE, CLASSIFY, [ROW], Context())
    assert target_scores(Mute(-1.0), [question], Context(), description="") == [ContinuationScore(-1.0, 1)]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_on_a_base_that_is_not_finite_names_the_base(method: str, tmp_path: Path) -> None:
    loaded = base(float("nan"))
    trainable = build_full(Full(), loaded) if method == "full" else build_lora(Lora(rank=2), loaded)
    tuned = replace(loaded, model=trainable.model)
    with pytest.raises(NotFiniteError, match="the base model LlamaForCausalLM gives scores that are not finite"):
        fit(trainable, MANY, SETTINGS, loaded=tuned, evaluate=None, work_dir=tmp_path / "1", ctx=context(tmp_path))

    def evaluate() -> Evaluation:
        scores = score(tuned, [Request([5, 6], [[8]])], ctx=context(tmp_path))
        return Evaluation(0.0, -scores[0][0].sum)

    with pytest.raises(NotFiniteError, match="the base model"):
        fit(trainable, MANY, SETTINGS, loaded=tuned, evaluate=evaluate, work_dir=tmp_path / "2", ctx=context(tmp_path))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_training_that_leaves_the_finite_numbers_says_so(method: str, tmp_path: Path) -> None:
    loaded = wrap(model_of(), byte_level())
    trainable = build_full(Full(), loaded) if method == "full" else build_lora(Lora(rank=2), loaded)
    tuned = replace(loaded, model=trainable.model)
    settings = replace(SETTINGS, learning_rate=1e30, warmup_share=0.0)
    with pytest.raises(DivergedError, match=r"lower train\.learning_rate") as caught:
        fit(trainable, MANY, settings, loaded=tuned, evaluate=None, work_dir=tmp_path, ctx=context(tmp_path))
    assert caught.value.exit_code == 5


def test_logits_that_are_nan_are_equal_to_nothing() -> None:
    with pytest.raises(ArtifactError, match="hold NaN"):
        last_logits(base(float("nan")).model, [[5, 6]])
