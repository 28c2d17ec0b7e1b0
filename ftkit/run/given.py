"""What a stage is given: the contents that it declares to read, by name, as ids for its key and as values for its work.

Nothing is opened before it is asked for. Asking for what was not declared is our bug, and fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ftkit.contracts import Context, TaskSpec
from ftkit.engine.files import ModelSpec, identify
from ftkit.recipe.schema import DataRecipe, Recipe
from ftkit.recipe.train_block import Variant
from ftkit.run.artifacts import Baseline, Evaluated, Made, Prepared, Trained, made_of
from ftkit.run.base import model_spec
from ftkit.run.models import model_id, task_spec
from ftkit.run.stages import prepare
from ftkit.store import Artifact, digest, read_json

TRAIN = "train-"


class Given:
    """Contents by name. `artifacts` are the stages published so far; `reads` what the stage at hand may ask for."""

    def __init__(self, asked: DataRecipe, ctx: Context) -> None:
        self.asked = asked
        self.ctx = ctx
        self.artifacts: dict[str, Artifact] = {}
        self.reads: tuple[str, ...] = ()

    def ids(self) -> dict[str, str]:
        """The content ids of what is read."""
        return {name: self._id(name) for name in self.reads}

    def _id(self, name: str) -> str:
        head, _, rest = name.partition("/")
        if name in self.artifacts:
            return self.artifacts[name].content_id
        if head in self.artifacts:
            return self.artifacts[head].files[rest]
        if head in ("sources", "cleaning"):
            return self.inputs.ids[name]
        if head == "labels":
            return digest(list(self.task.labels))
        if head == "code":
            metric = next(each for each in self.recipe.evaluate.metrics if each.name == rest)
            return metric.options.code_id()
        return model_id(self.base(name), self.ctx)

    @cached_property
    def inputs(self) -> prepare.Inputs:
        """Ids and stamps of the sources, found once: what changes afterwards is noticed."""
        return prepare.inputs_of(prepare.PrepareConfig.of(self.asked), self.ctx)

    @property
    def recipe(self) -> Recipe:
        """The recipe, where it has a model."""
        assert isinstance(self.asked, Recipe), "stages behind prepare need a whole recipe"
        return self.asked

    @property
    def prepared(self) -> Prepared:
        """The rows; only the splits that are declared can be opened."""
        folder = self._artifact("prepare").path
        if "prepare" in self.reads:
            return Prepared(folder)
        files = [name.removeprefix("prepare/") for name in self.reads if name.startswith("prepare/")]
        return Prepared(folder, frozenset(name.removesuffix(".jsonl") for name in files))

    @property
    def task(self) -> TaskSpec:
        """The task with its labels."""
        self._require("labels")
        return task_spec(self.recipe.task, Prepared(self.artifacts["prepare"].path).summary.labels)

    @property
    def baseline(self) -> Baseline:
        """The frozen prompts."""
        return Baseline(self._artifact("baseline").path)

    @property
    def trained(self) -> dict[str, Trained]:
        """The tuned models, by the label of their variant."""
        names = [name for name in self.artifacts if name.startswith(TRAIN) and name in self.reads]
        return {name.removeprefix(TRAIN): Trained(self.artifacts[name].path) for name in names}

    @property
    def evaluated(self) -> Evaluated:
        """The predictions on test."""
        return Evaluated(self._artifact("evaluate").path)

    def base(self, name: str) -> ModelSpec:
        """The base, as `model` or `model@nf4` names it."""
        self._require(name)
        quantize = name.partition("@")[2]
        return model_spec(self.recipe, quantize="nf4" if quantize == "nf4" else "none")

    def base_identity(self) -> dict[str, Any]:
        """Which base is read, file by file; {} where none is."""
        specs = [self.base(name) for name in self.reads if name.partition("@")[0] == "model"]
        return identify(specs[0], self.ctx, cache_path=self.ctx.cache_dir / "digests.json") if specs else {}

    @property
    def made(self) -> dict[str, Made]:
        """What each stage that is read wrote down of its making."""
        return {name: made_of(self.artifacts[name]) for name in self.artifacts if name in self.reads}

    @property
    def timings(self) -> dict[str, dict[str, Any]]:
        """`timing.json` of every stage that is read."""
        files = {name: artifact.path / "timing.json" for name, artifact in self.artifacts.items()}
        return {name: read_json(path) for name, path in files.items() if name in self.reads and path.exists()}

    @property
    def environments(self) -> dict[str, Mapping[str, Any]]:
        """Versions and machine that each stage that is read was made with."""
        return {name: made.environment for name, made in self.made.items()}

    @property
    def recipe_as_made(self) -> Recipe:
        """The recipe with every block as its stage was made with it, also in what changes no result.

        A variant that was made with another train block than the recipe's stands under `train.variants`.
        """
        recipe, made = self.asked.resolved(), self.made
        for name in [name for name in made if not name.startswith(TRAIN)]:
            recipe |= made[name].blocks
        asked = {each.label: each.train.model_dump(mode="json", exclude={"variants"}) for each in self.recipe.variants}
        used = {label: made[TRAIN + label].blocks["train"] for label in asked}
        if used != asked and len(used) == 1 and not self.recipe.train.variants:
            recipe["train"] |= next(iter(used.values()))
        elif used != asked:
            changes = {each.label: _change(each, used[each.label]) for each in self.recipe.variants}
            recipe["train"] |= {"method": recipe["train"]["method"][:1], "variants": changes}
        return Recipe.model_validate(recipe)

    def _artifact(self, stage: str) -> Artifact:
        assert any(name == stage or name.startswith(f"{stage}/") for name in self.reads), f"{stage} is not declared"
        return self.artifacts[stage]

    def _require(self, name: str) -> None:
        assert name in self.reads, f"{name} is not declared: the stage reads {', '.join(self.reads)}"


def _change(variant: Variant, block: Mapping[str, Any]) -> dict[str, Any]:
    """A variant as `train.variants` has it, with the block that it was made with."""
    rows = {} if variant.num_rows is None else {"num_rows": variant.num_rows}
    return {**block, "method": block["method"][0], "seed": variant.seed, **rows}
