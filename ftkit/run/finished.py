"""What can be done with a finished run: read its verdict, answer new rows.

Reads run directories; changes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ftkit.answers.answering import predict
from ftkit.answers.prompt import Arm
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.files import changed_files, identify
from ftkit.errors import ArtifactError, DataError, MachineError, RecipeError
from ftkit.prepare.intake import options_of, shape_in_recipe
from ftkit.prepare.shapes import ShapeConfig, recognise, table_by_id
from ftkit.prepare.shapes.columns import Columns
from ftkit.recipe.schema import Recipe
from ftkit.recipe.templates import names_in
from ftkit.records import Example, read_numbered_jsonl
from ftkit.registry import Choice, choice_of, suggest
from ftkit.run.artifacts import Compared, Evaluated, Prepared, Trained, made_of
from ftkit.run.given import TRAIN
from ftkit.run.latest import place_of, read_latest
from ftkit.run.models import ArmModel, arm_models, model_spec, task_spec
from ftkit.store import MANIFEST, verify

if TYPE_CHECKING:
    from ftkit.contracts import Table


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


def predict_rows(run_dir: Path, rows: Path, *, arm: str = "", ctx: Context) -> Iterator[dict[str, Any]]:
    """Answers of an arm to the rows of a JSONL file, in their order: id, answer, raw, flags."""
    run = open_run(run_dir)
    examples = rows_to_answer(rows, run.recipe.data.source[0], ctx)
    chosen = run.arm(arm)
    model = run.model(chosen, ctx)
    if model.precision != chosen.precision:
        ctx.progress.say(f"{chosen.name} was scored in {chosen.precision}; here it answers in {model.precision}")
    for row in predict(chosen.name, model.load(), chosen.prompter, run.task, examples, ctx):
        yield {"id": row.id, "answer": row.parsed, "raw": row.raw, "flags": list(row.flags)}


def rows_to_answer(path: Path, source: Choice, ctx: Context) -> list[Example]:
    """The rows of a JSONL file as a run asks them that has this source; a target is neither needed nor read.

    Raises DataError that names file and line.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    import polars

    rows = dict(read_numbered_jsonl(path))
    if not rows:
        raise DataError(f"{path}: has no rows")
    table = table_by_id({f"{path}:{number}": row for number, row in rows.items()})
    shape = _shape_of(source, table, path, ctx)
    _refuse_missing(path, rows, shape)
    id_column = options_of(source).id
    names = [str(row.get(id_column, number)) if id_column else str(number) for number, row in rows.items()]
    places = dict(zip(names, table["id"], strict=True)) if len(set(names)) == len(names) else None
    if places is not None:  # a template may name the id
        table = table.with_columns(polars.Series("id", names, polars.String))
    try:
        asked = shape.questions(table)
    except DataError as error:
        raise DataError(f"{path}:{next(iter(rows))}: {error}") from None
    for name, reason in asked.faults.items():
        raise DataError(f"{name if places is None else places[name]}: {reason}")
    return [
        Example(id=name, input=each["input"], target="", group=name, history=tuple(each.get("history") or ()))
        for name, each in zip(names, asked.table.to_dicts(), strict=True)
    ]


def _shape_of(source: Choice, table: Table, path: Path, ctx: Context) -> ShapeConfig:
    """The shape that the recipe names, or that the run recognised: from its source, or else from the rows at hand."""
    chosen, unread = shape_in_recipe(source), ""
    if chosen is None:
        try:
            table = next(source(ctx)).table
        except (DataError, MachineError) as error:
            unread = str(error)
        try:
            chosen = choice_of("shapes").model_validate(recognise(table))
        except DataError as error:
            raise DataError(
                f"{path}: {error}\nThe run saw the shape in its source, which cannot be read now ({unread}): "
                "bring it back, or give these rows the columns of the answer too, as null"
            ) from None
    options = chosen.options
    assert isinstance(options, ShapeConfig), f"the Config of shape {chosen.name!r} is no ShapeConfig"
    return options


def _refuse_missing(path: Path, rows: Mapping[int, Mapping[str, Any]], shape: ShapeConfig) -> None:
    """Raise DataError for the first row that lacks a column of the input, where columns are named."""
    named = names_in(shape.input) if isinstance(shape, Columns) else ()
    heads = [name if name in row else name.partition(".")[0] for row in rows.values() for name in named]
    for number, row in rows.items():
        for head in dict.fromkeys(heads):
            if head not in row and head != "id":
                raise DataError(f"{path}:{number}: {head!r} is missing{suggest(head, row)}; a text is expected")
