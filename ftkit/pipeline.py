"""The order of the stages, from recipe to verdict, as functions that can be read from top to bottom.

Knows which stage reads what; knows nothing of how a stage works.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ftkit.arms import arm_models, model_id, model_spec, quantization, require, task_spec
from ftkit.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.contracts import Context
from ftkit.engine.load import load
from ftkit.errors import RecipeError
from ftkit.machine import environment
from ftkit.recipe import Recipe
from ftkit.registry import Choice, Config
from ftkit.runlog import RunLog
from ftkit.stages import baseline, compare, evaluate, prepare, train
from ftkit.store import Artifact, begin, digest, locked, publish, published, read_json, stage_key, write_bytes, write_json

Stage = Literal["prepare", "baseline", "train", "evaluate", "compare"]


@dataclass(frozen=True)
class Result:
    """What a run has published, by stage. `verdict` is None where it was told to end before compare."""

    run_dir: Path
    artifacts: Mapping[str, Artifact]

    @property
    def verdict(self) -> dict[str, Any] | None:
        """`verdict.json`."""
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
    ctx = ctx or Context()
    run_dir = runs_dir / recipe.name
    with locked(run_dir), RunLog(ctx.progress, run_dir / "run.log") as progress:
        ctx = replace(ctx, machine=recipe.machine, progress=progress)
        preflight(recipe, ctx)
        write_bytes(run_dir / "recipe.yaml", recipe.text.encode())
        write_json(run_dir / "recipe.resolved.json", recipe.resolved())
        this = _Run(recipe, run_dir, fresh=fresh, ctx=ctx)
        for name in this.stages():
            if name == until:
                break
        return Result(run_dir, dict(this.artifacts))


def preflight(recipe: Recipe, ctx: Context) -> None:
    """What can be known to fail before any work: code in components, device, precision, the model's files."""
    for metric in recipe.evaluate.metrics:
        if metric.options.runs_code and not ctx.trust_remote_code:
            raise RecipeError(
                f"evaluate.metrics: {metric.name} runs code from elsewhere; "
                "say --trust-remote-code on the command line if you trust it"
            )
    require(recipe, ctx)


