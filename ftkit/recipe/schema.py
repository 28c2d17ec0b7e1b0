"""The recipe: its schema, and `load_recipe`, which reports every mistake at once with file:line:column.

Knows which components exist (by listing their folders) and no stage, model or row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from ftkit.contracts import Context, Machine
from ftkit.errors import RecipeError
from ftkit.recipe.across import AcrossError, mistakes_across
from ftkit.recipe.data_block import Count, Data
from ftkit.recipe.problems import mistakes_in, problems
from ftkit.recipe.right_part import right_part
from ftkit.recipe.templates import only_labels
from ftkit.recipe.train_block import Train, Variant, variants_of
from ftkit.recipe.yaml_tree import Tree, parse, set_value
from ftkit.registry import Choice, Config, choice_of, name_or_object, names, suggest

if TYPE_CHECKING:
    PromptChoice: TypeAlias = Choice
    ExtractorChoice: TypeAlias = Choice
    MetricChoice: TypeAlias = Choice
else:
    PromptChoice = choice_of("prompting")
    ExtractorChoice = choice_of("extractors")
    MetricChoice = choice_of("metrics")


class Model(Config):
    """The base model: a local folder (`path`) or a repository of the hub (`hub`, best with a `revision`)."""

    path: str | None = Field(None, description="folder with config.json, safetensors and tokenizer")
    hub: str | None = Field(None, description="repository of the hub, as owner/name")
    revision: str | None = Field(None, description="commit, tag or branch of the hub repository")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the weights; auto: bfloat16 on a GPU that has it"
    )
    chat_template_kwargs: dict[str, bool | int | float | str] = Field(
        {"enable_thinking": False}, description="given to the chat template"
    )

    @model_validator(mode="before")
    @classmethod
    def _says_where(cls, value: Any) -> Any:
        if isinstance(value, str):
            forms = f"{{hub: {value}}}, or {{path: {value}}} for a folder"
            raise ValueError(f"a name alone does not say where the model is; write {forms}")
        return value


class Classify(Config):
    """Choose one of `labels` for each input, by the score the model gives to each."""

    labels: Literal["auto"] | list[str] = Field(
        "auto", description="what may be answered; auto: all targets found in train"
    )

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: str | list[str]) -> str | list[str]:
        if isinstance(labels, list) and (len(set(labels)) != len(labels) or len(labels) < 2 or not all(labels)):
            raise ValueError("labels must be two or more distinct, non-empty strings")
        return labels


class Generate(Config):
    """Write an answer; `extract` takes what is compared out of the answer and of the target."""

    max_new_tokens: Count = Field(256, description="tokens of an answer at most")
    extract: ExtractorChoice = Field(
        default_factory=lambda: ExtractorChoice.model_validate("exact"),
        description="what is taken out of answer and target to compare them",
    )


class TaskChoice(Choice):
    """What the model is to do: classify or generate."""

    model_config = ConfigDict(json_schema_extra=name_or_object(["classify", "generate"]))

    classify: Classify | None = Field(None, description="choose one of the labels")
    generate: Generate | None = Field(None, description="write an answer")


class Search(Config):
    """The search for the best prompt: instructions × prompts × normalisations, judged on valid."""

    instructions: list[str] = Field(
        default=[],
        description="wordings; {labels} stands for the labels, '' for none. Left out: none where rows are "
        "conversations, else the task's own",
    )
    prompts: list[PromptChoice] = Field(
        default_factory=lambda: [PromptChoice.model_validate(name) for name in ("zero_shot", "few_shot")],
        description="prompt strategies, each tried with each instruction",
    )
    normalize: list[Literal["sum", "mean", "calibrated"]] = Field(
        default=["sum", "mean", "calibrated"], min_length=1, description="of label scores; classify only"
    )
    max_candidates: Count = Field(24, description="prompts scored on valid at most")
    max_valid_rows: Count = Field(500, description="valid rows a prompt or a checkpoint is judged on")

    @field_validator("instructions")
    @classmethod
    def _plain_names_only(cls, instructions: list[str]) -> list[str]:
        return [only_labels(text) for text in instructions]


class Evaluate(Config):
    """What is measured on test. Default: accuracy and macro_f1 to classify.

    To generate, the targets of train decide: numeric_match where all are numbers, exact_match where they are short,
    token_f1 where they are long.
    """

    metrics: list[MetricChoice] = Field(
        default=[],
        min_length=1,
        exclude_if=lambda metrics: not metrics,
        description="scores of answers; left out: those of the task; to generate, what the targets are decides",
    )

    @field_validator("metrics")
    @classmethod
    def _metrics_differ(cls, metrics: list[Choice]) -> list[Choice]:
        measured = [metric.name for metric in metrics]
        for name in measured:
            if measured.count(name) > 1:
                raise ValueError(f"{name} stands twice; name each metric at most once")
        return metrics


class Prices(Config):
    """Money, in any one currency. Tokens are per million."""

    gpu_hour: Annotated[float, Field(ge=0)] = Field(0.0, description="an hour of the machine that trains")
    input_tokens: Annotated[float, Field(ge=0)] = Field(0.0, description="a million prompt tokens")
    output_tokens: Annotated[float, Field(ge=0)] = Field(0.0, description="a million completion tokens")


class Compare(Config):
    """The one question asked of the test rows, declared before anything runs."""

    primary: str = Field(
        "", exclude_if=lambda name: not name, description="metric that decides; left out: the first of evaluate.metrics"
    )
    margin: Annotated[float, Field(ge=0, lt=1)] = Field(0.02, description="difference of the metric that would matter")
    level: Annotated[float, Field(ge=0.5, lt=1)] = Field(0.95, description="confidence level of the intervals")
    prices: Prices = Field(Prices(), description="what an hour and a million tokens cost")


def _first_metric(values: dict[str, Any]) -> Any:
    metrics = values["evaluate"].get("metrics") if isinstance(values.get("evaluate"), dict) else []
    first = metrics[0] if isinstance(metrics, list) and metrics else ""
    return next(iter(first), "") if isinstance(first, dict) else first if isinstance(first, str) else first.name


def _with_primary(values: dict[str, Any]) -> Any:
    """Where only the primary metric is named, it and what says most beside it; else left to the targets."""
    primary = values["compare"].get("primary") if isinstance(values.get("compare"), dict) else None
    if primary not in names("metrics"):
        return LEFT_OPEN
    return [primary, *(name for name in ("exact_match", "token_f1") if name != primary)]


LEFT_OPEN = object()  # a default that is known once the rows are prepared
TASK_DEFAULTS: dict[str, list[tuple[str, str, Any]]] = {
    "classify": [
        ("data", "clean", ["fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts"]),
        ("evaluate", "metrics", ["accuracy", "macro_f1"]),
        ("compare", "primary", _first_metric),
    ],
    "generate": [
        ("data", "clean", ["fix_text", "length", "exact_dedup", "near_dedup"]),
        ("evaluate", "metrics", _with_primary),
        ("compare", "primary", _first_metric),
    ],
}


def with_defaults_of_task(schema: type[Config], values: Any) -> Any:
    """A recipe's values with what is left out and depends on the task: cleaning, metrics, the primary metric."""
    if not isinstance(values, dict):
        return values
    task = values.get("task")
    kind = next(iter(task), None) if isinstance(task, dict) else task.name if isinstance(task, Choice) else task
    filled = dict(values)
    for block, key, default in TASK_DEFAULTS.get(kind, ()) if isinstance(kind, str) else ():
        if block not in schema.model_fields:
            continue
        inside = filled.get(block, None if block == "data" else {})
        if isinstance(inside, dict) and key not in inside:
            value = default(filled) if callable(default) else default
            filled[block] = inside if value is LEFT_OPEN else {**inside, key: value}
    return filled


