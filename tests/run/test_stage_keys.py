"""Changing one field of a recipe re-runs exactly the stages that depend on it: a change for every field there is.

Keys are taken from the graph that the pipeline itself follows. Contents of earlier stages are held fixed here; that
a changed content runs on, and an equal one does not, is seen in whole runs in test_pipeline. Components are changed by
the types of their options, all other fields by a table; so are components that there is more to say of.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from recipe_fields import VALUES, fields_of, two_of
from tiny_models import save_base

from ftkit.contracts import Context
from ftkit.recipe.schema import Recipe
from ftkit.registry import Choice
from ftkit.run.base import model_spec
from ftkit.run.graph import preparing, stages_of
from ftkit.run.models import model_id, quantization
from ftkit.run.stages.prepare import input_ids
from ftkit.store import digest

NONE: set[str] = set()
ALL = {"prepare", "baseline", "train-lora", "evaluate", "compare"}
MODEL = {"baseline", "train-lora", "evaluate"}  # compare follows by the content of evaluate
PRIMARY = MODEL | {"compare"}
ROWS = {"jsonl": {"path": "rows"}}
PREPARE_ALONE = {"data.source": "sources", "data.clean": "cleaning", "data.split.by": "splitting"}
PLACES = {  # of components that the table need not list
    "task.generate.extract": "extractors",
    "baseline.prompts": "prompting",
    "train.method": "methods",
    "evaluate.metrics": "metrics",
}


@dataclass(frozen=True)
class Change:
    """A block of the recipe before and after, and the stages that must run again."""

    block: str
    before: Any
    after: Any
    reruns: set[str]


def plain(path: str, before: Any, after: Any, reruns: set[str]) -> dict[str, Change]:
    """A field that is written at its own place."""
    return {path: Change(path, before, after, reruns)}


def options(
    block: str,
    name: str,
    reruns: set[str],
    values: Mapping[str, tuple[Any, Any]],
    *,
    beside: Mapping[str, Any] | None = None,
    wrap: Callable[[Any], Any] = lambda value: value,
) -> dict[str, Change]:
    """Options of a component, each changed by itself; `beside` are others that it needs."""
    table = {}
    for option, (before, after) in values.items():
        one, two = ({name: {**(beside or {}), option: value}} for value in (before, after))
        table[f"{block}.{name}.{option}"] = Change(block, wrap(one), wrap(two), reruns)
    return table


def chosen(block: str, name: str, before: Any, after: Any, reruns: set[str]) -> dict[str, Change]:
    """A component without options: choosing it is what changes."""
    return {f"{block}.{name}": Change(block, before, after, reruns)}


def alone(value: Any) -> list[Any]:
    return [value]


def among_others(value: Any) -> list[Any]:
    return [value, {"text": {"path": "rows", "share": 1.0}}]


def behind_zero_shot(value: Any) -> list[Any]:
    return ["zero_shot", value]


def extractor(value: Any) -> dict[str, Any]:
    return {"generate": {"extract": value}}


def metric(value: Any) -> list[Any]:
    return ["accuracy", value]


TUNING: dict[str, tuple[Any, Any]] = {
    "epochs": (2.0, 3.0),
    "max_steps": (None, 5),
    "learning_rate": (1e-3, 2e-3),
    "weight_decay": (0.0, 0.1),
    "schedule": ("cosine", "linear"),
    "warmup": (0.1, 0.2),
    "global_batch_size": (16, 32),
    "max_grad_norm": (1.0, 2.0),
    "gradient_checkpointing": (False, True),
    "num_evals": (6, 2),
    "patience": (None, 3),
    "checkpoint_steps": (1, 7),
    "too_long": ("cut", "drop"),
}
OWN_WORDING = ({"instruction": {"text": "Sort."}}, {"instruction": {"text": "Sort it."}})


def tuning(name: str, before: Any, after: Any) -> dict[str, Change]:
    """A number of the train block, there and as a variant changes it."""
    changes_nothing = name == "checkpoint_steps"  # killed or not, the weights are the same
    return {
        f"train.{name}": Change(f"train.{name}", before, after, NONE if changes_nothing else {"train-lora"}),
        **variant(name, before, after, NONE if changes_nothing else {"train-a"}),
    }


def variant(name: str, before: Any, after: Any, reruns: set[str]) -> dict[str, Change]:
    one, two = ({"a": {name: value}, "b": {}} for value in (before, after))
    return {f"train.variants.{name}": Change("train.variants", one, two, reruns)}


TABLE: dict[str, Change] = {
    **plain("name", "small", "other", NONE),
    **plain("seed", 17, 18, ALL),
    **plain("model.path", "base", "other-base", MODEL),
    "model.hub": Change("model", {"hub": "tiny/base"}, {"hub": "tiny/other"}, MODEL),
    "model.revision": Change("model", {"hub": "tiny/base"}, {"hub": "tiny/base", "revision": "2" * 40}, MODEL),
    **plain("model.precision", "auto", "float32", NONE),  # what auto comes to on a CPU: the resolved value counts
    **plain("model.chat_template_kwargs", {}, {"enable_thinking": True}, MODEL),
    **plain("task.classify.labels", "auto", ["login", "refund"], {"prepare"}),
    **options("task", "generate", MODEL, {"max_new_tokens": (16, 32)}),
    **plain("data.on_error", "stop", "drop", {"prepare"}),
    **plain("data.split.valid", 0.1, 0.2, {"prepare"}),
    **plain("data.split.test", 0.2, 0.3, {"prepare"}),
    **plain("data.split.group", None, "customer", {"prepare"}),
    **plain("data.split.time", None, "day", {"prepare"}),
    **plain("data.split.test_sha256", None, "0" * 64, {"prepare"}),
    **plain("data.decontaminate.identity", None, "{text}", {"prepare"}),
    **plain("data.decontaminate.threshold", None, 0.7, {"prepare"}),
    **plain("data.decontaminate.against", [], [ROWS], {"prepare"}),
    **plain("data.limit.train", None, 20, {"prepare"}),
    **plain("data.limit.valid", None, 20, {"prepare"}),
    **plain("data.limit.test", None, 20, {"prepare"}),
    **plain("baseline.instructions", ["Sort."], ["Sort it."], {"baseline"}),
    **options(
        "baseline.prompts",
        "few_shot",
        {"baseline"},
        {"k": (2, 4), "select": ("balanced", "random"), "draws": (1, 2)},
        wrap=behind_zero_shot,
    ),
    **chosen("baseline.prompts", "zero_shot", ["few_shot", "zero_shot"], ["zero_shot"], {"baseline"}),
    **plain("baseline.normalize", ["sum", "mean"], ["sum"], {"baseline", "train-lora"}),
    **plain("baseline.max_candidates", 24, 4, {"baseline"}),
    **plain("baseline.max_valid_rows", 500, 20, {"baseline", "train-lora"}),
    **{path: change for name, values in TUNING.items() for path, change in tuning(name, *values).items()},
    **chosen("train.wording", "best_zero_shot", OWN_WORDING[0], "best_zero_shot", {"train-lora"}),
    **plain("train.wording.instruction.text", "Sort.", "Sort it.", {"train-lora"}),
    **variant("wording", *OWN_WORDING, {"train-a"}),
    **variant("method", "lora", {"lora": {"rank": 4}}, {"train-a"}),
    **variant("seed", 17, 18, {"train-a"}),
    **variant("num_rows", None, 20, {"train-a"}),
    **chosen("evaluate.metrics", "accuracy", ["macro_f1"], ["macro_f1", "accuracy"], {"evaluate", "compare"}),
    **options(
        "evaluate.metrics",
        "evaluate",
        {"evaluate", "compare"},
        {"path": ("one.py", "two.py"), "key": (None, "f1")},
        beside={"path": "one.py"},
        wrap=metric,
    ),
    **options(
        "evaluate.metrics",
        "evaluate",
        {"evaluate", "compare"},
        {"hub": ("f1", "bleu"), "revision": ("v1", "v2")},
        beside={"hub": "f1", "revision": "v1"},
        wrap=metric,
    ),
    **plain("compare.primary", "accuracy", "macro_f1", PRIMARY),
    **plain("compare.margin", 0.02, 0.03, {"compare"}),
    **plain("compare.level", 0.95, 0.9, {"compare"}),
    **plain("compare.prices.gpu_hour", 0.0, 2.5, {"compare"}),
    **plain("compare.prices.input_tokens", 0.0, 0.1, {"compare"}),
    **plain("compare.prices.output_tokens", 0.0, 0.4, {"compare"}),
    **plain("machine.device", "cpu", "auto", NONE),
    **plain("machine.micro_batch", "auto", 4, NONE),
    **plain("machine.threads", "auto", 2, NONE),
    **plain("machine.attention", "auto", "eager", NONE),
}


def of_prepare_alone(field: str) -> Change | None:
    """The change of a component that only prepare knows, or of one of its options; None for other fields."""
    block = next((each for each in PREPARE_ALONE if field.startswith(f"{each}.")), None)
    if block is None:
        return None
    name, *options = field.removeprefix(f"{block}.").split(".")
    before, after = two_of(PREPARE_ALONE[block], name, options)
    wrap = among_others if options == ["share"] else alone if block == "data.clean" else lambda value: value
    return Change(block, wrap(before), wrap(after), {"prepare"})


def of_a_component(field: str) -> Change:
    """The change of a component that is in no table, chosen beside others, or of one of its options."""
    place = next(each for each in PLACES if field.startswith(f"{each}."))
    name, *options = field.removeprefix(f"{place}.").split(".")
    before, after = two_of(PLACES[place], name, options)
    if place == "task.generate.extract":
        return Change("task", extractor(before), extractor(after), MODEL)
    if place == "baseline.prompts":
        return Change(
            place, behind_zero_shot(before) if options else ["zero_shot"], behind_zero_shot(after), {"baseline"}
        )
    if place == "evaluate.metrics":
        return Change(place, metric(before) if options else ["accuracy"], metric(after), {"evaluate", "compare"})
    if options:
        return Change(place, before, after, {f"train-{name}"})
    return Change(place, ["lora"], ["lora", name], {f"train-{name}", "evaluate", "compare"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three base models, two of them also as commits in a cache of the hub."""
    folder = tmp_path_factory.mktemp("keys")
    for seed, name in enumerate(("base", "other-base")):
        save_base(folder / name, seed=seed)
    for repository, commit, name in (("base", "1", "base"), ("base", "2", "other-base"), ("other", "3", "base")):
        cached = folder / "hub" / f"models--tiny--{repository}"
        shutil.copytree(folder / name, cached / "snapshots" / (commit * 40))
        (cached / "refs").mkdir(exist_ok=True)
        if commit != "2":
            (cached / "refs" / "main").write_text(commit * 40)
    return folder


