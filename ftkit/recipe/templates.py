r"""Templates of plain names: "{question}\n{context}". No format, index or attribute; no logic.

Pure: knows no table.
"""

from __future__ import annotations

import string
from collections.abc import Sequence


def names_in(template: str) -> tuple[str, ...]:
    """The columns that a template, or the name of a column, asks for. Raises ValueError where it is not understood."""
    return tuple(dict.fromkeys(name for _, name in pieces(template) if name is not None))


def pieces(template: str) -> Sequence[tuple[str, str | None]]:
    """Texts, each with the column that follows it."""
    if "{" not in template and "}" not in template:
        return [("", template)]
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{error} in the template; write {{{{ and }}}} for braces that mean themselves") from None
    for _, name, spec, conversion in parsed:
        if name is not None and (not name or spec or conversion or set(name) & set("[]!:")):
            raise ValueError("a template takes plain names of columns in braces: no format, index or attribute")
    if all(name is None for _, name, _, _ in parsed):
        raise ValueError("the template names no column")
    return [(text, name) for text, name, _, _ in parsed]


def only_labels(text: str) -> str:
    """A wording, as it is. Raises ValueError where it has another placeholder than {labels}."""
    try:
        fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; write {{{{ and }}}} for braces") from None
    for _, name, spec, conversion in fields:
        if name != "labels":
            raise ValueError(f"{text!r}: unknown placeholder {{{name}}}; only {{labels}} is known")
        if spec or conversion:
            raise ValueError(f"{text!r}: {{labels}} takes no format; write {{labels}}")
    return text