class DataRecipe(Config):
    """What prepare needs of a recipe; `ftkit prepare` takes it alone."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", description="names the run's folder")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(17, description="all that is drawn by chance follows from it")
    task: TaskChoice = Field(description="what the model is to do")
    data: Data = Field(description="where rows come from, how they are cleaned and split")
    machine: Machine = Field(Machine(), description="where and how wide to compute; changes no result but by rounding")

    _text: str = PrivateAttr("")
    _folder: Path | None = PrivateAttr(None)

    @property
    def text(self) -> str:
        """The recipe as its author wrote it, overrides as comments before it; empty where it was made in Python."""
        return self._text

    def around(self, ctx: Context) -> Context:
        """The context with what the recipe says of it: the machine, and the folder where its paths are looked for."""
        return replace(ctx, machine=self.machine, recipe_dir=self._folder or ctx.recipe_dir)

    def resolved(self) -> dict[str, Any]:
        """The recipe as plain values, every default written out but what is left to the targets."""
        return self.model_dump(mode="json")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        return with_defaults_of_task(cls, values)

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        found = mistakes_across(self)
        if found:
            raise AcrossError(found)
        return self


class Recipe(DataRecipe):
    """One question to answer: is fine-tuning worth it for this task?"""

    model: Model = Field(description="the base model")
    baseline: Search = Field(default_factory=Search, description="the search for the best prompt")
    train: Train = Field(default_factory=Train, description="which models are tuned, and how")
    evaluate: Evaluate = Field(Evaluate(), description="what is measured on test")
    compare: Compare = Field(Compare(), description="what decides, and by how much")

    @property
    def primary(self) -> Choice:
        """The metric that decides. A recipe that leaves it to its targets is settled first."""
        return next(metric for metric in self.evaluate.metrics if metric.name == self.compare.primary)

    @property
    def variants(self) -> list[Variant]:
        """The trainings, in order."""
        return variants_of(self.train, seed=self.seed)


AnyRecipe = TypeVar("AnyRecipe", bound=DataRecipe)


def load_recipe(path: str | Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe. Raises RecipeError that lists every mistake, each with its place."""
    return _lying_at(Path(path), parse_recipe(_text_of(Path(path)), name=str(path), overrides=overrides))


