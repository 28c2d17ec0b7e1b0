"""Fine-tuning from Python: `Trainer` stands alone; the stage train calls the same `tune`.

Knows no stage and no run directory. The loop is the engine's, the options are those of a recipe's `train`
block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from pydantic import ValidationError

from ftkit.contracts import Context, MethodDefaults
from ftkit.errors import DataError, RecipeError
from ftkit.recipe.schema import MethodChoice, Train
from ftkit.records import Message, read_jsonl
from ftkit.registry import Choice, suggest
from ftkit.store import derive_seed, locked

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel
    from ftkit.engine.settings import TrainSettings
    from ftkit.engine.train import Evaluation, FitResult, Row


class TrainOptions(TypedDict, total=False):
    """The numbers of a recipe's `train` block; what is left out has the recipe's default."""

    epochs: float
    max_steps: int | None
    learning_rate: float | None
    weight_decay: float | None
    schedule: Literal["cosine", "linear", "constant"]
    warmup: float
    global_batch_size: int
    max_grad_norm: float
    gradient_checkpointing: bool
    num_evals: int
    patience: int | None
    checkpoint_steps: int


@dataclass(frozen=True)
class Tuned:
    """A tuned model in memory with its best weights, and their folder (`kind`: adapter or model)."""

    loaded: LoadedModel
    fit: FitResult
    kind: Literal["adapter", "model"]
    weights_dir: Path


@dataclass(frozen=True)
class TrainResult:
    """What `Trainer.fit` gives back. `loss` is the last step's, `steps` the lines of the step log."""

    weights_dir: Path
    kind: Literal["adapter", "model"]
    steps: list[dict[str, Any]]
    loss: float
    num_steps: int
    best_step: int
    tuned: LoadedModel

    @property
    def adapter_dir(self) -> Path:
        """The adapter's folder; peft loads it too. Raises AttributeError where all weights were trained."""
        if self.kind != "adapter":
            raise AttributeError("this method trains the whole model; its folder is weights_dir")
        return self.weights_dir