@pytest.fixture
def ctx(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    return Context(base_dir=folder, cache_dir=folder / "cache", offline=True)


def recipe_with(block: str, value: Any) -> Recipe:
    """A small recipe with one block of it replaced."""
    values: dict[str, Any] = {
        "name": "small",
        "model": {"path": "base"},
        "task": "classify",
        "data": {"source": ROWS, "split": {"time": "day"}},
        "machine": {"device": "cpu"},
    }
    inside = values
    *above, last = block.split(".")
    for key in above:
        if not isinstance(inside.get(key), dict):
            inside[key] = {}
        inside = inside[key]
    inside[last] = value
    if block.startswith("task") and values["task"] != "classify":
        values["evaluate"] = {"metrics": ["accuracy"]}  # left out, the targets decide
    return Recipe.model_validate(values)


class Fixed(dict[str, str]):
    """Content ids that stay as they are, whatever is asked for."""

    def __missing__(self, name: str) -> str:
        return digest(name)


def keys_of(recipe: Recipe, ctx: Context, **contents: str) -> dict[str, str]:
    """The key of every stage. Models are identified by their files, all other contents are held fixed or given."""
    ids = Fixed(contents, model=model_id(model_spec(recipe), ctx))
    for variant in recipe.variants:
        if (quantize := quantization(variant.method)) != "none":
            ids[f"model@{quantize}"] = model_id(model_spec(recipe, quantize=quantize), ctx)
    return {stage.name: stage.key(ids) for stage in stages_of(recipe)}


FIELDS = list(dict.fromkeys(fields_of(Recipe)))


def test_every_row_of_the_table_is_a_field_that_no_type_decides() -> None:
    assert [field for field in TABLE if field not in FIELDS or of_prepare_alone(field)] == []
    assert {field.split(".")[-1] for field in FIELDS} >= {key.split(".")[-1] for key in VALUES}


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_reruns_exactly_the_stages_that_depend_on_it(field: str, ctx: Context) -> None:
    change = of_prepare_alone(field) or TABLE.get(field) or of_a_component(field)
    before = keys_of(recipe_with(change.block, change.before), ctx)
    after = keys_of(recipe_with(change.block, change.after), ctx)
    assert {name for name, key in after.items() if before.get(name) != key} == change.reruns


@pytest.mark.parametrize(
    ("block", "name", "wrap"),
    [
        ("data.source", "source", alone),
        ("data.source", "source.1", lambda source: [ROWS, source]),
        ("data.split.valid", "valid", lambda source: source),
        ("data.split.test", "test", lambda source: source),
        ("data.decontaminate.against", "against.0", alone),
    ],
)
def test_a_source_counts_with_its_options_and_its_content_wherever_it_stands(
    block: str, name: str, wrap: Callable[[Any], Any], ctx: Context
) -> None:
    sources = [{"csv": {"path": "rows"}}, {"csv": {"path": "rows", "shape": "alpaca"}}, {"csv": {"path": "other"}}]
    recipes = [recipe_with(block, wrap(source)) for source in sources]
    keys = [keys_of(recipe, ctx) for recipe in recipes]
    keys.append(keys_of(recipes[0], ctx, **{f"sources/{name}": "other bytes"}))
    assert len({each.pop("prepare") for each in keys}) == 4
    assert all(each == keys[0] for each in keys)


def test_the_content_of_a_model_that_a_cleaning_step_reads_counts(tmp_path: Path) -> None:
    ctx = Context(base_dir=tmp_path, cache_dir=tmp_path / "cache")
    for path in (tmp_path / "rows", tmp_path / "words" / "weights"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("one")
    stage = preparing(recipe_with("data.clean", ["fix_text", {"semantic_dedup": {"model": "words"}}]))
    before = stage.key(input_ids(stage.config, ctx))
    for text, is_same in (("other bytes", False), ("one", True)):
        (tmp_path / "words" / "weights").write_text(text)
        assert (stage.key(input_ids(stage.config, ctx)) == before) == is_same


@pytest.mark.parametrize(
    ("block", "before", "after"),
    [
        ("model", {"hub": "tiny/base"}, {"hub": "tiny/base", "revision": "1" * 40}),  # the commit that main names
        ("train.learning_rate", None, 2e-4),  # the method's own
        ("train.weight_decay", None, 0.0),
        ("evaluate.metrics", ["accuracy", "macro_f1"], ["accuracy", {"macro_f1": {}}]),
        ("compare", {}, {"primary": "accuracy"}),
        ("machine", {}, {"device": "cpu"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_writing_out_what_holds_anyway_reruns_nothing(block: str, before: Any, after: Any, ctx: Context) -> None:
    if block == "machine":
        before = {"device": "cpu", "threads": 1}
    assert keys_of(recipe_with(block, before), ctx) == keys_of(recipe_with(block, after), ctx)


def test_a_second_method_leaves_the_first_as_it_is(ctx: Context) -> None:
    one = keys_of(recipe_with("train.method", "lora"), ctx)
    two = keys_of(recipe_with("train.method", ["full", "lora"]), ctx)
    assert two["train-lora"] == one["train-lora"] and two["baseline"] == one["baseline"]


def test_the_walk_finds_fields_and_the_options_of_components_where_they_first_stand() -> None:
    class Options(BaseModel):
        depth: int = 1

    class Empty(BaseModel):
        pass

    class Pick(Choice):
        deep: Options | None = None
        flat: Empty | None = None

    class Schema(BaseModel):
        size: int
        many: list[Pick]
        share: float | Pick

    expected = ["size", "many.deep.depth", "many.flat", "share"]
    assert list(fields_of(Schema)) == expected


def test_an_edited_metric_script_is_another_content_for_the_stages_that_run_it(tmp_path: Path) -> None:
    script = tmp_path / "share.py"
    recipe = recipe_with("evaluate.metrics", ["accuracy", {"evaluate": {"path": str(script)}}])
    reading = {stage.name for stage in stages_of(recipe) if "code/evaluate" in stage.reads}
    assert reading == {"evaluate", "compare"}
    ids = []
    for text in ("one", "two", "one"):
        script.write_text(text)
        ids.append(recipe.evaluate.metrics[1].options.code_id())
    assert ids[0] == ids[2] != ids[1]
