"""The command that begins: init, from a file of rows to a recipe."""

from __future__ import annotations

import json
import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ftkit.cli.command_line import app, context, show
from ftkit.errors import DataError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftkit.service.init import Base
    from ftkit.service.sight import File, Sight


@app.command()
def init(
    rows: Annotated[Path, typer.Argument(metavar="FILE", help="rows: csv, jsonl, json, parquet, xlsx, …")],
    out: Annotated[Optional[Path], typer.Option(help="recipe to write; default: FILE's name, .yaml, here")] = None,
    base: Annotated[str, typer.Option(help="model to tune: a folder, or owner/name of the hub")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing, take what is likely")] = False,
) -> None:
    """Look at a file of rows and write a recipe for it. What is not certain is asked, five questions at most.

    \b
    ftkit init tickets.csv
    ftkit init chats.jsonl --yes --base Qwen/Qwen3-0.6B
    """
    from ftkit.service.init import base_of, fitting_base, name_of, recipe_text
    from ftkit.service.sight import in_words, look

    name = name_of(out or rows)
    out = out or Path(f"{name}.yaml")
    if out.exists():
        raise RecipeError(f"{out}: is there already; name another file with --out, or take it away")
    asks = not yes and sys.stdin.isatty()
    chosen = base_of(base) if base else None
    with context() as ctx:  # and no longer: progress would be drawn over the questions
        file = look(rows, ctx)
    sight = _sight(file, asks=asks)
    for line in in_words(sight):
        _say(line)
    classifies, group = _choices(sight, asks=asks)
    chosen = chosen or _base(fitting_base(), asks=asks)
    text = recipe_text(sight, name=name, classifies=classifies, group=group, base=chosen)
    with out.open("x", encoding="utf-8") as written:
        written.write(text)
    _schema_beside(out)
    if chosen.is_for_trying:
        _say(f"base: {chosen.name}, a tiny one, for trying only: its verdict says nothing about real models")
    if len(sight.targets) < 300:
        _say(f"{len(sight.targets)} rows are few: the verdict may well be that more are needed")
    show(f"recipe: {out}\nnext:\n  ftkit check {shlex.quote(str(out))}\n  ftkit run {shlex.quote(str(out))}")


def _schema_beside(recipe: Path) -> None:
    """What the recipe's first line names, so that editors complete keys and show mistakes; one that is there stays."""
    from ftkit.recipe.schema import json_schema
    from ftkit.service.init import SCHEMA

    place, schema = recipe.parent / SCHEMA, json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"
    if not place.exists():
        place.write_text(schema, encoding="utf-8")
        _say(f"{place}: for editors, which complete keys by it; nothing else reads it")
    elif place.read_bytes() != schema.encode():
        _say(f"{place}: is there already and stays; `ftkit schema > {place}` makes it anew")


def _say(line: str) -> None:
    """A line, wrapped at words."""
    show("\n".join(textwrap.wrap(line, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)))


def _sight(file: File, *, asks: bool) -> Sight:
    """The rows under the shape they have, or under columns that are likely or chosen."""
    from ftkit.service.sight import likely_roles, recognised, seen

    shape = recognised(file)
    if shape is not None:
        return seen(file, shape, {})
    roles = likely_roles(file)
    if not roles:
        columns = ", ".join(file.columns) or "none"
        raise DataError(f"{file.path}: no columns that could be input and target (columns: {columns})")
    if asks and len(file.texts) > 2:
        roles["input"] = _asked("which column is the input", file.texts, roles["input"])
        others = [name for name in file.texts if name != roles["input"]]
        likely = roles["target"] if roles["target"] in others else others[0]
        roles["target"] = _asked("which column is the target", others, likely)
    return seen(file, "columns", roles)


def _choices(sight: Sight, *, asks: bool) -> tuple[bool, str]:
    """Whether the task classifies, and the column of groups, '' for none."""
    classifies, group = sight.are_labels, next(iter(sight.groups), "")
    if asks:
        kinds = ["classify", "generate"]
        classifies = _asked("what is to be done", kinds, kinds[not classifies]) == kinds[0]
    if asks and sight.groups:
        answer = _asked("rows stay together by", [*sight.groups, "none"], group)
        group = "" if answer == "none" else answer
    return classifies, group


def _base(base: Base, *, asks: bool) -> Base:
    from ftkit.service.init import base_of

    if not asks:
        return base
    while True:
        answer = str(typer.prompt("base model (a folder, or owner/name)", default=base.name, err=True))
        if answer == base.name:
            return base
        try:
            return base_of(answer)
        except RecipeError as error:
            show(error, to=sys.stderr)


def _asked(question: str, known: Sequence[str], default: str) -> str:
    """One of some answers; what is none is asked again."""
    show(f"{question}? {', '.join(known)}", to=sys.stderr)
    while True:
        answer = str(typer.prompt(" ", default=default, err=True))
        if answer in known:
            return answer
        show(f"{answer!r} is none of them", to=sys.stderr)
