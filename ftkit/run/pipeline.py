"""A run: stage after stage of the graph, from recipe to verdict. What is published is reused, the rest is made.

Knows no stage by name but their order; what a stage reads and does is declared in `graph.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ftkit.contracts import Context
from ftkit.errors import DataError, RecipeError
from ftkit.prepare.given_rows import rows_of
from ftkit.prepare.intake import options_of
from ftkit.prepare.sources import SourceConfig
from ftkit.recipe.data_block import Data
from ftkit.recipe.schema import DataRecipe, Recipe
from ftkit.records import write_jsonl
from ftkit.registry import suggest
from ftkit.run import closing
from ftkit.run.artifacts import Compared, Evaluated, Made, Prepared, made_of
from ftkit.run.asked import recipe_of, shown
from ftkit.run.base import with_base_found
from ftkit.run.given import TRAIN, Given
from ftkit.run.graph import Stage, preparing, stages_of
from ftkit.run.latest import note_latest
from ftkit.run.machine import environment
from ftkit.run.models import require
from ftkit.run.runlog import RunLog
from ftkit.run.settling import settled
from ftkit.store import (
    Artifact,
    begin,
    discard,
    keep_json,
    kept_json,
    locked,
    publish,
    published,
    refuse_links,
    sweep,
    write_bytes,
    write_json,
)
from ftkit.verdict.results import Metrics, Verdict

if TYPE_CHECKING:
    import polars

STAGES = ("prepare", "baseline", "train", "evaluate", "compare")
Until = Literal["prepare", "baseline", "train", "evaluate", "compare"]


@dataclass(frozen=True, repr=False)
class Result:
    """What a run has published, by stage. `verdict` is None where it was told to end before compare."""

    run_dir: Path
    artifacts: Mapping[str, Artifact]

    @property
    def verdict(self) -> Verdict | None:
        """Whether fine-tuning is worth it, as in `verdict.json`."""
        compared = self.artifacts.get("compare")
        return Compared(compared.path).verdict if compared else None

    @property
    def metrics(self) -> Metrics:
        """Every metric of every arm, as in `metrics.json`. Raises RecipeError where the run ended before compare."""
        return Compared(self._made("compare")).metrics

    @property
    def report(self) -> Path:
        """The page `report.html`. Raises RecipeError where the run ended before compare."""
        return self._made("compare") / "report.html"

    def frame(self) -> polars.DataFrame:
        """Every arm's answer to every test row, as in `predictions.jsonl`; a column for each metric of a row.

        Raises RecipeError where the run ended before evaluate.
        """
        import polars

        rows = [asdict(row) for row in Evaluated(self._made("evaluate")).predictions]
        return polars.DataFrame([{**row, **row.pop("scores")} for row in rows], infer_schema_length=None)

    def _made(self, stage: str) -> Path:
        if stage not in self.artifacts:
            raise RecipeError(f"{self.run_dir}: ended before {stage}; run it without `until`")
        return self.artifacts[stage].path

    def __repr__(self) -> str:
        verdict = self.verdict
        said = f"ended after {list(self.artifacts)[-1]}" if verdict is None else verdict.sentence
        return f"<Result of {self.run_dir}: {said}>"

    def _repr_html_(self) -> str:
        """For notebooks: the verdict, and a link to the report."""
        if self.verdict is None:
            return f"<p>{escape(repr(self))}</p>"
        link = escape(self.report.resolve().as_uri())
        return f'<p>{escape(self.verdict.sentence)}</p><p><a href="{link}">report</a></p>'


def run(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    runs_dir: str | Path = "runs",
    until: Until = "compare",
    fresh: bool = False,
    overrides: Sequence[str] = (),
    quiet: bool = False,
    ctx: Context | None = None,
) -> Result:
    """Run a recipe (or the one in a file, or of a dict) up to a stage, reusing what is already published and verified.

    The same call continues an interrupted run. Progress shows on stderr, unless `quiet` or where a `ctx` has its own.
    Raises the errors of `ftkit.errors`; nothing finished is lost.
    """
    if until not in STAGES:
        raise RecipeError(f"until {until!r}: no such stage{suggest(str(until), STAGES)}")
    asked = with_base_found(recipe_of(recipe, overrides), ctx or Context())
    with shown(ctx, quiet=quiet) as ctx, _held(asked, Path(runs_dir), ctx) as (run_dir, ctx):
        refuse_code(asked, ctx)
        this = _Run(run_dir, Given(asked, ctx), require=lambda: require(asked, ctx), fresh=fresh)
        this.publish(preparing(asked))
        if until != "prepare":
            this.given.asked = asked = settled(asked, Prepared(this.artifacts["prepare"].path), ctx)
            write_json(run_dir / "recipe.resolved.json", asked.resolved())
            for stage in stages_of(asked)[1:]:
                if _place(stage.name) > STAGES.index(until):
                    break
                this.publish(stage)
        result = Result(run_dir, dict(this.artifacts))
        for line in closing.next_steps(run_dir, result.verdict) if result.verdict is not None else ():
            ctx.progress.say(line)
        return result


def _place(stage: str) -> int:
    """Place of a stage among the kinds of stages: all trainings are one kind."""
    return STAGES.index("train" if stage.startswith(TRAIN) else stage)


def prepare_rows(
    recipe: DataRecipe,
    rows: Any = None,
    *,
    runs_dir: str | Path = "runs",
    fresh: bool = False,
    quiet: bool = False,
    ctx: Context | None = None,
) -> Result:
    """Run prepare alone: no model is looked at, and the recipe needs to name none.

    `rows` (dicts, a `datasets.Dataset`, a frame of pandas or polars) stand in for the recipe's source, whose input,
    target, id, shape and weight hold for them; they are kept in the run directory.
    """
    with shown(ctx, quiet=quiet) as ctx, _held(recipe, Path(runs_dir), ctx) as (run_dir, ctx):
        recipe = recipe if rows is None else _with_rows(recipe, rows, run_dir.absolute())
        this = _Run(run_dir, Given(recipe, ctx), require=_nothing, fresh=fresh)
        this.publish(preparing(recipe))
        return Result(run_dir, dict(this.artifacts))


def _with_rows(recipe: DataRecipe, rows: Any, run_dir: Path) -> DataRecipe:
    common = set(SourceConfig.model_fields)
    if len(recipe.data.source) != 1:
        raise RecipeError("data.source: rows stand in for one source; the recipe has several")
    named = options_of(recipe.data.source[0]).model_dump(mode="json", include=common, exclude_none=True)
    kind = "parquet" if type(rows).__module__.startswith("datasets.") and hasattr(rows, "to_parquet") else "jsonl"
    path = run_dir / f"rows.{kind}"
    if kind == "parquet":
        rows.to_parquet(str(path))
    else:
        try:
            write_jsonl(path, rows_of(rows, "rows"))
        except (TypeError, ValueError) as error:  # a date, a NaN, half of a surrogate pair, or no dict at all
            raise DataError(f"rows: not rows of plain JSON values: {error}") from None
    data = {**recipe.data.model_dump(mode="json"), "source": {kind: {**named, "path": str(path)}}}
    return recipe.model_copy(update={"data": Data.model_validate(data)})


@contextmanager
def _held(recipe: DataRecipe, runs_dir: Path, ctx: Context) -> Iterator[tuple[Path, Context]]:
    """The run directory, locked, with the recipe in it, and a context that logs there."""
    run_dir = runs_dir / recipe.name
    refuse_links(run_dir)
    with locked(run_dir), RunLog(ctx.progress, run_dir / "run.log") as progress:
        sweep(run_dir)
        write_bytes(run_dir / "recipe.yaml", recipe.text.encode())
        write_json(run_dir / "recipe.resolved.json", recipe.resolved())
        yield run_dir, replace(recipe.around(ctx), progress=progress)


def refuse_code(recipe: Recipe, ctx: Context) -> None:
    """Raise RecipeError for a component that runs code from elsewhere, unless the command line trusts it."""
    for metric in recipe.evaluate.metrics:
        if metric.options.runs_code and not ctx.trust_remote_code:
            raise RecipeError(
                f"evaluate.metrics: {metric.name} runs code from elsewhere; "
                "say --trust-remote-code on the command line if you trust it"
            )


def _nothing() -> None:
    """No check before a stage."""


class _Run:
    """One run directory while it is held: what is published is reused, the rest is made and published."""

    def __init__(self, run_dir: Path, given: Given, *, require: Callable[[], None], fresh: bool) -> None:
        self.run_dir = run_dir
        self.given = given
        self.ctx = given.ctx
        self.require = require
        self.fresh = fresh
        self.required = False
        self.known: set[Callable[[Given, Context], None]] = set()

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """What is published so far, by stage."""
        return self.given.artifacts

    def publish(self, stage: Stage[Any]) -> None:
        """The artifact of a stage: verified if it is published, else made in a `.partial` folder and published."""
        self.given.reads = stage.reads
        key = stage.key(self.given.ids())
        if self.fresh:
            for ending in ("", ".partial", ".scratch"):
                discard(self.run_dir / f"{stage.name}-{key}{ending}")
        artifact = published(self.run_dir, stage.name, key)
        if artifact is not None:
            self.ctx.progress.say(f"{stage.name}: reused, {artifact.path.name}{_otherwise(artifact, stage)}")
        else:
            self._require_once()
            if stage.before not in self.known:
                stage.before(self.given, self.ctx)
                self.known.add(stage.before)
            self.ctx.check_stop()
            self.ctx.progress.say(f"{stage.name}: started")
            partial = begin(self.run_dir, stage.name, key)
            facts = self._facts(stage, partial)
            stage.work(stage.config, self.given, partial, self.ctx)
            artifact = publish(partial, keep=stage.publishes, facts=facts)
            self.ctx.progress.say(f"{stage.name}: done, {artifact.path.name}")
        self.artifacts[stage.name] = artifact
        note_latest(self.run_dir, self.artifacts)
        for line in closing.lines_of(stage.name, artifact, self.given.asked):
            self.ctx.progress.say(line)

    def _require_once(self) -> None:
        """Before the first stage that is made: what can be known to fail later, known now."""
        if not self.required:
            self.require()
            self.required = True

    def _facts(self, stage: Stage[Any], partial: Path) -> dict[str, Any]:
        """What a manifest says of the making: versions, machine and day, the recipe, the stages that were read."""
        read = {name: each.path.name for name, each in self.artifacts.items() if _is_read(name, stage.reads)}
        return Made(
            environment=self._environment(partial),
            day=datetime.now(tz=UTC).date().isoformat(),
            recipe=self.given.asked.resolved(),
            blocks=dict(stage.blocks),
            reads=read,
            base=self.given.base_identity(),
        ).as_json()

    def _environment(self, partial: Path) -> dict[str, Any]:
        """Versions and machine. Those of earlier attempts are kept; that they differ is said."""
        now = environment(self.ctx.machine)
        kept = partial / "environments.json"
        attempts = (kept_json(kept, self.ctx.progress.say) or {}).get("attempts", [])
        earlier = [each for each in attempts if each != now]
        for before in earlier:
            for name in sorted(name for name in now if now[name] != before[name]):
                what = f"continued with {name} {now[name]}, begun with {before[name]}"
                self.ctx.progress.say(f"{partial.stem}: {what}: its bytes may differ from a run never stopped")
        keep_json(kept, {"attempts": [*earlier, now]})
        return {**now, "earlier": earlier} if earlier else now


def _is_read(stage: str, reads: Sequence[str]) -> bool:
    return any(name == stage or name.startswith(f"{stage}/") for name in reads)


def _otherwise(artifact: Artifact, stage: Stage[Any]) -> str:
    """What the recipe says otherwise than when the stage was made; none of it changes a result."""
    before, now = (dict(_leaves(dict(each), "")) for each in (made_of(artifact).blocks, stage.blocks))
    changed = [
        f"{key} {before.get(key)} (now {now.get(key)})"
        for key in sorted(before | now)
        if before.get(key) != now.get(key)
    ]
    return f"; made with {', '.join(changed)}, which changes no result" if changed else ""


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Plain values of a block, by their full key."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, each in value.items():
        yield from _leaves(each, f"{key}.{name}" if key else name)