class _Run:
    """One run directory while it is held: what is published already is reused, the rest is made and published."""

    def __init__(self, recipe: Recipe, run_dir: Path, *, fresh: bool, ctx: Context) -> None:
        self.recipe = recipe
        self.run_dir = run_dir
        self.fresh = fresh
        self.ctx = ctx
        self.artifacts: dict[str, Artifact] = {}

    def stages(self) -> Iterator[Stage]:
        """Run stage after stage; yields the name of each when it is published."""
        recipe, ctx = self.recipe, self.ctx

        data = prepare.PrepareConfig(task=recipe.task, data=recipe.data, seed=recipe.seed)
        rows = self._stage(
            "prepare",
            prepare.VERSION,
            config=data,
            inputs=prepare.input_ids(data, ctx),
            files=Prepared.FILES,
            work=lambda out: prepare.run(data, out, ctx),
        )
        yield "prepare"

        prepared = Prepared(rows.path)
        task = task_spec(recipe.task, prepared.summary["labels"])
        seen = {"labels": digest(list(task.labels)), **rows.ids("train.jsonl", "valid.jsonl")}
        base = model_spec(recipe, ctx)
        search = baseline.BaselineConfig(
            task=recipe.task, search=recipe.baseline, primary=recipe.primary, seed=recipe.seed
        )
        prompted = self._stage(
            "baseline",
            baseline.VERSION,
            config=search,
            inputs={**seen, "model": model_id(base, ctx)},
            files=Baseline.FILES,
            work=lambda out: baseline.run(search, prepared, load(base, ctx), task, out, ctx),
        )
        yield "baseline"

        best = Baseline(prompted.path)
        tuned: dict[str, Artifact] = {}
        for method in recipe.train.method:
            spec = model_spec(recipe, ctx, quantize=quantization(method))
            how = self._train_config(method)
            tuned[method.name] = self._stage(
                f"train-{method.name}",
                train.VERSION,
                config=how,
                inputs={**seen, **prompted.ids("prompt.json"), "model": model_id(spec, ctx)},
                files=Trained.FILES,
                work=lambda out, spec=spec, how=how: train.run(  # type: ignore[misc]
                    how, prepared, best.prompts, load(spec, ctx), task, out, ctx
                ),
            )
        yield "train"

        measure = evaluate.EvaluateConfig(
            task=recipe.task, metrics=recipe.evaluate.metrics, primary=recipe.primary, seed=recipe.seed
        )
        trained = {name: Trained(artifact.path) for name, artifact in tuned.items()}
        models = arm_models(recipe, trained, ctx)
        tested = self._stage(
            "evaluate",
            evaluate.VERSION,
            config=measure,
            inputs={
                "rows": rows.content_id,
                "baseline": prompted.content_id,
                "model": model_id(base, ctx),
                **{name: artifact.content_id for name, artifact in tuned.items()},
            },
            files=Evaluated.FILES,
            work=lambda out: evaluate.run(
                measure, evaluate.EvaluateInputs(prepared, best, trained, models), task, out, ctx
            ),
        )
        yield "evaluate"

        question = compare.CompareConfig.of(recipe)
        self._stage(
            "compare",
            compare.VERSION,
            config=question,
            inputs={name: artifact.content_id for name, artifact in self.artifacts.items()},
            files=Compared.FILES,
            work=lambda out: compare.run(
                question,
                compare.CompareInputs(
                    recipe.resolved(), prepared, best, trained, Evaluated(tested.path), self._timings()
                ),
                out,
                ctx,
            ),
        )
        yield "compare"

    def _train_config(self, method: Choice) -> train.TrainConfig:
        recipe = self.recipe
        return train.TrainConfig(
            task=recipe.task,
            method=method,
            train=recipe.train.model_copy(update={"method": [method]}),
            normalize=list(recipe.baseline.normalize),
            max_valid_rows=recipe.baseline.max_valid_rows,
            primary=recipe.primary,
            seed=recipe.seed,
        )

    def _timings(self) -> dict[str, dict[str, Any]]:
        """`timing.json` of every stage so far."""
        files = {name: artifact.path / "timing.json" for name, artifact in self.artifacts.items()}
        return {name: read_json(path) for name, path in files.items() if path.exists()}

    def _stage(
        self,
        name: str,
        version: int,
        *,
        config: Config,
        inputs: Mapping[str, str],
        files: frozenset[str],
        work: Callable[[Path], Any],
    ) -> Artifact:
        """The artifact of a stage: verified if it is published, else made by `work(folder)` and published.

        `inputs` are content ids by name; with name, version and config they make the key.
        """
        key = stage_key(name, version, config.model_dump(mode="json"), inputs)
        if self.fresh:
            for path in (self.run_dir / f"{name}-{key}", self.run_dir / f"{name}-{key}.partial"):
                shutil.rmtree(path, ignore_errors=True)
        artifact = published(self.run_dir, name, key)
        if artifact is not None:
            self.ctx.progress.say(f"{name}: reused, {artifact.path.name}")
        else:
            self.ctx.check_stop()
            self.ctx.progress.say(f"{name}: started")
            partial = begin(self.run_dir, name, key)
            facts = self._environment(partial)
            work(partial)
            artifact = publish(partial, keep=files, facts=facts)
            self.ctx.progress.say(f"{name}: done, {artifact.path.name}")
        self.artifacts[name] = artifact
        write_json(self.run_dir / "latest.json", {each: made.path.name for each, made in self.artifacts.items()})
        return artifact

    def _environment(self, partial: Path) -> dict[str, Any]:
        """Versions and machine, kept in the partial folder so that a continuation elsewhere is noticed."""
        facts = environment(self.ctx.machine)
        kept = partial / "environment.json"
        before = read_json(kept) if kept.exists() else facts
        for name, value in facts.items():
            if before.get(name) != value:
                self.ctx.progress.say(f"continued with {name} {value}, begun with {before.get(name)}: bytes may differ")
        write_json(kept, facts)
        return facts