class Trainer:
    """Tune a model on rows.

        result = Trainer("data/tiny-base", "lora", rows, output_dir="out", epochs=3).fit()

    `model` is a folder, a hub repository, or a transformers model in memory (then `tokenizer` is needed, and
    the model is changed in place). `method` is a name or `{name: {options}}`. `rows` are dicts with `input`
    and `target`, or with `messages` whose last turn is the assistant's; only that turn is learned. With
    `valid_rows` the weights with the lowest loss on them are kept. `instruction` comes before the first user
    turn, as in a recipe. Further keywords are those of the recipe's `train` block. A stopped training
    continues when it is started again.
    """

    def __init__(
        self,
        model: Any,
        method: str | Mapping[str, Any] = "lora",
        rows: Iterable[Mapping[str, Any]] = (),
        *,
        output_dir: str | Path,
        valid_rows: Iterable[Mapping[str, Any]] | None = None,
        instruction: str = "",
        tokenizer: Any = None,
        revision: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        seed: int = 17,
        ctx: Context | None = None,
        **train: Unpack[TrainOptions],
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = list(rows)
        self.valid_rows = None if valid_rows is None else list(valid_rows)
        self.instruction = instruction
        self.output_dir = Path(output_dir)
        self.revision = revision
        self.precision = precision
        self.ctx = ctx if ctx is not None else Context()
        self.method = _validated(MethodChoice, dict(method) if isinstance(method, Mapping) else method, "method")
        self.settings = train_settings(_validated(Train, train, "train"), self.method, seed=seed)

    def fit(self) -> TrainResult:
        """Train and save. Raises an FtkitError for what a user can mend; see ftkit.errors."""
        with locked(self.output_dir):
            base = self._base()
            rows = self._encode(base, self.rows, "rows")
            valid = None if self.valid_rows is None else self._encode(base, self.valid_rows, "valid_rows")
            tuned = tune(
                base,
                self.method,
                rows,
                self.settings,
                evaluate=None if valid is None else lambda model: _by_loss(model, valid, self.ctx),
                work_dir=self.output_dir,
                ctx=self.ctx,
            )
        steps = list(read_jsonl(self.output_dir / "steps.jsonl"))
        return TrainResult(
            weights_dir=tuned.weights_dir,
            kind=tuned.kind,
            steps=steps,
            loss=[step["loss"] for step in steps if "loss" in step][-1],
            num_steps=tuned.fit.num_steps,
            best_step=tuned.fit.best_step,
            tuned=tuned.loaded,
        )

    def _base(self) -> LoadedModel:
        from ftkit.engine.load import ModelSpec, load, wrap

        quantize = method_module(self.method).QUANTIZE
        if not isinstance(self.model, str | Path):
            if self.tokenizer is None:
                raise RecipeError("Trainer: a model in memory needs its tokenizer: Trainer(model, tokenizer=…)")
            base = wrap(self.model, self.tokenizer)
            if base.quantize != quantize:
                raise RecipeError(
                    f"Trainer: {self.method.name} needs a base with quantisation {quantize}, the model has "
                    f"{base.quantize}; give its folder or hub repository instead"
                )
            return base
        is_hub = isinstance(self.model, str) and not Path(self.model).exists() and self.model.count("/") == 1
        is_hub = is_hub and not str(self.model).startswith((".", "/", "~"))
        spec = ModelSpec(
            path=None if is_hub else Path(self.model),
            hub=str(self.model) if is_hub else None,
            revision=self.revision if is_hub else None,
            precision=self.precision,
            quantize=quantize,
        )
        return load(spec, self.ctx)

    def _encode(self, base: LoadedModel, rows: Sequence[Mapping[str, Any]], where: str) -> list[Row]:
        if not rows:
            raise DataError(f"Trainer: {where} is empty")
        return [_row(base, row, self.instruction, f"{where}[{index}]") for index, row in enumerate(rows)]


def tune(
    base: LoadedModel,
    method: Choice,
    rows: Sequence[Row],
    settings: TrainSettings,
    *,
    evaluate: Callable[[LoadedModel], Evaluation] | None,
    work_dir: Path,
    ctx: Context,
) -> Tuned:
    """Build what the method trains, train it, save the best weights in `adapter/` or `model/`.

    The base changes in place. `evaluate` gets the model as it is tuned so far. An interrupted run leaves
    checkpoints in `work_dir` from which the same call continues.
    """
    from ftkit.engine.load import save_tuned
    from ftkit.engine.train import fit, seeded

    with seeded(derive_seed(settings.seed, "weights")):
        trainable = method(base)
    tuned = replace(base, model=trainable.model)
    result = fit(
        trainable,
        rows,
        settings,
        loaded=tuned,
        evaluate=None if evaluate is None else lambda: evaluate(tuned),
        work_dir=work_dir,
        ctx=ctx,
    )
    weights_dir = work_dir / trainable.kind
    save_tuned(trainable, base, weights_dir)
    return Tuned(tuned, result, trainable.kind, weights_dir)


def train_settings(train: Train, method: Choice, *, seed: int) -> TrainSettings:
    """The loop's settings: a recipe's `train` block, the method's defaults where it leaves a number open."""
    from ftkit.engine.settings import TrainSettings

    defaults: MethodDefaults = method_module(method).DEFAULTS
    return TrainSettings(
        learning_rate=defaults.learning_rate if train.learning_rate is None else train.learning_rate,
        weight_decay=defaults.weight_decay if train.weight_decay is None else train.weight_decay,
        epochs=train.epochs,
        max_steps=train.max_steps,
        global_batch_size=train.global_batch_size,
        warmup_share=train.warmup,
        schedule=train.schedule,
        max_grad_norm=train.max_grad_norm,
        gradient_checkpointing=train.gradient_checkpointing,
        num_evals=train.num_evals,
        patience=train.patience,
        checkpoint_every_steps=train.checkpoint_steps,
        seed=seed,
    )


def method_module(method: Choice) -> Any:
    """The file of a method: `DEFAULTS` says what it trains with, `QUANTIZE` how its base is loaded."""
    return sys.modules[method.component.function.__module__]


def _row(base: LoadedModel, row: Mapping[str, Any], instruction: str, where: str) -> Row:
    from ftkit.engine.train import Row

    messages, target = _conversation(row, where)
    if instruction:
        first = next((index for index, turn in enumerate(messages) if turn["role"] == "user"), None)
        if first is None:
            raise DataError(f"{where}: no user turn, which the instruction could stand in")
        messages[first] = {"role": "user", "content": f"{instruction}\n\n{messages[first]['content']}"}
    try:
        rendered = base.renderer.render(messages, target)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    ids = rendered.context_ids + rendered.target_ids
    if len(ids) > base.context_length:
        raise DataError(f"{where}: {len(ids)} tokens; the model takes {base.context_length}; shorten or drop the row")
    return Row(ids, [False] * len(rendered.context_ids) + [True] * len(rendered.target_ids))


def _conversation(row: Mapping[str, Any], where: str) -> tuple[list[Message], str]:
    if "messages" in row:
        turns = list(row["messages"])
        if not all(isinstance(turn, Mapping) and {"role", "content"} <= turn.keys() for turn in turns):
            raise DataError(f"{where}: messages must be objects with role and content")
        if len(turns) < 2 or turns[-1]["role"] != "assistant":
            raise DataError(f"{where}: the last of two or more messages must be the assistant's: it is what is learned")
        *before, last = ({"role": str(turn["role"]), "content": str(turn["content"])} for turn in turns)
        return [Message(role=turn["role"], content=turn["content"]) for turn in before], last["content"]
    for key in ("input", "target"):
        if not isinstance(row.get(key), str):
            raise DataError(f"{where}: {key!r} must be a text, found {row.get(key)!r}; keys are {sorted(row)}")
    return [{"role": "user", "content": row["input"]}], row["target"]


def _by_loss(model: LoadedModel, rows: Sequence[Row], ctx: Context) -> Evaluation:
    """Mean loss of the target tokens; the lower, the better the value."""
    from ftkit.engine.score import Request, score
    from ftkit.engine.train import Evaluation

    requests = []
    for row in rows:
        start = row.target_mask.index(True)
        requests.append(Request(row.ids[:start], [row.ids[start:]]))
    scores = [each[0] for each in score(model, requests, ctx=ctx, description="valid loss")]
    loss = -sum(each.sum for each in scores) / sum(each.num_tokens for each in scores)
    return Evaluation(-loss, loss)


def _validated(schema: Any, value: Any, where: str) -> Any:
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise RecipeError(*(_problem(schema, where, detail) for detail in error.errors())) from None


def _problem(schema: Any, where: str, detail: Any) -> str:
    key = ".".join([where, *map(str, detail["loc"])])
    if detail["type"] == "extra_forbidden":
        return f"Trainer: {key}: unknown{suggest(str(detail['loc'][-1]), schema.model_fields)}"
    return f"Trainer: {key}: {detail['msg']}, found {detail['input']!r}"
