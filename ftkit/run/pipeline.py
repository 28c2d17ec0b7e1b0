"""The order of the stages, from recipe to verdict, as functions that can be read from top to bottom.

Knows which stage reads what; knows nothing of how a stage works.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from ftkit.contracts import Context
from ftkit.engine.load import load
from ftkit.errors import DataError, RecipeError
from ftkit.prepare.intake import options_of
from ftkit.prepare.sources import SourceConfig
from ftkit.recipe.data_block import Data
from ftkit.recipe.schema import DataRecipe, Recipe, TaskChoice
from ftkit.records import write_jsonl
from ftkit.registry import Choice, Config
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.run.fitting import require_room
from ftkit.run.machine import environment
from ftkit.run.models import arm_models, model_id, model_spec, quantization, require, task_spec
from ftkit.run.runlog import RunLog
from ftkit.run.stages import baseline, compare, evaluate, prepare, train
from ftkit.store import (
    Artifact,
    begin,
    digest,
    locked,
    publish,
    published,
    read_json,
    stage_key,
    write_bytes,
    write_json,
)
from ftkit.verdict.results import Verdict

Stage = Literal["prepare", "baseline", "train", "evaluate", "compare"]


@dataclass(frozen=True)
class Result:
    """What a run has published, by stage. `verdict` is None where it was told to end before compare."""

    run_dir: Path
    artifacts: Mapping[str, Artifact]

    @property
    def verdict(self) -> Verdict | None:
        """Whether fine-tuning is worth it, as in `verdict.json`."""
        compared = self.artifacts.get("compare")
        return Compared(compared.path).verdict if compared else None


def run(
    recipe: Recipe,
    *,
    runs_dir: Path = Path("runs"),
    until: Stage = "compare",
    fresh: bool = False,
    ctx: Context | None = None,
) -> Result:
    """Run a recipe up to a stage, reusing every stage whose key is already published and verified.

    The same call continues an interrupted run. Raises the errors of `ftkit.errors`; nothing finished is lost.
    """
    with _held(recipe, runs_dir, ctx or Context()) as (run_dir, ctx):
        refuse_code(recipe, ctx)
        this = _Run(run_dir, require=lambda: require(recipe, ctx), fresh=fresh, ctx=ctx)
        for name in this.stages(recipe):
            if name == until:
                break
        return Result(run_dir, dict(this.artifacts))


def prepare_rows(
    recipe: DataRecipe,
    rows: Iterable[Mapping[str, Any]] | None = None,
    *,
    runs_dir: Path = Path("runs"),
    fresh: bool = False,
    ctx: Context | None = None,
) -> Result:
    """Run prepare alone: no model is looked at, and the recipe needs to name none.

    `rows` (dicts, or a `datasets.Dataset`) stand in for the recipe's source, whose input, target, id, shape and weight
    hold for them; they are kept in the run directory.
    """
    with _held(recipe, runs_dir, ctx or Context()) as (run_dir, ctx):
        recipe = recipe if rows is None else _with_rows(recipe, rows, run_dir.absolute())
        this = _Run(run_dir, require=_nothing, fresh=fresh, ctx=ctx)
        this.prepare(prepare_plan(recipe))
        return Result(run_dir, dict(this.artifacts))


def _with_rows(recipe: DataRecipe, rows: Iterable[Mapping[str, Any]], run_dir: Path) -> DataRecipe:
    common = set(SourceConfig.model_fields)
    if len(recipe.data.source) != 1:
        raise RecipeError("data.source: rows stand in for one source; the recipe has several")
    named = options_of(recipe.data.source[0]).model_dump(mode="json", include=common, exclude_none=True)
    kind = "parquet" if hasattr(rows, "to_parquet") else "jsonl"
    path = run_dir / f"rows.{kind}"
    if kind == "parquet":
        rows.to_parquet(str(path))  # type: ignore[attr-defined]
    else:
        try:
            write_jsonl(path, rows)
        except (TypeError, ValueError) as error:  # a date, a NaN, half of a surrogate pair, or no dict at all
            raise DataError(f"rows: not rows of plain JSON values: {error}") from None
    data = {**recipe.data.model_dump(mode="json"), "source": {kind: {**named, "path": str(path)}}}
    return recipe.model_copy(update={"data": Data.model_validate(data)})


@contextmanager
def _held(recipe: DataRecipe, runs_dir: Path, ctx: Context) -> Iterator[tuple[Path, Context]]:
    """The run directory, locked, with the recipe in it, and a context that logs there."""
    run_dir = runs_dir / recipe.name
    with locked(run_dir), RunLog(ctx.progress, run_dir / "run.log") as progress:
        write_bytes(run_dir / "recipe.yaml", recipe.text.encode())
        write_json(run_dir / "recipe.resolved.json", recipe.resolved())
        yield run_dir, replace(ctx, machine=recipe.machine, progress=progress)


def refuse_code(recipe: Recipe, ctx: Context) -> None:
    """Raise RecipeError for a component that runs code from elsewhere, unless the command line trusts it."""
    for metric in recipe.evaluate.metrics:
        if metric.options.runs_code and not ctx.trust_remote_code:
            raise RecipeError(
                f"evaluate.metrics: {metric.name} runs code from elsewhere; "
                "say --trust-remote-code on the command line if you trust it"
            )


StageConfig = TypeVar("StageConfig", bound=Config)


@dataclass(frozen=True)
class Plan(Generic[StageConfig]):
    """What decides a stage's key: its name, VERSION and config, and the contents it reads, by name.

    Names of contents: `sources/source`, `labels`, `model` and `model@nf4` (the base as it is loaded),
    `code/evaluate` (a metric's script), the name of a stage for all it published, `prepare/train.jsonl` for a file.
    """

    name: str
    version: int
    config: StageConfig
    reads: tuple[str, ...]

    def key(self, ids: Mapping[str, str]) -> str:
        """The stage's key, from the content ids of what it reads."""
        inputs = {name: ids[name] for name in self.reads}
        return stage_key(self.name, self.version, self.config.model_dump(mode="json"), inputs)


@dataclass(frozen=True)
class Plans:
    """The stages of one recipe, in order; `train` by method."""

    prepare: Plan[prepare.PrepareConfig]
    baseline: Plan[baseline.BaselineConfig]
    train: Mapping[str, Plan[train.TrainConfig]]
    evaluate: Plan[evaluate.EvaluateConfig]
    compare: Plan[compare.CompareConfig]

    def __iter__(self) -> Iterator[Plan[Any]]:
        before: list[Plan[Any]] = [self.prepare, self.baseline]
        yield from [*before, *self.train.values(), self.evaluate, self.compare]


def plans(recipe: Recipe) -> Plans:
    """What each stage depends on. Nothing is read: the recipe decides it alone."""
    asked = _without_labels(recipe.task)
    search = baseline.BaselineConfig(task=asked, search=recipe.baseline, primary=recipe.primary, seed=recipe.seed)
    measure = evaluate.EvaluateConfig(
        task=asked,
        metrics=recipe.evaluate.metrics,
        primary=recipe.primary,
        seed=recipe.seed,
        identity=recipe.data.decontaminate.identity,
    )
    seen = ("labels", "prepare/train.jsonl", "prepare/valid.jsonl", *_code([recipe.primary]))
    trained = {method.name: _train_plan(recipe, method, asked, seen) for method in recipe.train.method}
    measured = ("prepare/test.jsonl", *_code(recipe.evaluate.metrics))
    names = tuple(plan.name for plan in trained.values())
    prompted = ("baseline/prompt.json", "baseline/valid_predictions.jsonl")
    return Plans(
        prepare_plan(recipe),
        Plan("baseline", baseline.VERSION, search, (*seen, "model")),
        trained,
        Plan("evaluate", evaluate.VERSION, measure, (*seen, *measured, *prompted, "model", *names)),
        Plan(
            "compare",
            compare.VERSION,
            compare.CompareConfig.of(recipe),
            ("prepare", "baseline", *names, "evaluate", *_code(recipe.evaluate.metrics)),
        ),
    )


def prepare_plan(recipe: DataRecipe) -> Plan[prepare.PrepareConfig]:
    """What prepare depends on."""
    config = prepare.PrepareConfig(task=recipe.task, data=recipe.data, seed=recipe.seed)
    return Plan("prepare", prepare.VERSION, config, prepare.reads(recipe.data))


def _train_plan(recipe: Recipe, method: Choice, asked: TaskChoice, seen: tuple[str, ...]) -> Plan[train.TrainConfig]:
    how = train.TrainConfig(
        task=asked,
        method=method,
        train=recipe.train,
        normalize=list(recipe.baseline.normalize),
        max_valid_rows=recipe.baseline.max_valid_rows,
        primary=recipe.primary,
        seed=recipe.seed,
    )
    model = _model_name(method)
    return Plan(f"train-{method.name}", train.VERSION, how, (*seen, "baseline/prompt.json", model))


def _code(metrics: Sequence[Choice]) -> tuple[str, ...]:
    """Names, among contents, of the metrics that are code from elsewhere."""
    return tuple(f"code/{metric.name}" for metric in metrics if metric.options.runs_code)


def _without_labels(task: TaskChoice) -> TaskChoice:
    """The task as the stages behind prepare see it: the labels that were found are a content of their own."""
    return TaskChoice.model_validate("classify") if task.name == "classify" else task


def _model_name(method: Choice) -> str:
    """The name, among contents, of the base as a method wants it."""
    quantize = quantization(method)
    return "model" if quantize == "none" else f"model@{quantize}"


def _nothing() -> None:
    """No check before a stage."""


class _Run:
    """One run directory while it is held: what is published is reused, the rest is made and published.

    `ids` holds the content ids known so far, by the names of `Plan.reads`.
    """

    def __init__(self, run_dir: Path, *, require: Callable[[], None], fresh: bool, ctx: Context) -> None:
        self.run_dir = run_dir
        self.require = require
        self.fresh = fresh
        self.ctx = ctx
        self.artifacts: dict[str, Artifact] = {}
        self.ids: dict[str, str] = {}
        self.required = False

    def prepare(self, plan: Plan[prepare.PrepareConfig]) -> Prepared:
        """The rows, made or reused."""
        inputs = prepare.inputs_of(plan.config, self.ctx)
        self.ids |= inputs.ids
        rows = self._stage(plan, Prepared.FILES, lambda out: prepare.run(plan.config, out, self.ctx, inputs=inputs))
        return Prepared(rows.path)

    def stages(self, recipe: Recipe) -> Iterator[Stage]:
        """Run stage after stage; yields the name of each when it is published."""
        ctx, plan = self.ctx, plans(recipe)

        prepared = self.prepare(plan.prepare)
        yield "prepare"

        scripts = [metric for metric in recipe.evaluate.metrics if metric.options.runs_code]
        self.ids |= {f"code/{metric.name}": metric.options.code_id() for metric in scripts}
        task = task_spec(recipe.task, prepared.summary.labels)
        base = model_spec(recipe)
        self.ids |= {"labels": digest(list(task.labels)), "model": model_id(base, ctx)}
        prompted = self._stage(
            plan.baseline,
            Baseline.FILES,
            lambda out: baseline.run(plan.baseline.config, prepared, load(base, ctx), task, out, ctx),
            before=lambda: require_room(recipe, prepared, task, ctx),
        )
        yield "baseline"

        best = Baseline(prompted.path)
        trained: dict[str, Trained] = {}
        for method in recipe.train.method:
            how = plan.train[method.name]
            spec = model_spec(recipe, quantize=quantization(method))
            self.ids[_model_name(method)] = model_id(spec, ctx)
            tuned = self._stage(
                how,
                Trained.FILES,
                lambda out, how=how, spec=spec: train.run(  # type: ignore[misc]
                    how.config, prepared, best.prompts, load(spec, ctx), task, out, ctx
                ),
            )
            trained[method.name] = Trained(tuned.path)
        yield "train"

        arms = evaluate.EvaluateInputs(prepared, best, trained, arm_models(recipe, trained, ctx))
        tested = self._stage(
            plan.evaluate,
            Evaluated.FILES,
            lambda out: evaluate.run(plan.evaluate.config, arms, task, out, ctx),
        )
        yield "evaluate"

        everything = compare.CompareInputs(
            recipe.resolved(), prepared, best, trained, Evaluated(tested.path), self._timings()
        )
        self._stage(plan.compare, Compared.FILES, lambda out: compare.run(plan.compare.config, everything, out, ctx))
        yield "compare"

    def _timings(self) -> dict[str, dict[str, Any]]:
        """`timing.json` of every stage so far."""
        files = {name: artifact.path / "timing.json" for name, artifact in self.artifacts.items()}
        return {name: read_json(path) for name, path in files.items() if path.exists()}

    def _stage(
        self,
        plan: Plan[Any],
        files: frozenset[str],
        work: Callable[[Path], Any],
        *,
        before: Callable[[], None] = _nothing,
    ) -> Artifact:
        """The artifact of a stage: verified if it is published, else made by `work(folder)` and published.

        `before` raises what should be known before the work begins.
        """
        name, key = plan.name, plan.key(self.ids)
        if self.fresh:
            self._forget(f"{name}-{key}")
        artifact = published(self.run_dir, name, key)
        if artifact is not None:
            self.ctx.progress.say(f"{name}: reused, {artifact.path.name}")
        else:
            self._require_once()
            before()
            self.ctx.check_stop()
            self.ctx.progress.say(f"{name}: started")
            partial = begin(self.run_dir, name, key)
            facts = self._environment(partial)
            work(partial)
            artifact = publish(partial, keep=files, facts=facts)
            self.ctx.progress.say(f"{name}: done, {artifact.path.name}")
        self.artifacts[name] = artifact
        self.ids |= {
            name: artifact.content_id,
            **{f"{name}/{file}": id for file, id in artifact.files.items()},
        }
        write_json(self.run_dir / "latest.json", {each: made.path.name for each, made in self.artifacts.items()})
        return artifact

    def _require_once(self) -> None:
        """Before the first stage that is made: what can be known to fail later, known now."""
        if not self.required:
            self.require()
            self.required = True

    def _forget(self, folder: str) -> None:
        """Delete a stage's folders. A kill in between leaves work to continue, never half an artifact."""
        final, partial = self.run_dir / folder, self.run_dir / f"{folder}.partial"
        if partial.exists():
            shutil.rmtree(partial)
        if final.exists():
            final.rename(partial)
            shutil.rmtree(partial)

    def _environment(self, partial: Path) -> dict[str, Any]:
        """Versions and machine. Those of earlier attempts are kept; that they differ is said."""
        now = environment(self.ctx.machine)
        kept = partial / "environments.json"
        earlier = [each for each in (read_json(kept) if kept.exists() else []) if each != now]
        for before in earlier:
            for name in sorted(name for name in now if now[name] != before[name]):
                what = f"continued with {name} {now[name]}, begun with {before[name]}"
                self.ctx.progress.say(f"{partial.stem}: {what}: its bytes may differ from a run never stopped")
        write_json(kept, [*earlier, now])
        return {**now, "earlier": earlier} if earlier else now
