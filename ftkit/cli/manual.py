"""The pages of the reference as files: those of the recipe and its components, and one on the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.main import get_command

from ftkit.cli.command_line import CONTEXT, app
from ftkit.errors import RecipeError
from ftkit.recipe.described import WIDTH
from ftkit.recipe.pages import MARK, index_page, page, recipe_pages
from ftkit.store import refuse_links

COMMANDS = "commands.md"


def manual() -> dict[str, str]:
    """Text of each page under the name of its file."""
    about = "what every command does, and its options"
    return {"index.md": index_page({COMMANDS: about}), COMMANDS: _commands_page(), **recipe_pages()}


def write_manual(folder: Path) -> list[Path]:
    """Write the pages. Raises RecipeError where a file of another kind has the name of one."""
    pages = {folder / name: text for name, text in manual().items()}
    refuse_links(*pages)
    for path in pages:
        if path.exists() and not path.read_bytes().startswith(MARK.encode()):
            raise RecipeError(f"{path}: is there already and no page of `ftkit docs`; give another folder as --out")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(pages)


def _commands_page() -> str:
    group: Any = get_command(app)
    root = group.context_class(group, info_name="ftkit", terminal_width=WIDTH, **CONTEXT)
    parts = [_block(group.get_help(root))]
    for name in group.list_commands(root):
        command = group.commands[name]
        context = command.context_class(command, info_name=name, parent=root)
        parts += [f"## ftkit {name}", _block(command.get_help(context))]
    return page("The command line", parts)


def _block(text: str) -> str:
    return f"```\n{text.strip()}\n```"
