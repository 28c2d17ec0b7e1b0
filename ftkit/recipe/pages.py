"""The reference as Markdown: a page on the recipe, and one on each kind of component. Pure: writes no file.

Knows the schema of recipes and which components exist; the same code gives the same pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from ftkit.recipe.described import Described, about_block, described, keys_of_block, own_blocks
from ftkit.recipe.places import Place, keys_of
from ftkit.recipe.schema import Recipe
from ftkit.registry import KINDS, Component, find, names

MARK = "<!-- written by `ftkit docs` from the code -->"
ONE_RULE = "One rule for every choice: `name`, or `{name: {options}}`. Unknown keys are errors."


def recipe_pages() -> dict[str, str]:
    """Text of each page under the name of its file."""
    return {"recipe.md": _recipe_page(), **{f"{kind}.md": _kind_page(kind) for kind in KINDS}}


def page(title: str, parts: Iterable[str]) -> str:
    """A page, with the mark that it is one of these."""
    return "\n\n".join([MARK, f"# {title}", *parts]) + "\n"


def index_page(more: Mapping[str, str]) -> str:
    """What leads to the others; `more` are pages that are not of this module, each with a line on it."""
    lines = ["- [The recipe](recipe.md): every key, with type and default"]
    lines += [f"- [{name.removesuffix('.md').capitalize()}]({name}): {about}" for name, about in more.items()]
    lines += [f"- [{kind.capitalize()}]({kind}.md): {_linked(kind)}" for kind in KINDS]
    return page("Reference of ftkit", ["\n".join(lines)])


def _linked(kind: str) -> str:
    return ", ".join(f"[{name}]({kind}.md#{_anchor(name)})" for name in names(kind))


def _recipe_page() -> str:
    parts = [about_block(Recipe), ONE_RULE, _table(Recipe, ())]
    for key in keys_of(Recipe):
        for block in () if key.is_inside_component else own_blocks(key.field):
            if block.model_fields:
                parts += [f"## {'.'.join(key.place)}", _safe(about_block(block)), _table(block, key.place)]
    return page("The recipe", parts)


def _kind_page(kind: str) -> str:
    keys = [key for key in keys_of(Recipe) if described("", key.field).kind == kind]
    places = dict.fromkeys(f"`{'.'.join(key.pattern)}`" for key in keys)
    parts = [f"Where a recipe names them: {', '.join(places)}." if places else "A recipe does not choose them."]
    for name in names(kind):
        parts += _component(find(kind, name))
    return page(kind.capitalize(), parts)


def _component(component: Component) -> list[str]:
    parts = [f"## {component.name}", _safe(component.doc)]
    if component.config_type.model_fields:
        parts += [_safe(about_block(component.config_type)), _table(component.config_type, ())]
    return parts


def _table(block: type[BaseModel], place: Place) -> str:
    rows = [_row(key, place) for key in keys_of_block(block)]
    return "\n".join(["| key | type | default | what it is |", "|---|---|---|---|", *rows])


def _row(key: Described, place: Place) -> str:
    name = ".".join((*place, key.name))
    kind = f" ([{key.kind}]({key.kind}.md))" if key.kind else ""
    what = f"[{key.type}](#{_anchor(name)})" if key.is_block else _cell(key.type) + kind
    default = "required" if key.is_required else f"`{key.default}`" if key.default else ""
    return f"| `{name}` | {what} | {_cell(default)} | {_cell(key.about)} |"


def _cell(text: str) -> str:
    return _safe(text).replace("|", "\\|")


def _safe(text: str) -> str:
    """Text in which nothing is read as HTML; what stands between backticks is left as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def _anchor(heading: str) -> str:
    """What a link to a heading says, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
