"""What can be done with a finished run: read its verdict, load its arms. `predicting` and `exporting` use them.

Reads run directories; changes none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ftkit.answers.prompt import Arm
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.files import changed_files, identify
from ftkit.errors import ArtifactError, RecipeError
from ftkit.recipe.schema import Recipe
from ftkit.registry import suggest
from ftkit.run.artifacts import Compared, Evaluated, Prepared, Trained, made_of
from ftkit.run.base import model_spec
from ftkit.run.given import TRAIN
from ftkit.run.latest import place_of, read_latest
from ftkit.run.models import ArmModel, arm_models, task_spec
from ftkit.store import MANIFEST, verify


@dataclass(frozen=True)
class FinishedRun:
    """A verdict of a run directory, with the verified artifacts that it was made of, by stage."""

    path: Path
    recipe: Recipe
    artifacts: dict[str, Path]

    @property
    def compared(self) -> Compared:
        """The last stage."""
        return Compared(self.artifacts["compare"])

    @property
    def prepared(self) -> Prepared:
        """The rows."""
        return Prepared(self.artifacts["prepare"])

    @property
    def evaluated(self) -> Evaluated:
        """The predictions on test."""
        return Evaluated(self.artifacts["evaluate"])

    @property
    def trained(self) -> dict[str, Trained]:
        """The tuned models, by the label of their variant."""
        names = [name for name in self.artifacts if name.startswith(TRAIN)]
        return {name.removeprefix(TRAIN): Trained(self.artifacts[name]) for name in names}

    @property
    def task(self) -> TaskSpec:
        """What was asked."""
        return task_spec(self.recipe.task, self.prepared.summary.labels)

    def model(self, arm: Arm, ctx: Context) -> ArmModel:
        """The model of an arm. Raises ArtifactError where its base is not the one that was scored."""
        trained = self.trained.get(arm.model)
        if arm.side != "simple" and (trained is None or trained.training.kind == "adapter"):
            self._require_base(arm, ctx)
        return arm_models(self.recipe, self.trained, self.evaluated.path / "linear", ctx)[arm.model]

    def _require_base(self, arm: Arm, ctx: Context) -> None:
        scored = made_of(verify(self.artifacts["evaluate"])).base
        if not scored:
            raise ArtifactError(f"{self.path}: does not say which base was scored; run the recipe again")
        found = identify(model_spec(self.recipe), ctx, cache_path=ctx.cache_dir / "digests.json")
        changed = changed_files(scored, found)
        if changed:
            raise ArtifactError(
                f"{found['repository']}: not the base that {arm.name} was scored on; files that differ: "
                f"{', '.join(changed)}; bring that base back, or run the recipe again"
            )

    def arm(self, name: str = "", *, asked_as: str = "--arm {name}") -> Arm:
        """An arm by name; without one, the arm to ship. Raises RecipeError where there is none.

        `asked_as` is how a name is given, for the error.
        """
        arms = {arm.name: arm for arm in self.evaluated.arms}
        chosen = name or self.compared.verdict.ship
        if chosen is None:
            how = asked_as.format(name="NAME")
            raise RecipeError(f"{self.path}: the verdict is invalid, so no arm ships; name one as {how}")
        if chosen not in arms:
            raise RecipeError(f"{asked_as.format(name=chosen)}: no such arm{suggest(chosen, arms)}")
        return arms[chosen]


def open_run(path: Path) -> FinishedRun:
    """Open a run directory at its newest verdict, or at the folder of one of its comparisons.

    Raises RecipeError where there is no verdict, ArtifactError where something is damaged, foreign or too old.
    """
    place = place_of(path)
    made = made_of(verify(place.compared))
    try:
        recipe = Recipe.model_validate(made.recipe)
    except ValidationError:
        manifest = place.compared / MANIFEST
        raise ArtifactError(f"{manifest}: its recipe is of another version of ftkit; run the recipe again") from None
    folders = {name: place.run_dir / Path(folder).name for name, folder in made.reads.items()}
    folders["compare"] = place.compared
    return FinishedRun(place.run_dir, recipe, {stage: verify(folder).path for stage, folder in folders.items()})


def prepared_folder(run_dir: Path) -> Path:
    """The folder of a run's prepared rows. Raises RecipeError where it is no run, ArtifactError where it is damaged."""
    stages = read_latest(run_dir).stages
    if "prepare" not in stages:
        raise RecipeError(f"{run_dir}: its rows are not prepared yet; run the same command again")
    return verify(run_dir / stages["prepare"]).path
