"""Fine-tuning from Python: `Trainer` stands alone; the stage train calls the same `tune`.

Knows no stage and no run directory. The loop is the engine's, the rows and options are those of a recipe.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from pydantic import ValidationError

from ftkit.answers.asking import Asker, emptied, learnable, mean_loss
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, MethodDefaults, TooLong
from ftkit.errors import DataError, RecipeError
from ftkit.prepare.given_rows import rows_of
from ftkit.recipe.train_block import MethodChoice, Train
from ftkit.records import Example, read_jsonl
from ftkit.registry import Choice, suggest
from ftkit.store import derive_seed, locked, refuse_links
from ftkit.training.keywords import unknown_keyword

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel
    from ftkit.engine.local import LocalModel
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
    too_long: TooLong


WRITTEN = (".lock", "checkpoints", "steps.jsonl", "adapter", "model")


@dataclass(frozen=True)
class Tuned:
    """A tuned model with its best weights, as an answerer, and their folder (`kind`: adapter or model)."""

    answerer: LocalModel
    fit: FitResult
    kind: Literal["adapter", "model"]
    weights_dir: Path


@dataclass(frozen=True)
class TrainResult:
    """What `Trainer.fit` gives back. `loss` is the last step's, `steps` the lines of the step log.

    `num_cut` and `num_dropped` count the rows that did not fit the model's context as they were (`too_long`).
    """

    weights_dir: Path
    kind: Literal["adapter", "model"]
    steps: list[dict[str, Any]]
    loss: float
    num_steps: int
    best_step: int
    num_cut: int
    num_dropped: int
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
    the model is changed in place). `method` is a name or `{name: {options}}`. `rows` are dicts as prepare writes
    them (`input`, `target`, perhaps `history` and `weight`), or of any shape that a recipe's source may have, such as
    `messages`, whose last assistant turn is learned. With `valid_rows` the weights with the lowest loss on them are
    kept. `instruction` comes before the first user turn, as in a recipe. Further keywords are those of the recipe's
    `train` block; rows that do not fit the context are cut, dropped or refused as its `too_long` says, and counted. A
    stopped training continues when it is started again.
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
        self.rows = rows_of(rows, "rows")
        self.valid_rows = None if valid_rows is None else rows_of(valid_rows, "valid_rows")
        self.instruction = instruction
        self.output_dir = Path(output_dir)
        self.revision = revision
        self.precision = precision
        self.ctx = ctx if ctx is not None else Context()
        self.method = _validated(MethodChoice, dict(method) if isinstance(method, Mapping) else method, "method")
        block = _block(train)
        self.too_long = block.too_long
        self.settings = train_settings(block, self.method, seed=seed)

    def fit(self) -> TrainResult:
        """Train and save. Raises an FtkitError for what a user can mend; see ftkit.errors."""
        from ftkit.training.rows import training_rows

        refuse_links(*(self.output_dir / name for name in WRITTEN))
        with locked(self.output_dir):
            examples = self._examples(self.rows, "rows")
            valid = None if self.valid_rows is None else self._examples(self.valid_rows, "valid_rows")
            base = self._base()
            prompter = Prompter(label="rows", instruction=self.instruction)
            made = training_rows(base, prompter, examples, too_long=self.too_long, where="rows", ctx=self.ctx)
            tuned = tune(
                base,
                self.method,
                made.rows,
                self.settings,
                evaluate=None if valid is None else self._by_loss(base, prompter, valid),
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
            num_cut=made.num_cut,
            num_dropped=made.num_dropped,
            tuned=tuned.answerer.loaded,
        )

    def _examples(self, rows: Sequence[Mapping[str, Any]], where: str) -> list[Example]:
        from ftkit.training.rows import examples_of

        if not rows:
            raise DataError(f"Trainer: {where} is empty")
        return examples_of(rows, where)

    def _by_loss(
        self, base: LocalModel, prompter: Prompter, valid: Sequence[Example]
    ) -> Callable[[LocalModel], Evaluation]:
        """Judges by the mean loss of the target tokens; the lower, the better the value.

        Raises DataError where the target of no row fits the model's context.
        """
        from ftkit.answers.answering import target_scores
        from ftkit.engine.train import Evaluation

        questions = learnable(base, prompter, valid, self.ctx)
        if not questions:
            remedy = "shorten or remove such rows: none of valid_rows fits"
            asker = Asker.of_targets(base, prompter)
            raise asker.no_room(emptied(valid[0]), remedy, even="even with an empty input")

        def evaluate(model: LocalModel) -> Evaluation:
            loss = mean_loss(target_scores(model, questions, self.ctx, description="valid loss") or [])
            return Evaluation(-loss, loss)

        return evaluate

    def _base(self) -> LocalModel:
        from ftkit.engine.load import ModelSpec, load, wrap
        from ftkit.engine.local import LocalModel

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
            return LocalModel(base)
        is_hub = isinstance(self.model, str) and not Path(self.model).exists() and self.model.count("/") == 1
        is_hub = is_hub and not str(self.model).startswith((".", "/", "~"))
        spec = ModelSpec(
            path=None if is_hub else Path(self.model),
            hub=str(self.model) if is_hub else None,
            revision=self.revision if is_hub else None,
            precision=self.precision,
            quantize=quantize,
        )
        return LocalModel(load(spec, self.ctx))


def tune(
    base: LocalModel,
    method: Choice,
    rows: Sequence[Row],
    settings: TrainSettings,
    *,
    evaluate: Callable[[LocalModel], Evaluation] | None,
    work_dir: Path,
    ctx: Context,
) -> Tuned:
    """Build what the method trains, train it, save the best weights in `adapter/` or `model/`.

    The base changes in place. `evaluate` gets the model as it is tuned so far. An interrupted run leaves
    checkpoints in `work_dir` from which the same call continues.
    """
    from ftkit.engine.load import save_tuned
    from ftkit.engine.local import LocalModel
    from ftkit.engine.train import fit, seeded

    with seeded(derive_seed(settings.seed, "weights")):
        trainable = method(base.loaded)
    tuned = LocalModel(replace(base.loaded, model=trainable.model))
    result = fit(
        trainable,
        rows,
        settings,
        loaded=tuned.loaded,
        evaluate=None if evaluate is None else lambda: evaluate(tuned),
        work_dir=work_dir,
        ctx=ctx,
    )
    weights_dir = work_dir / trainable.kind
    save_tuned(trainable, base.loaded, weights_dir)
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


def _block(options: Mapping[str, Any]) -> Train:
    known = TrainOptions.__annotations__
    unknown = [key for key in options if key not in known]
    if unknown:
        raise RecipeError(*(f"Trainer: {unknown_keyword(key, known)}" for key in unknown))
    block: Train = _validated(Train, options, "train")
    return block


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
