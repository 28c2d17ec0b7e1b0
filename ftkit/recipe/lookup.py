"""What a word is about: a key or block of the recipe, a component, or another tool's word for one of them. Pure.

Knows the recipe's schema and which components exist; no recipe of a user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from ftkit.recipe import words
from ftkit.recipe.described import as_list, block_as_lines, component_as_text, described, key_as_text, wrapped
from ftkit.recipe.places import Key, keys_of
from ftkit.recipe.schema import Recipe
from ftkit.registry import KINDS, Choice, Component, find, names, nearest

WHOLE = "recipe"


@dataclass(frozen=True)
class Entry:
    """What has a description of its own: its full name, its last part, a line on it, all words on it, and its text."""

    title: str
    name: str
    about: str
    words: str
    text: Callable[[], str]
    is_block: bool = False


@dataclass(frozen=True)
class Found:
    """Entries that a word is about, and what is to be said before them, if anything."""

    entries: list[Entry]
    said: str = ""
    in_full: bool = False

    def as_text(self) -> str:
        """Each entry in full where it is the only one or was named, else a line for each."""
        if self.in_full or len(self.entries) == 1:
            parts = [each.text() for each in self.entries]
        else:
            parts = ["\n".join(as_list({each.title: each.about for each in self.entries}))]
        return "\n\n".join([self.said] * bool(self.said) + parts * bool(self.entries))


def look_up(word: str) -> Found | None:
    """By full name, by the last parts of one, by what other tools say, then among all descriptions; None: nowhere."""
    said = word.strip().casefold()
    ways = (_named, _of_kind, _ending_in, _in_other_words, _that_mention)
    return next((found for way in ways if said and (found := way(said)) is not None), None)


def nearest_name(word: str) -> str | None:
    """The key or component whose name is the nearest to a word that is none, if one is near."""
    components = [each for kind in KINDS for each in names(kind)]
    return nearest(word.strip(), [*components, *{each.name: None for each in entries()}, *words.WORDS])


@cache
def entries() -> tuple[Entry, ...]:
    """All there are: the recipe, its keys in their order, then the components."""
    keys = [_of_key(key) for key in keys_of(Recipe) if not key.is_component]
    components = [_of_component(find(kind, name)) for kind in KINDS for name in names(kind)]
    return (Entry(WHOLE, WHOLE, Recipe.__doc__ or "", "", _whole), *keys, *components)


def _whole() -> str:
    return "\n".join([WHOLE, "", *block_as_lines(Recipe)])


def _of_key(key: Key) -> Entry:
    about, is_block = key.field.description or "", described("", key.field).is_block
    return Entry(".".join(key.place), key.place[-1], about, about, lambda: key_as_text(key.place, key.field), is_block)


def _of_component(component: Component) -> Entry:
    said = f"{component.doc} {component.config_type.__doc__ or ''}"
    title = f"{component.kind}/{component.name}"
    return Entry(title, component.name, component.summary, said, lambda: component_as_text(component))


def _named(said: str) -> Found | None:
    """What is called so in full, and components of that name."""
    found = [each for each in entries() if each.title == said or ("/" in each.title and each.name == said)]
    found = found or [
        _of_component(find(key.block.kind, key.place[-1]))
        for key in keys_of(Recipe)
        if key.is_component and issubclass(key.block, Choice) and ".".join(key.place) == said
    ]
    return Found(found, in_full=True) if found else None


def _of_kind(said: str) -> Found | None:
    keys = [each for each in entries() if each.title.endswith(f".{said}")]
    return Found([*keys, *_starting(f"{said}/")]) if said in KINDS else None


def _starting(beginning: str) -> list[Entry]:
    return [each for each in entries() if each.title.startswith(beginning)]


def _ending_in(said: str) -> Found | None:
    """Keys, the blocks alone where some are."""
    found = [each for each in entries() if f".{each.title}".endswith(f".{said}")]
    found = [each for each in found if each.is_block] or found
    return Found(found) if found else None


def _in_other_words(said: str) -> Found | None:
    answer = words.answer(said, (), (), {}, Recipe) if said.replace("-", "_") in words.WORDS else None
    if answer is None:
        return None
    meant = [each for each in entries() if each.title == ".".join(answer.place)]
    return Found(meant, said="\n".join(wrapped(f"{said}: {answer.text.removeprefix('; ')}")))


def _that_mention(said: str) -> Found | None:
    """What has all the words in its name, then what has them in its description."""
    parts = said.split()
    by_name = [each for each in entries() if _has(each.title, parts)]
    by_words = [each for each in entries() if each not in by_name and _has(f"{each.title} {each.words}", parts)]
    return Found([*by_name, *by_words]) if by_name or by_words else None


def _has(text: str, parts: Iterable[str]) -> bool:
    return all(part in text.casefold() for part in parts)
