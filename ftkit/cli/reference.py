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
    """List the components a recipe can choose from.

    \b
    ftkit list metrics
    """
    from ftkit.registry import KINDS, find, names, suggest

    if kind and kind not in KINDS:
        raise RecipeError(f"list: {kind!r} is no kind of component{suggest(kind, KINDS)}")
    kinds = [kind] if kind else KINDS
    components_of = {each: {name: find(each, name).summary for name in names(each)} for each in kinds}
    if as_json:
        print_json(components_of)
        return
    from ftkit.recipe.described import as_list

    for each, components in components_of.items():
        show_text("\n".join([each, *as_list(components)]))


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="component, block or key of a recipe, or a word")
    ] = "recipe",
) -> None:
    """Show a component, or a block or key of recipes. Other words are looked for in names and descriptions.

    \b
    ftkit show train                  the keys of a block
    ftkit show train.learning_rate    one key
    ftkit show lora                   a component and its options
    ftkit show f1                     what has f1 in its name or description
    """
    from ftkit.recipe.lookup import look_up, nearest_name

    found = look_up(name)
    if found is None:
        near = nearest_name(name)
        hint = f"did you mean {near!r}?" if near else "`ftkit list` has the components, `ftkit show recipe` the keys"
        raise RecipeError(f"show: no component or key is called {name!r}; {hint}")
    show_text(found.as_text())


@app.command()
def schema(
    of: Annotated[
        str, typer.Option(help="recipe, verdict, metrics, summary, training, candidates or events")
    ] = "recipe",
) -> None:
    """Print the JSON Schema of recipes, or of a file of results.

    \b
    ftkit schema > recipe.schema.json
    ftkit schema --of verdict
    """
    from ftkit.recipe.schema import json_schema
    from ftkit.registry import suggest
    from ftkit.run.artifacts import RECORDS
    from ftkit.run.events import Event

    schemas = {"recipe": json_schema, **{name: kind.json_schema for name, kind in RECORDS.items()}}
    schemas["events"] = Event.json_schema
    if of not in schemas:
        raise RecipeError(f"--of {of}: has no schema{suggest(of, schemas)}")
    print_json(schemas[of]())


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("ftkit-docs"),
) -> None:
    """Write the reference as Markdown. Pages on the recipe, on each kind of component, on the commands."""
    from ftkit.cli.manual import write_manual

    show_text(f"reference: {write_manual(out)[0]}")


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


@app.command("help")
def help_on(command: Annotated[str, typer.Argument(help="a command; default: all of them")] = "") -> None:
    """Show the commands, or what one command takes."""
    app([*([command] if command else []), "--help"], prog_name="ftkit")
