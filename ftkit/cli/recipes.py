"""Commands on a recipe: run, prepare, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftkit.cli.command_line import (
    AsJson,
    EventsFile,
    IsQuiet,
    Offline,
    Overrides,
    RecipePath,
    RunsDir,
    TrustCode,
    app,
    context,
    print_json,
    show,
    wrapped,
)
from ftkit.errors import RecipeError

if TYPE_CHECKING:
    from ftkit.recipe.schema import DataRecipe, Recipe

STAGES = ("prepare", "baseline", "train", "evaluate", "compare")


@app.command()
def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    until: Annotated[str, typer.Option(help=f"last stage: {', '.join(STAGES)}")] = "compare",
    fresh: Annotated[bool, typer.Option("--fresh", help="make every stage anew")] = False,
    offline: Offline = False,
    runs_dir: RunsDir = Path("runs"),
    quiet: IsQuiet = False,
    events: EventsFile = None,
    trust_remote_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe from raw rows to a verdict. What is already published is reused.

    \b
    ftkit run recipes/quickstart.yaml
    ftkit run recipe.yaml --set train.epochs=5 --until train
    """
    if until not in STAGES:
        from ftkit.registry import suggest

        raise RecipeError(f"--until {until}: no such stage{suggest(until, STAGES)}")
    loaded = _load(recipe, overrides)
    from ftkit.run.pipeline import run as run_recipe

    with context(offline=offline, trust_remote_code=trust_remote_code, quiet=quiet, events=events) as ctx:
        result = run_recipe(loaded, runs_dir=runs_dir, until=until, fresh=fresh, ctx=ctx)  # type: ignore[arg-type]
    if as_json:
        paths = {name: str(artifact.path) for name, artifact in result.artifacts.items()}
        verdict = result.verdict and result.verdict.as_json()
        print_json({"run": str(result.run_dir), "artifacts": paths, "verdict": verdict})
    elif result.verdict is None:
        show(f"ended after {until}: {result.artifacts[list(result.artifacts)[-1]].path}")
    else:
        show(wrapped(result.verdict.sentence))
        show(f"report: {result.artifacts['compare'].path / 'report.html'}")


@app.command()
def prepare(
    recipe: RecipePath,
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="prepare anew")] = False,
    offline: Offline = False,
    runs_dir: RunsDir = Path("runs"),
    quiet: IsQuiet = False,
    events: EventsFile = None,
    as_json: AsJson = False,
) -> None:
    """Clean, deduplicate and split the rows; nothing else. The recipe needs no model.

    \b
    ftkit prepare recipe.yaml --set data.clean='[exact_dedup]'
    """
    from ftkit.recipe.schema import load_data_recipe

    loaded = load_data_recipe(recipe, overrides=overrides or [])
    from ftkit.run.artifacts import Prepared
    from ftkit.run.pipeline import prepare_rows

    with context(offline=offline, quiet=quiet, events=events) as ctx:
        result = prepare_rows(loaded, runs_dir=runs_dir, fresh=fresh, ctx=ctx)
    made = Prepared(result.artifacts["prepare"].path)
    if as_json:
        print_json({"folder": str(made.path), **made.summary.as_json()})
    else:
        show(f"rows: {made.path}")
        show(f"report: {made.path / 'data.html'}")


@app.command()
def check(
    recipe: RecipePath,
    overrides: Overrides = None,
    fast: Annotated[bool, typer.Option("--fast", help="schema, data columns and files only")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="run every stage on 20 rows with a small random base")] = False,
    offline: Offline = False,
    trust_remote_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Check a recipe before it costs anything. Schema and columns; then prompts, loss masks, rows that do not fit.

    --smoke: then every stage on a few rows, on the CPU; of the base only config and tokenizer are needed.

    \b
    ftkit check recipe.yaml --fast
    """
    if fast and smoke:
        raise RecipeError("--fast and --smoke: one looks at least, the other at most; take one of them")
    if fast:
        from ftkit.recipe.schema import load_data_recipe

        rows_only = load_data_recipe(recipe, overrides=overrides or [])
        columns = _columns(rows_only, offline=offline)
        model = _files(rows_only, offline=offline)
        if as_json:
            print_json({"recipe": rows_only.name, **columns})
        else:
            show(f"{recipe}: schema, columns and files are fine" + (f"; {model}" if model else ""))
        return
    loaded = _load(recipe, overrides)
    _columns(loaded, offline=offline)
    with context(offline=offline, trust_remote_code=trust_remote_code) as ctx:
        from ftkit.run.check import check_recipe
        from ftkit.run.smoke import smoke_recipe

        found = smoke_recipe(loaded, ctx) if smoke else check_recipe(loaded, ctx)
    if as_json:
        print_json(found.as_json())
        return
    from ftkit.run import check as checking
    from ftkit.run import smoke as trying
    from ftkit.run.terminal import print_styled

    lines = trying.rendered(found) if isinstance(found, trying.Smoke) else checking.rendered(found)
    for text in lines:
        print_styled(text)


def _load(path: Path, overrides: list[str] | None) -> Recipe:
    from ftkit.recipe.schema import load_recipe

    return load_recipe(path, overrides=overrides or [])


def _files(recipe: DataRecipe, *, offline: bool) -> str:
    """What a look at the files of base and metrics says; '' for nothing, as of a recipe for prepare alone."""
    from ftkit.contracts import Context
    from ftkit.recipe.schema import Recipe
    from ftkit.run.base import look_at_files

    return look_at_files(recipe, recipe.around(Context(offline=offline))) if isinstance(recipe, Recipe) else ""


def _columns(recipe: DataRecipe, *, offline: bool) -> dict[str, list[str]]:
    """Columns of the recipe's local sources, after a look at their first rows. Needs no terminal, so it starts fast."""
    from ftkit.contracts import Context
    from ftkit.run.stages.prepare import PrepareConfig, check

    return check(PrepareConfig.of(recipe), recipe.around(Context(offline=offline)))
