"""The `train` block of a recipe: which models are tuned, and how; and the variants that it comes to.

Knows which methods exist (by listing their folder) and no stage, model or row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, create_model, field_validator, model_serializer
from pydantic.fields import FieldInfo

from ftkit.contracts import TooLong
from ftkit.recipe.data_block import Count
from ftkit.recipe.templates import only_labels
from ftkit.registry import Choice, Config, choice_of, name_or_object, one_or_more

if TYPE_CHECKING:
    MethodChoice: TypeAlias = Choice
else:
    MethodChoice = choice_of("methods")

Positive: TypeAlias = Annotated[float, Field(gt=0)]


class OwnWording(Config):
    """A wording of your own, in place of one that the search found."""

    text: Annotated[str, Field(min_length=1)] = Field(description="instruction; {labels} stands for the labels")

    @field_validator("text")
    @classmethod
    def _plain_names_only(cls, text: str) -> str:
        return only_labels(text)


class NoOptions(Config):
    """No options."""


class WordingChoice(Choice):
    """The wording that training uses: that of the best zero-shot prompt on valid, or a given text."""

    model_config = ConfigDict(json_schema_extra=name_or_object(["best_zero_shot", "instruction"]))

    best_zero_shot: NoOptions | None = Field(None, description="that of the best zero-shot prompt on valid")
    instruction: OwnWording | None = Field(None, description="a wording of your own")


class Tuning(Config):
    """How one model is tuned. Learning rate and weight decay default to those of the method."""

    wording: WordingChoice = Field(
        default_factory=lambda: WordingChoice.model_validate("best_zero_shot"),
        description="the prompt that training uses",
    )
    epochs: Annotated[float, Field(gt=0, le=1e6)] = Field(
        3.0, description="how often each row of train is seen; may be a fraction"
    )
    max_steps: Count | None = Field(None, description="optimizer steps at most")
    learning_rate: Annotated[float, Field(gt=0, le=1e3)] | None = Field(
        None, description="highest rate, after the warmup; left out: that of the method"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1e3)] | None = Field(
        None, description="of AdamW; left out: that of the method"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="of the learning rate after the warmup: how it goes down to 0, or that it stays"
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="share of the steps")
    global_batch_size: Count = Field(32, description="rows per optimizer step")
    max_grad_norm: Positive = Field(1.0, description="longer gradients are scaled down to this norm")
    gradient_checkpointing: bool = Field(
        False, description="compute activations twice instead of keeping them: slower, in less memory"
    )
    num_evals: Count = Field(6, description="evaluations on valid, evenly spaced; the last one ends the training")
    patience: Count | None = Field(
        None, description="evaluations without improvement before training stops; null: never"
    )
    checkpoint_steps: Count = Field(50, description="optimizer steps between checkpoints")
    too_long: TooLong = Field(
        "cut", description="rows that do not fit the context; cut shortens the input, never the target"
    )


class _Change(Config):
    """What a variant changes of the train block; only what is written down counts."""

    method: MethodChoice | None = Field(None, description="another method, or other options of it")
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(None, description="in place of the recipe's")
    num_rows: Count | None = Field(None, description="the first so many rows of train; left out: all")

    @model_serializer(mode="plain")
    def _only_what_was_written(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {
            name: each.model_dump(mode="json") if isinstance(each, Config) else each for name, each in values.items()
        }


def type_of(field: FieldInfo) -> Any:
    """The type of a field with all that restricts it."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


if TYPE_CHECKING:
    Change: TypeAlias = _Change
else:
    Change = create_model(
        "Change",
        __base__=_Change,
        __doc__=_Change.__doc__,
        **{
            name: (type_of(info), Field(None, description=info.description))
            for name, info in Tuning.model_fields.items()
        },
    )

VariantLabel: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]


class Train(Tuning):
    """Which models are tuned, and how. A list of methods trains one model each; `variants` names several trainings."""

    method: Annotated[list[MethodChoice], one_or_more(MethodChoice), Field(min_length=1)] = Field(
        default_factory=lambda: [MethodChoice.model_validate("lora")],
        description="which weights are trained; a list trains one model with each",
    )
    variants: dict[VariantLabel, Change] = Field({}, description="trainings by name, each a change of this block")

    @field_validator("method")
    @classmethod
    def _methods_differ(cls, methods: list[Choice]) -> list[Choice]:
        chosen = [method.name for method in methods]
        if len(set(chosen)) != len(chosen):
            raise ValueError("a method stands twice; name each at most once, or name variants (train.variants)")
        return methods

    @field_validator("variants")
    @classmethod
    def _no_name_of_another_model(cls, variants: dict[str, Change]) -> dict[str, Change]:
        for label in sorted({"base", "linear"} & variants.keys()):
            raise ValueError(f"{label} names another model of the comparison; call the variant otherwise")
        return variants


@dataclass(frozen=True)
class Variant:
    """One training: its label, its whole train block (with one method, no variants), seed, and rows of train."""

    label: str
    train: Train
    seed: int
    num_rows: int | None

    @property
    def method(self) -> Choice:
        """The method of the block."""
        (method,) = self.train.method
        return method


def variants_of(train: Train, *, seed: int) -> list[Variant]:
    """The trainings that a block comes to: those that are named, else one for each method, by its name."""
    block = train.model_dump(mode="json", exclude={"method", "variants"})
    if not train.variants:
        return [Variant(method.name, _block(block, method), seed, None) for method in train.method]
    return [_changed(train, block, label, change, seed) for label, change in train.variants.items()]


def _changed(train: Train, block: Mapping[str, Any], label: str, change: Change, seed: int) -> Variant:
    named = change.model_dump(mode="json")
    _, own_seed, num_rows = (named.pop(name, None) for name in ("method", "seed", "num_rows"))
    method = train.method[0] if change.method is None else change.method
    return Variant(label, _block({**block, **named}, method), seed if own_seed is None else own_seed, num_rows)


def _block(block: Mapping[str, Any], method: Choice) -> Train:
    return Train.model_validate({**block, "method": method})
