"""The command line: reads arguments, prints results on stdout, progress and errors on stderr, and exits.

The only place that prints, reads ftkit's own environment settings or exits. Imports of work are inside the commands, so
that help stays fast.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TextIO

import typer

from ftkit.errors import READER_GONE, FtkitError, MachineError, RecipeError, is_out_of_memory, visible

if TYPE_CHECKING:
    from ftkit.contracts import Context
    from ftkit.recipe.schema import DataRecipe, Recipe

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

STAGES = ("prepare", "baseline", "train", "evaluate", "compare")
RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="recipe file (YAML)")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="run directory, e.g. runs/quickstart")]
Overrides = Annotated[
    Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE", help="override one key of the recipe")
]
Offline = Annotated[bool, typer.Option("--offline", help="no network: the hub's cache only")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable result on stdout")]
TrustCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="run code that a model or metric brings; needs a pinned revision")
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="where run directories are kept")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from ftkit import __version__

        _show(f"ftkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Should I fine-tune, or is a good prompt enough? One recipe answers with evidence."""


@app.command()
def run(
    recipe: RecipePath,
    overrides: Overrides = None,
    until: Annotated[str, typer.Option(help=f"last stage: {', '.join(STAGES)}")] = "compare",
    fresh: Annotated[bool, typer.Option("--fresh", help="make every stage anew")] = False,
    offline: Offline = False,
    runs_dir: RunsDir = Path("runs"),
    trust_remote_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe from raw rows to a verdict. What is already published is reused."""
    if until not in STAGES:
        from ftkit.registry import suggest

        raise RecipeError(f"--until {until}: no such stage{suggest(until, STAGES)}")
    loaded = _load(recipe, overrides)
    from ftkit.run.pipeline import run as run_recipe

    with _context(offline=offline, trust_remote_code=trust_remote_code) as ctx:
        result = run_recipe(loaded, runs_dir=runs_dir, until=until, fresh=fresh, ctx=ctx)  # type: ignore[arg-type]
    if as_json:
        paths = {name: str(artifact.path) for name, artifact in result.artifacts.items()}
        verdict = result.verdict and result.verdict.as_json()
        _print_json({"run": str(result.run_dir), "artifacts": paths, "verdict": verdict})
    elif result.verdict is None:
        _show(f"ended after {until}: {result.artifacts[list(result.artifacts)[-1]].path}")
    else:
        _show(result.verdict.sentence)
        _show(f"report: {result.artifacts['compare'].path / 'report.html'}")


@app.command()
def prepare(
    recipe: RecipePath,
    overrides: Overrides = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="prepare anew")] = False,
    offline: Offline = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Clean, deduplicate and split the rows; nothing else. The recipe needs no model."""
    from ftkit.recipe.schema import load_data_recipe

    loaded = load_data_recipe(recipe, overrides=overrides or [])
    from ftkit.run.artifacts import Prepared
    from ftkit.run.pipeline import prepare_rows

    with _context(offline=offline) as ctx:
        result = prepare_rows(loaded, runs_dir=runs_dir, fresh=fresh, ctx=ctx)
    made = Prepared(result.artifacts["prepare"].path)
    if as_json:
        _print_json({"folder": str(made.path), **made.summary.as_json()})
    else:
        _show(f"rows: {made.path}")
        _show(f"report: {made.path / 'data.html'}")


@app.command()
def duplicates(
    run_dir: RunPath,
    step: Annotated[Optional[list[str]], typer.Option(help="only of this step; may be given several times")] = None,
    limit: Annotated[int, typer.Option(min=1, help="pairs of each step at most")] = 20,
    min_score: Annotated[Optional[float], typer.Option(help="only pairs at least as similar")] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows side by side with those they gave way to. The least alike come first."""
    from rich.console import Console
    from rich.text import Text

    from ftkit.report.data.duplicates import pairs, rendered
    from ftkit.run.finished import prepared_folder
    from ftkit.run.terminal import print_styled

    shown = list(pairs(prepared_folder(run_dir), steps=step or (), min_score=min_score, limit=limit))
    if as_json:
        _print_json([asdict(pair) for pair in shown])
        return
    if not shown:
        of_steps = f" by {', '.join(step)}" if step else ""
        so_alike = "" if min_score is None else f" with a similarity of {min_score:g} or more"
        _show(f"no row was dropped or flagged for another one{of_steps}{so_alike}")
    console = Console(highlight=False, soft_wrap=True)
    styles = {"plain": "", "differs": "bold yellow", "faint": "dim", "head": "bold"}
    for pair in shown:
        for line in rendered(pair, console.width, brackets=not console.is_terminal):
            print_styled(Text.assemble(*((span.text, styles[span.style]) for span in line)))


@app.command()
def check(
    recipe: RecipePath,
    overrides: Overrides = None,
    fast: Annotated[bool, typer.Option("--fast", help="schema and data columns only")] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Check a recipe before it costs anything. Schema and columns; then prompts, loss masks, rows that do not fit."""
    if fast:
        from ftkit.recipe.schema import load_data_recipe

        rows_only = load_data_recipe(recipe, overrides=overrides or [])
        columns = _columns(rows_only, offline=offline)
        if as_json:
            _print_json({"recipe": rows_only.name, **columns})
        else:
            _show(f"{recipe}: schema and columns are fine")
        return
    loaded = _load(recipe, overrides)
    _columns(loaded, offline=offline)
    with _context(offline=offline) as ctx:
        from ftkit.run.check import check_recipe, rendered

        findings = check_recipe(loaded, ctx)
    if as_json:
        _print_json(findings.as_json())
        return
    from ftkit.run.terminal import print_styled

    for text in rendered(findings):
        print_styled(text)


@app.command()
def report(run_dir: RunPath, as_json: AsJson = False) -> None:
    """Print the report of a finished run."""
    from ftkit.run.finished import open_run

    compared = open_run(run_dir).compared
    if as_json:
        _print_json(compared.verdict.as_json())
        return
    _show((compared.path / "report.md").read_text(encoding="utf-8"))
    _show(f"report: {compared.path / 'report.html'}", to=sys.stderr)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="run directories, or one of them")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List every verdict: run, both arms, difference, rows, day."""
    from ftkit.run.listing import as_lines, list_runs

    lines = list_runs(folder)
    _print_json([asdict(line) for line in lines]) if as_json else _show("\n".join(as_lines(lines)))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="run, its arm to ship (RUN#ARM: another), or predictions")],
    b: Annotated[Path, typer.Argument(metavar="B", help="what A is compared with, likewise")],
    metric: Annotated[
        Optional[str], typer.Option(help="metric that decides; default: of the runs, or accuracy")
    ] = None,
    margin: Annotated[
        Optional[float], typer.Option(help="difference that would matter; default: of the runs, or 0.02")
    ] = None,
    level: Annotated[Optional[float], typer.Option(help="confidence level; default: of the runs, or 0.95")] = None,
    seed: Annotated[int, typer.Option(help="of the resampling")] = 17,
    as_json: AsJson = False,
) -> None:
    """Compare the arms of two runs, or two files of predictions. They must hold the same rows; nothing is trained."""
    from ftkit.report.wording import one_sentence
    from ftkit.run.side_by_side import compare as compare_sides

    with _context() as ctx:
        result = compare_sides(a, b, metric=metric, margin=margin, level=level, seed=seed, ctx=ctx)
    _print_json(result.as_json()) if as_json else _show(one_sentence(result))


@app.command()
def predict(
    run_dir: RunPath,
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="rows as the recipe's source has them; -: stdin")],
    arm: Annotated[str, typer.Option(help="arm to answer with; default: the one to ship")] = "",
    form: Annotated[str, typer.Option("--format", help="jsonl or csv")] = "jsonl",
    on_error: Annotated[str, typer.Option(help="a row that cannot be asked: report it, or stop")] = "report",
    offline: Offline = False,
) -> None:
    """Answer new rows with the arm to ship. JSONL, CSV or parquet in; JSON lines or CSV to stdout."""
    from ftkit.run.predicting import predict_rows

    with _context(offline=offline) as ctx:
        for line in predict_rows(run_dir, rows, arm=arm, form=form, on_error=on_error, ctx=ctx):
            _show(line)


@app.command()
def export(
    run_dir: RunPath,
    out: Annotated[Path, typer.Option(help="folder to write; must not exist")],
    arm: Annotated[str, typer.Option(help="arm to export; default: the one to ship")] = "",
    offline: Offline = False,
) -> None:
    """Write the model of the arm to ship. Merged safetensors, tokenizer, chat template, prompt."""
    from ftkit.run.exporting import export_model

    with _context(offline=offline) as ctx:
        _show(export_model(run_dir, out, arm=arm, ctx=ctx))


@app.command("list")
def list_components(
    kind: Annotated[str, typer.Argument(help="sources, cleaning, prompting, …; default: all")] = "",
    as_json: AsJson = False,
) -> None:
    """List the components a recipe can choose from."""
    from ftkit.registry import KINDS, find, names, suggest

    if kind and kind not in KINDS:
        raise RecipeError(f"list: {kind!r} is no kind of component{suggest(kind, KINDS)}")
    kinds = [kind] if kind else KINDS
    components_of = {each: {name: find(each, name).doc.split("\n")[0] for name in names(each)} for each in kinds}
    if as_json:
        _print_json(components_of)
        return
    for each, components in components_of.items():
        _show(each)
        for name, doc in components.items():
            _show(f"  {name:18} {doc}")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="COMPONENT", help="name, or kind/name")]) -> None:
    """Show one component: what it does and its options."""
    from ftkit.registry import KINDS, described, find, names, suggest

    kind, slash, short = name.rpartition("/")
    matching = [each for each in KINDS if (not slash or each == kind) and short in names(each)]
    if not matching:
        known = [each for kinds in KINDS for each in names(kinds)]
        raise RecipeError(f"show: no component is called {name!r}{suggest(short, known)}")
    _show("\n\n".join(described(find(each, short)) for each in matching))


@app.command()
def schema(
    of: Annotated[str, typer.Option(help="recipe, verdict, metrics, summary, training or candidates")] = "recipe",
) -> None:
    """Print the JSON Schema of recipes, or of a file of results."""
    from ftkit.recipe.schema import json_schema
    from ftkit.registry import suggest
    from ftkit.run.artifacts import RECORDS

    schemas = {"recipe": json_schema, **{name: kind.json_schema for name, kind in RECORDS.items()}}
    if of not in schemas:
        raise RecipeError(f"--of {of}: has no schema{suggest(of, schemas)}")
    _print_json(schemas[of]())


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has: versions, devices, memory, disk."""
    from ftkit.run.machine import diagnosis

    facts = diagnosis(Path.cwd())
    if as_json:
        _print_json(facts)
        return
    devices = [f"{each['device']} ({each['name']}, {each['memory_gib']:.0f} GiB)" for each in facts["devices"]]
    for name, value in {**facts, "devices": "; ".join(devices) or "no accelerator"}.items():
        _show(f"{name:16} {value}")


def main() -> None:
    """Run the command line; every error meant for the user ends in one message and its exit code."""
    try:
        app(prog_name="ftkit")
    except FtkitError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", MachineError.exit_code)
    except Exception as error:
        if is_out_of_memory(error):
            _fail("out of memory; lower machine.micro_batch, or take a smaller model", MachineError.exit_code)
        if "No space left on device" in str(error):  # from libraries that write without Python's files
            _fail(str(error).splitlines()[0], MachineError.exit_code)
        _show(traceback.format_exc(), to=sys.stderr)
        _fail("this is a bug in ftkit; please report it with the lines above", FtkitError.exit_code)


def _fail(message: str, code: int) -> None:
    for line in message.splitlines() or [""]:
        _show(f"error: {line}", to=sys.stderr)
    sys.exit(code)


def _load(path: Path, overrides: list[str] | None) -> Recipe:
    from ftkit.recipe.schema import load_recipe

    return load_recipe(path, overrides=overrides or [])


def _columns(recipe: DataRecipe, *, offline: bool) -> dict[str, list[str]]:
    """Columns of the recipe's local sources, after a look at their first rows. Needs no terminal, so it starts fast."""
    from ftkit.contracts import Context
    from ftkit.run.stages.prepare import PrepareConfig, check

    return check(PrepareConfig.of(recipe), Context(offline=offline))


def _show(text: object, *, to: TextIO | None = None) -> None:
    try:
        print(visible(str(text)), file=to or sys.stdout)
    except BrokenPipeError:  # `| head` has read what it wanted
        sys.exit(READER_GONE)


def _print_json(value: Any) -> None:
    _show(json.dumps(value, ensure_ascii=False, indent=1))


@contextmanager
def _context(*, offline: bool = False, trust_remote_code: bool = False) -> Iterator[Context]:
    """Progress on the terminal, and a stop flag that SIGTERM and the first Ctrl-C set."""
    from ftkit.contracts import Context
    from ftkit.hub import libraries_offline
    from ftkit.run.terminal import Terminal
    from ftkit.stop import stop_flag

    for library in ("bitsandbytes", "transformers", "peft"):  # they warn of what no user of ftkit can change
        logging.getLogger(library).setLevel(logging.ERROR)
    with libraries_offline(offline), Terminal().shown() as terminal, stop_flag() as check_stop:
        yield Context(
            progress=terminal,
            check_stop=check_stop,
            cache_dir=Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ftkit",
            offline=offline,
            trust_remote_code=trust_remote_code,
        )
