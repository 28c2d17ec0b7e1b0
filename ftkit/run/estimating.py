"""What the real run will take, reckoned from counts of weights and tokens. Orders of magnitude: nothing is run.

Knows the recipe and what check found of its rows; no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ftkit.answers.search import MAX_KEPT
from ftkit.contracts import Context
from ftkit.engine.counting import ModelSize, operations_per_s, size_of
from ftkit.engine.load import load_skeleton
from ftkit.recipe.schema import Generate, Recipe
from ftkit.recipe.train_block import Variant
from ftkit.run.base import model_spec
from ftkit.run.check import Findings
from ftkit.run.models import quantization

GPU_OPERATIONS_PER_S = 1e14  # a third of what an A100 can in bfloat16
GPU_BYTES_PER_S = 1e12  # half of what its memory can
WRITTEN_AT_ONCE = 32  # rows that are written to together
BYTES_NF4 = 0.56  # a weight in 4 bits, with its share of the blocks' scales
BYTES_TRAINED = 12  # float32: gradient and the two moments of Adam
BYTES_A_TOKEN = 17  # kept for the way back, for each layer, unit of width and byte of precision (arXiv 2205.05198)
GIB = 2**30


@dataclass(frozen=True)
class Work:
    """One part of the run. `on_gpu_s` is for a GPU as the estimate names it, `on_cpu_s` for this machine's CPU."""

    part: str
    num_tokens: int
    operations: float
    on_gpu_s: float
    on_cpu_s: float


@dataclass(frozen=True)
class Memory:
    """What one training needs at least, in GiB: weights, what is trained with its optimizer, one row of the longest."""

    variant: str
    num_trainable: int
    weights_gib: float
    trained_gib: float
    longest_row_gib: float

    @property
    def total_gib(self) -> float:
        """All of it."""
        return self.weights_gib + self.trained_gib + self.longest_row_gib


@dataclass(frozen=True)
class Estimate:
    """The base's weights, the parts of the run in order, memory by variant, and the CPU's measured rate.

    `is_cpu`: the recipe asks for a CPU.
    """

    num_parameters: int
    precision: str
    works: list[Work]
    memory: list[Memory]
    cpu_operations_per_s: float
    is_cpu: bool


def estimate(recipe: Recipe, findings: Findings, ctx: Context) -> Estimate:
    """Of a settled recipe on the machine that it asks for; `ctx` is the one it is checked with."""
    sizes = {each.label: _trained_size(recipe, each, ctx) for each in recipe.variants}
    size = next(iter(sizes.values()))
    rate = operations_per_s()
    reckoned = _Reckoned(recipe, findings, size, rate)
    return Estimate(
        num_parameters=size_of(load_skeleton(model_spec(recipe), ctx).model).num_parameters,
        precision=reckoned.precision,
        works=[
            reckoned.search(),
            *(reckoned.training(each, sizes[each.label]) for each in recipe.variants),
            reckoned.test(),
        ],
        memory=[reckoned.memory(each, sizes[each.label]) for each in recipe.variants],
        cpu_operations_per_s=rate,
        is_cpu=recipe.machine.device == "cpu",
    )


def _trained_size(recipe: Recipe, variant: Variant, ctx: Context) -> ModelSize:
    base = load_skeleton(replace(model_spec(recipe), quantize=quantization(variant.method)), ctx)
    trainable = variant.method(base)
    return size_of(trainable.model)