def load_data_recipe(path: str | Path, *, overrides: Sequence[str] = ()) -> DataRecipe:
    """`load_recipe` for prepare alone: a recipe need not name a model if it has no other block that is about one."""
    text = _text_of(Path(path))
    tree = _tree(text, str(path), overrides)
    is_whole = bool(tree.keys & (set(Recipe.model_fields) - set(DataRecipe.model_fields)))
    return _lying_at(Path(path), _checked(tree, Recipe if is_whole else DataRecipe, text, overrides))


def parse_recipe(text: str, *, name: str, overrides: Sequence[str] = ()) -> Recipe:
    """`load_recipe` on a text; `name` stands where the file's name would."""
    return _checked(_tree(text, name, overrides), Recipe, text, overrides)


def _lying_at(path: Path, recipe: AnyRecipe) -> AnyRecipe:
    recipe._folder = path.parent
    return recipe


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        near = sorted(each.name for each in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        hint = suggest(path.name, near)
        raise RecipeError(f"{path}: no such recipe{hint if hint.startswith('; did') else ''}") from None
    except IsADirectoryError:
        raise RecipeError(f"{path}: is a folder, not a recipe") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _tree(text: str, name: str, overrides: Sequence[str]) -> Tree:
    tree = parse(text, name)
    for assignment in overrides:
        try:
            set_value(tree, assignment)
        except RecipeError as error:
            tree.problems += error.problems
        else:
            _give_way(tree, assignment.partition("=")[0].strip())
    if not isinstance(tree.value, dict):
        raise RecipeError(f"{name}:1:1: a recipe is a mapping with name, model, task and data", *tree.problems)
    return tree


GIVES_WAY = {"hub": ("path",), "path": ("hub", "revision")}  # of a model that is named anew: what the recipe named


def _give_way(tree: Tree, key: str) -> None:
    """Where an override says where the model is, take out the recipe's other place; not another override."""
    block, _, name = key.partition(".")
    model = tree.value.get(block) if isinstance(tree.value, dict) and block == "model" else None
    if not isinstance(model, dict) or model.get(name) is None:
        return
    for other in GIVES_WAY.get(name, ()):
        if not tree.places.get((block, other), "").startswith("--set"):
            model.pop(other, None)


def _checked(tree: Tree, schema: type[AnyRecipe], text: str, overrides: Sequence[str]) -> AnyRecipe:
    try:
        recipe = schema.model_validate(tree.value)
    except ValidationError as error:
        raise RecipeError(*tree.problems, *_all_mistakes(tree, error, schema)) from None
    if tree.problems:
        raise RecipeError(*tree.problems)
    recipe._text = "".join(f"# --set {assignment}\n" for assignment in overrides) + text
    return recipe


def _all_mistakes(tree: Tree, error: ValidationError, schema: type[AnyRecipe]) -> list[str]:
    """Those of single keys, and those between keys that are right in themselves."""
    found = mistakes_in(tree, error, schema, whole=Recipe)
    wrong = {place for each in found for place in each.places}
    right = right_part(schema, with_defaults_of_task(schema, tree.value), wrong)
    return problems(tree, found, mistakes_across(right.recipe, right.wrong))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors; as for `load_data_recipe`, one about rows alone needs no model."""
    whole = Recipe.model_json_schema()
    about_models = [name for name in Recipe.model_fields if name not in DataRecipe.model_fields and name != "model"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "required": [name for name in whole["required"] if name != "model"],
        "dependentRequired": {name: ["model"] for name in about_models},
    }
