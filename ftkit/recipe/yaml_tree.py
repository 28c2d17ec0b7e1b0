"""YAML as plain values with the place of every key, its traps closed: strict scalars, no aliases, no equal keys.

Knows no recipe. Scalars follow the YAML 1.2 core schema: `1e-4` is a number, `no` is a string, dates are strings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from ftkit.errors import RecipeError

KeyPath: TypeAlias = tuple[str | int, ...]
YamlValue: TypeAlias = "str | int | float | bool | list[YamlValue] | dict[str, YamlValue] | None"
MAX_DEPTH = 40
PLAIN_TAGS = frozenset({"str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "value"})
LARGEST = 1e12  # of numbers: nothing in a recipe is as large, and what is larger overflows somewhere
_INDEX = re.compile(r"[0-9]{1,9}\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


@dataclass
class Tree:
    """Plain values of a YAML text and where each key (`places`) came from, as 'name:line:column'."""

    value: YamlValue
    places: dict[KeyPath, str]
    name: str
    problems: list[str] = field(default_factory=list)

    @property
    def keys(self) -> set[str]:
        """The keys of the outermost mapping; none where there is another value."""
        return set(self.value) if isinstance(self.value, dict) else set()

    def place(self, path: Sequence[str | int]) -> str:
        """Place of the deepest part of `path` that the text has; of an override below it where there is one."""
        for end in range(len(path), -1, -1):
            place = self.places.get(tuple(path[:end]))
            if place:
                return place
            below = (place for known, place in self.places.items() if known[:end] == tuple(path[:end]))
            if end and (override := next(below, None)):
                return override
        return f"{self.name}:1:1"


def parse(text: str, name: str) -> Tree:
    """Parse one YAML document. `name` is what places start with. Raises RecipeError with all problems found."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RecipeError(f"{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise RecipeError(f"{name}: nested more than {MAX_DEPTH} deep") from None
    tree = Tree(None, {}, name)
    if node is not None:
        tree.value = _convert(node, (), tree, set())
    if tree.problems:
        raise RecipeError(*tree.problems)
    return tree


def parse_scalar(text: str) -> str | int | float | bool | None:
    """The value of one plain YAML scalar."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text) if len(text) < 400 else text
    if _FLOAT.match(text) and math.isfinite(float(text)):
        return float(text)
    return text


def set_value(tree: Tree, assignment: str) -> None:
    """Apply one `key.path=value` override; the value is YAML. Places of what it sets become '--set key.path'.

    Raises RecipeError where the assignment has no '=' or its path leads through a scalar.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {assignment}: expected key.path=value")
    path = [int(part) if _INDEX.match(part) else part for part in key.strip().split(".")]
    place = f"--set {key.strip()}"
    value = parse(text, place).value
    if tree.value is None:
        tree.value = {}
    holder: YamlValue = tree.value
    for depth, part in enumerate(path[:-1]):
        holder = _descend(holder, part, place, path[: depth + 1])
    _assign(holder, path[-1], value, place)
    for known in [known for known in tree.places if known[: len(path)] == tuple(path)]:
        del tree.places[known]
    tree.places[tuple(path)] = place


def _descend(holder: YamlValue, part: str | int, place: str, path: Sequence[str | int]) -> YamlValue:
    if isinstance(holder, dict):
        key = str(part)
        holder[key] = _opened_up(holder.get(key))
        if holder[key] is None:
            holder[key] = {}
        return holder[key]
    if isinstance(holder, list) and isinstance(part, int) and part < len(holder):
        holder[part] = _opened_up(holder[part])
        return holder[part]
    raise RecipeError(f"{place}: {'.'.join(map(str, path))} leads into {type(holder).__name__} {holder!r}")


def _opened_up(value: YamlValue) -> YamlValue:
    """A name becomes a mapping: `method: lora` does by --set train.method.lora.rank=4."""
    return {value: {}} if isinstance(value, str) else value


def _assign(holder: YamlValue, part: str | int, value: YamlValue, place: str) -> None:
    if isinstance(holder, dict):
        holder[str(part)] = value
    elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
        holder[part] = value
    else:
        raise RecipeError(f"{place}: cannot set {part!r} in {type(holder).__name__} {holder!r}")


def _convert(node: yaml.Node, path: KeyPath, tree: Tree, seen: set[int]) -> YamlValue:
    place = f"{tree.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
    tree.places.setdefault(path, place)
    if len(path) > MAX_DEPTH:
        tree.problems.append(f"{place}: nested more than {MAX_DEPTH} deep")
        return None
    if id(node) in seen:
        tree.problems.append(f"{place}: aliases (*name) are not allowed in a recipe; write the value out")
        return None
    seen.add(id(node))
    if node.tag.removeprefix("tag:yaml.org,2002:") not in PLAIN_TAGS:
        tree.problems.append(f"{place}: tags like {node.tag!r} are not allowed in a recipe")
        return None
    if isinstance(node, yaml.MappingNode):
        return _convert_mapping(node, path, tree, seen)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item, (*path, index), tree, seen) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    text: str = node.value
    value = parse_scalar(text) if node.style is None else text
    if isinstance(value, (int, float)) and abs(value) > LARGEST:
        where = ": ".join([place, *([_dotted(path)] if path else [])])
        tree.problems.append(f"{where}: {_cut(text)} is too large; expected at most {LARGEST:g}")
    return value


def _convert_mapping(node: yaml.MappingNode, path: KeyPath, tree: Tree, seen: set[int]) -> dict[str, YamlValue]:
    values: dict[str, YamlValue] = {}
    for key_node, value_node in node.value:
        place = f"{tree.name}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            tree.problems.append(f"{place}: a key must be a plain word")
            continue
        key: str = key_node.value
        if key == "<<" and key_node.style is None:
            tree.problems.append(f"{place}: merge keys (<<) are not allowed in a recipe; write the keys out")
        elif key in values:
            first = tree.places[(*path, key)]
            tree.problems.append(f"{place}: {_dotted((*path, key))}: the key stands twice (first at {first})")
        elif ":" in key and _is_bare(key_node) and _is_bare(value_node, ""):
            tree.problems.append(f"{place}: {key!r} is a key without a value; write a space behind the colon")
        else:
            tree.places[(*path, key)] = place
            values[key] = _convert(value_node, (*path, key), tree, seen)
    return values


def _is_bare(node: yaml.Node, text: str | None = None) -> bool:
    """Whether a node is a scalar without quotes; with `text`, whether it is that one."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and text in (None, node.value)


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
