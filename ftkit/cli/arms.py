"""Commands on the arms of a finished run: predict, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.command_line import Offline, RunPath, app, context, show


@app.command()
def predict(
    run_dir: RunPath,
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="rows as the recipe's source has them; -: stdin")],
    arm: Annotated[str, typer.Option(help="arm to answer with; default: the one to ship")] = "",
    form: Annotated[str, typer.Option("--format", help="jsonl or csv")] = "jsonl",
    on_error: Annotated[str, typer.Option(help="a row that cannot be asked: report it, or stop")] = "report",
    offline: Offline = False,
) -> None:
    """Answer new rows with the arm to ship. JSONL, CSV or parquet in; JSON lines or CSV to stdout.

    \b
    ftkit predict runs/quickstart rows.jsonl > answers.jsonl
    ftkit predict runs/quickstart - --format csv < rows.jsonl
    """
    from ftkit.run.predicting import predict_rows

    with context(offline=offline) as ctx:
        for line in predict_rows(run_dir, rows, arm=arm, form=form, on_error=on_error, ctx=ctx):
            show(line)


@app.command()
def export(
    run_dir: RunPath,
    out: Annotated[Path, typer.Option(help="folder to write; must not exist")],
    arm: Annotated[str, typer.Option(help="arm to export; default: the one to ship")] = "",
    offline: Offline = False,
) -> None:
    """Write the model of the arm to ship. Merged safetensors, tokenizer, chat template, prompt.

    \b
    ftkit export runs/quickstart --arm lora+zero_shot --out shipped
    """
    from ftkit.run.exporting import export_model

    with context(offline=offline) as ctx:
        show(export_model(run_dir, out, arm=arm, ctx=ctx))