@dataclass(frozen=True)
class _Reckoned:
    recipe: Recipe
    findings: Findings
    size: ModelSize
    rate: float

    @property
    def precision(self) -> str:
        """What the base is computed in on the machine that is asked for; auto is taken for a GPU with bfloat16."""
        is_gpu = self.recipe.machine.device in ("auto", "cuda")
        asked = self.recipe.model.precision
        return asked if asked != "auto" else "bfloat16" if is_gpu else "float32"

    @property
    def _num_bytes(self) -> int:
        return 2 if self.precision == "bfloat16" else 4

    @property
    def _num_written(self) -> int:
        task = self.recipe.task.options
        return task.max_new_tokens if isinstance(task, Generate) else 0

    @property
    def _num_judged(self) -> int:
        return min(self.findings.rows["valid"], self.recipe.baseline.max_valid_rows)

    @property
    def _own(self) -> float:
        """Tokens of a row with its answer, in the mean of the prompts."""
        tried = [each.own for each in self.findings.prompts if each.status == "scored"]
        return sum(tried) / len(tried)

    def search(self) -> Work:
        """Every prompt on the valid rows; what all rows share is read once."""
        tried = [each for each in self.findings.prompts if each.status == "scored"]
        num_tokens = sum(each.shared + each.own * self._num_judged for each in tried)
        return self._work("search of the prompt", num_tokens, passes=1, num_answers=self._num_judged * len(tried))

    def training(self, variant: Variant, size: ModelSize) -> Work:
        """All epochs, and the looks at valid; an adapter needs no gradient of the base's weights."""
        train, learned = variant.train, [each for each in self.findings.learned if each.variant == variant.label]
        longest = max(each.num_tokens for each in learned)
        epochs = train.epochs
        if train.max_steps is not None:
            epochs = min(epochs, train.max_steps * train.global_batch_size / learned[0].num_rows)
        is_adapter = size.num_trainable < size.num_parameters
        passes = (2 if is_adapter else 3) + train.gradient_checkpointing
        answers = train.num_evals * self._num_judged
        looks = self._own * answers
        num_tokens = longest * epochs + looks / passes
        return self._work(f"training {variant.label}", num_tokens, passes=passes, num_answers=answers)

    def test(self) -> Work:
        """All arms on the test rows."""
        families = len({each.name for each in self.recipe.baseline.prompts})
        variants = self.recipe.variants
        num_arms = min(families, MAX_KEPT) * (1 + any(quantization(each.method) != "none" for each in variants))
        num_arms += min(families, 2) * len(variants)
        answers = num_arms * self.findings.rows["test"]
        return self._work("scoring test", answers * self._own, passes=1, num_answers=answers)

    def memory(self, variant: Variant, size: ModelSize) -> Memory:
        """At least: more rows are taken at once where there is room."""
        is_nf4 = quantization(variant.method) == "nf4"
        is_whole = size.num_trainable == size.num_parameters
        num_frozen = self.size.num_parameters - (0 if is_whole else self.size.num_trainable)
        weights = num_frozen * (4 if is_whole else self._num_bytes)
        if is_nf4:
            weights -= round((size.num_linear - size.num_trainable) * (self._num_bytes - BYTES_NF4))
        trained = size.num_trainable * (BYTES_TRAINED + (0 if is_whole else 4))
        longest = max(each.longest for each in self.findings.learned if each.variant == variant.label)
        longest = min(longest, self.findings.context_length)
        a_layer = 2 if variant.train.gradient_checkpointing else BYTES_A_TOKEN * self._num_bytes
        row = longest * size.width * a_layer * size.num_layers
        num_learned = longest if self._num_written else min(longest, 16)
        row += num_learned * size.vocabulary * 12  # float32 logits, their softmax and gradient
        return Memory(variant.label, size.num_trainable, weights / GIB, trained / GIB, row / GIB)

    def _work(self, part: str, num_tokens: float, *, passes: int, num_answers: int) -> Work:
        attended = 2 * self.size.num_layers * self.size.width * self._own  # half of all keys, two products
        operations = num_tokens * passes * (2 * self.size.num_active + attended)
        steps = self._num_written * math.ceil(num_answers / WRITTEN_AT_ONCE)
        writing_s = steps * self.size.num_active * self._num_bytes / GPU_BYTES_PER_S
        return Work(
            part, round(num_tokens), operations, operations / GPU_OPERATIONS_PER_S + writing_s, operations / self.rate
        )


def as_lines(found: Estimate) -> Iterator[str]:
    """The estimate for people, with its assumptions."""
    cpu = f"this CPU, whose matrix products reach {found.cpu_operations_per_s / 1e9:,.0f} GFLOP/s"
    gpu = "a GPU that keeps up 100 TFLOP/s and 1 TB/s, half of an A100 or less"
    yield f"  {found.num_parameters:,} weights in {found.precision}"
    yield f"  time on {cpu if found.is_cpu else gpu}:"
    for work in found.works:
        shown = approximately(work.on_cpu_s if found.is_cpu else work.on_gpu_s)
        yield f"    {work.part}: about {shown} ({work.num_tokens:,} tokens)"
    if not found.is_cpu:
        yield f"  time on {cpu}:"
        yield f"    about {approximately(sum(work.on_cpu_s for work in found.works))} in all"
    yield "  memory of training, at least:"
    for each in found.memory:
        parts = f"weights {_size(each.weights_gib)}, trained {_size(each.trained_gib)}"
        parts += f", longest row {_size(each.longest_row_gib)}"
        yield f"    {each.variant}: {_size(each.total_gib)} ({parts})"
        yield f"      trains {each.num_trainable:,} weights"


def _size(gib: float) -> str:
    return f"{gib:,.1f} GiB" if gib >= 1 else f"{1024 * gib:,.0f} MiB"


def approximately(seconds: float) -> str:
    """A duration to one or two digits."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 95 * size else f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
