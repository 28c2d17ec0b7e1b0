"""One large JSON document, read a value at a time: the list in it that holds the rows, in bounded memory.

Knows no file and no source: UTF-8 bytes in, values and their lines out.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ftkit.prepare.formats.encodings import LONGEST_LINE
from ftkit.prepare.formats.json_rows import MalformedError, Strict, Value, refuse_half_pairs, tokens
from ftkit.registry import suggest

_BLANK = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^\s,\]}\[{\":]+")
_OTHER = re.compile("[\udc80-\udcff]")
_LONG = f"longer than {LONGEST_LINE >> 20} MB"


class BrokenError(ValueError):
    """The document cannot be read any further. `line` says where, the message why."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Element:
    """A value of the list, where it begins, and its length. `problem` says why it is none; others may follow."""

    line: int
    value: Value
    num_chars: int
    problem: str = ""


def elements(blocks: Iterable[bytes], *, path: Sequence[str]) -> Iterator[Element]:
    """The values of the list at a path of keys; an empty path is the document itself.

    Raises BrokenError where there is no such list, and where the document is no JSON from some place on: the
    elements before it have been given by then.
    """
    document = _Document(blocks)
    for depth, key in enumerate(path):
        document.enter(key, ".".join(path[: depth + 1]))
    yield from document.elements(is_outer=not path)
    for key in reversed(path):
        document.leave(key)
    document.finish()


class _Document:
    """A window of text on the document, and a place in it that only moves forward."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parser = Strict()
        self._text, self._at, self._line, self._counted = "", 0, 1, 0
        self._has_other_bytes = False

    def enter(self, key: str, path: str) -> None:
        """Go to the value of a key of the object that begins here."""
        if self._peek() != "{":
            raise BrokenError(self._line_here(), f"there is no {path!r}: {self._what()} stands where an object should")
        keys: list[str] = []
        self._at += 1
        while self._peek() not in ("}", ""):
            keys.append(self._key(is_first=not keys))
            if keys[-1] == key:
                return
            self._end(keep=False)
        raise BrokenError(self._line_here(), f"there is no {path!r}{suggest(key, keys)} (rows of the source)")

    def leave(self, key: str) -> None:
        """Go behind the object whose key was entered; it may not have the key again."""
        while self._peek() != "}":
            if self._key(is_first=False) == key:
                raise BrokenError(self._line_here(), f"not valid JSON: the key {key!r} stands twice in one object")
            self._end(keep=False)
        self._at += 1

    def finish(self) -> None:
        """Raise BrokenError where anything follows."""
        if self._peek():
            raise BrokenError(self._line_here(), "not valid JSON: more follows where the document ends")

    def elements(self, *, is_outer: bool) -> Iterator[Element]:
        """The values of the list that begins here."""
        if self._peek() != "[":
            raise BrokenError(self._line_here(), self._no_list(is_outer))
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._element()
            mark = self._peek()
            if mark not in (",", "]"):
                raise self._broken("',' or ']' after a row")
            self._at += 1
            if mark == "]":
                return

    def _element(self) -> Element:
        mark, line = self._peek(), self._line_here()
        problem = ""
        try:
            if mark not in '{["':
                raise MalformedError("a number may go on behind the window")
            value, end = self._parser.value_at(self._text, self._at)
        except MalformedError:
            end = self._end(keep=True)
            value = None
            try:
                value = self._parser.parse(self._text[self._at : end])
            except MalformedError as error:
                problem = str(error)
        size, self._at = end - self._at, end
        if self._has_other_bytes and not problem:
            try:
                refuse_half_pairs(value)
            except MalformedError:
                problem = "holds bytes that are not UTF-8; mend it, or name the file's encoding"
        return Element(line, value, size, problem)

    def _key(self, *, is_first: bool) -> str:
        if not is_first:
            if self._peek() != ",":
                raise self._broken("',' or '}'")
            self._at += 1
        if self._peek() != '"':
            raise self._broken("a key in double quotes")
        end = self._end(keep=True)
        try:
            key = self._parser.parse(self._text[self._at : end])
        except MalformedError as error:
            raise BrokenError(self._line_here(), str(error)) from None
        self._at = end
        if self._peek() != ":":
            raise self._broken("':' after a key")
        self._at += 1
        self._peek()
        return str(key)

    def _end(self, *, keep: bool) -> int:
        """Where the value that begins here ends, by its brackets and quotes. `keep`: the place stays, so that the
        value can be read; else it moves along, and what was passed is let go."""
        if self._peek() not in ("{", "[", '"'):
            return self._end_of_scalar(keep=keep)
        begin, depth, place = self._line_here(), 0, self._at
        while True:
            for token in tokens(self._text, place, len(self._text)):
                if token[0][0] == '"' and not token[1]:
                    break  # the window cuts the string off
                place = token.end()
                depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
                if depth == 0:
                    self._at = self._at if keep else place
                    return place
            else:
                place = len(self._text)
            self._at = self._at if keep else place
            if len(self._text) - self._at > LONGEST_LINE:
                raise BrokenError(begin, f"a value begins here that is {_LONG}, or never ends: is a quote missing?")
            moved = self._at
            if not self._more():
                raise BrokenError(begin, "not valid JSON: a value begins here and has no end: was the file cut off?")
            place -= moved

    def _end_of_scalar(self, *, keep: bool) -> int:
        while (scalar := _SCALAR.match(self._text, self._at)) is not None and scalar.end() == len(self._text):
            if len(scalar[0]) > LONGEST_LINE or not self._more():
                break
        if scalar is None:
            raise self._broken("a value")
        self._at = self._at if keep else scalar.end()
        return scalar.end()

    def _peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            assert blank is not None
            self._at = blank.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Read on, and let go what stands before the place, which is 0 then. False at the end of the document."""
        self._line_here()
        self._text = self._text[self._at :]
        self._at = self._counted = 0
        for block in self._blocks:
            if text := self._decoder.decode(block):
                self._add(text)
                return True
        if text := self._decoder.decode(b"", final=True):
            self._add(text)
        return bool(text)

    def _add(self, text: str) -> None:
        self._has_other_bytes |= not text.isascii() and _OTHER.search(text) is not None
        self._text += text

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _what(self) -> str:
        kinds = {"{": "an object", "[": "a list", '"': "a string", "": "the end of the file"}
        return kinds.get(self._peek(), "another value")

    def _broken(self, expected: str) -> BrokenError:
        if not self._peek():
            return BrokenError(self._line_here(), "not valid JSON: the document ends too early: was the file cut off?")
        return BrokenError(self._line_here(), f"not valid JSON: found {self._peek()!r}; expected {expected}")

    def _no_list(self, is_outer: bool) -> str:
        if not is_outer or self._peek() != "{":
            return f"expected a list of rows, found {self._what()} (rows of the source)"
        keys: list[str] = []
        lists: list[str] = []
        self._at += 1
        while self._peek() not in ("}", ""):
            keys.append(self._key(is_first=not keys))
            lists += [keys[-1]] if self._peek() == "[" else []
            self._end(keep=False)
        self._at += 1
        if self._peek() == "{":
            return "one JSON object follows another; use the source jsonl"
        what = f"expected a list of rows, found an object with {', '.join(map(repr, keys[:10])) or 'no keys'}"
        named = f"name one of its lists, as rows: {lists[0]}" if lists else "it may stand deeper, as rows: data.train"
        return f"{what}; {named}"
