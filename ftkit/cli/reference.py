"""Commands that say what there is: list, show, schema, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.command_line import AsJson, app, print_json
from ftkit.cli.command_line import show as show_text
from ftkit.errors import RecipeError


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
        print_json(components_of)
        return
    for each, components in components_of.items():
        show_text(each)
        for name, doc in components.items():
            show_text(f"  {name:18} {doc}")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="COMPONENT", help="name, or kind/name")]) -> None:
    """Show one component: what it does and its options."""
    from ftkit.registry import KINDS, described, find, names, suggest

    kind, slash, short = name.rpartition("/")
    matching = [each for each in KINDS if (not slash or each == kind) and short in names(each)]
    if not matching:
        known = [each for kinds in KINDS for each in names(kinds)]
        raise RecipeError(f"show: no component is called {name!r}{suggest(short, known)}")
    show_text("\n\n".join(described(find(each, short)) for each in matching))


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
    print_json(schemas[of]())


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has: versions, devices, memory, disk."""
    from ftkit.run.machine import diagnosis

    facts = diagnosis(Path.cwd())
    if as_json:
        print_json(facts)
        return
    devices = [f"{each['device']} ({each['name']}, {each['memory_gib']:.0f} GiB)" for each in facts["devices"]]
    for name, value in {**facts, "devices": "; ".join(devices) or "no accelerator"}.items():
        show_text(f"{name:16} {value}")
