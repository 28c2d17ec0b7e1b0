"""Commands on finished runs: report, runs, compare, duplicates."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from ftkit.cli.command_line import AsJson, RunPath, app, context, print_json, show
from ftkit.errors import visible


@app.command()
def report(
    run_dir: RunPath,
    opens: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the report of a finished run."""
    from ftkit.run.finished import open_run

    compared = open_run(run_dir).compared
    if as_json:
        print_json(compared.verdict.as_json())
        return
    text, page = (compared.path / "report.md").read_text(encoding="utf-8"), compared.path / "report.html"
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(visible(text), hyperlinks=False))
    else:
        show(text)
    show(f"report: {page}", to=sys.stderr)
    if opens:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            show("no browser is here; open that file where there is one", to=sys.stderr)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="run directories, or one of them")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List every verdict: run, both arms, difference, rows, day."""
    from ftkit.run.listing import as_lines, list_runs

    lines = list_runs(folder)
    print_json([asdict(line) for line in lines]) if as_json else show("\n".join(as_lines(lines)))


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
    """Compare the arms of two runs, or two files of predictions. They must hold the same rows; nothing is trained.

    \b
    ftkit compare runs/a runs/b
    ftkit compare runs/a runs/a#base+zero_shot --metric macro_f1
    """
    from ftkit.report.wording import one_sentence
    from ftkit.run.side_by_side import compare as compare_sides

    with context() as ctx:
        result = compare_sides(a, b, metric=metric, margin=margin, level=level, seed=seed, ctx=ctx)
    print_json(result.as_json()) if as_json else show(one_sentence(result))


@app.command()
def duplicates(
    run_dir: RunPath,
    step: Annotated[Optional[list[str]], typer.Option(help="only of this step; may be given several times")] = None,
    limit: Annotated[int, typer.Option(min=1, help="pairs of each step at most")] = 20,
    min_score: Annotated[Optional[float], typer.Option(help="only pairs at least as similar")] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows side by side with those they gave way to. The least alike come first.

    \b
    ftkit duplicates runs/quickstart --step near_dedup --limit 5
    """
    from rich.console import Console
    from rich.text import Text

    from ftkit.report.data.duplicates import pairs, rendered
    from ftkit.run.finished import prepared_folder
    from ftkit.run.terminal import print_styled

    shown = list(pairs(prepared_folder(run_dir), steps=step or (), min_score=min_score, limit=limit))
    if as_json:
        print_json([asdict(pair) for pair in shown])
        return
    if not shown:
        of_steps = f" by {', '.join(step)}" if step else ""
        so_alike = "" if min_score is None else f" with a similarity of {min_score:g} or more"
        show(f"no row was dropped or flagged for another one{of_steps}{so_alike}")
    console = Console(highlight=False, soft_wrap=True)
    styles = {"plain": "", "differs": "bold yellow", "faint": "dim", "head": "bold"}
    for pair in shown:
        for line in rendered(pair, console.width, brackets=not console.is_terminal):
            print_styled(Text.assemble(*((span.text, styles[span.style]) for span in line)))
