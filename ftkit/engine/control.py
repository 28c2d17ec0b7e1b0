"""Control tokens that people spell: their text stays text, and no turn is forged with it.

Knows a tokenizer; no turns, no template's meaning and no model.

Control tokens that people wrote are marked before the template sees them. A text with marks is read, whole, by a twin
of the tokenizer which knows control tokens under names that nobody can write: the template's own get these names, and
the marks are taken out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from ftkit.errors import DataError

MARK, NAME = "\ufdd0", "\ufdd1"  # no characters, by Unicode's own word
FIRST = 0x100000  # of a plane for private use: signs behind NAME that say which token


class Controls:
    """The control tokens of a tokenizer: special ones, those in `ids`, those whose text stands in the `template`."""

    def __init__(self, tokenizer: Any, ids: Iterable[int], *, template: str) -> None:
        self._tokenizer = tokenizer
        added = {str(token): (id, token.special) for id, token in tokenizer.added_tokens_decoder.items()}
        known = {text: each for text, each in added.items() if text.strip(" \t\r\n▁")}  # white space is vocabulary
        turns = {*ids, *tokenizer.all_special_ids}
        of_turns = {text for text, (id, special) in known.items() if special or id in turns}
        self._ids = {text: known[text][0] for text in known if text in of_turns or text in template}
        self._known = frozenset(self._ids.values())
        self._own = re.compile(f"(?:{_any_of(self._ids)})(?!{MARK})")
        self._spelled = re.compile(f"(?={_any_of(self._ids)})")
        self._spelled_in_answer = re.compile(f"(?={_any_of(of_turns)})")

    def marked(self, text: str, *, is_answer: bool) -> str:
        """The text with a mark in each control token that it spells.

        In an answer, tokens that no turn is made of (such as `<tool_call>`) are the model's own words.
        """
        if MARK in text or NAME in text:
            raise DataError("a text holds U+FDD0 or U+FDD1, which are no characters; take them out")
        spelled = self._spelled_in_answer if is_answer else self._spelled
        cuts = [found.start() + 1 for found in spelled.finditer(text)]
        return MARK.join(text[one:two] for one, two in zip([0, *cuts], [*cuts, len(text)], strict=True))

    def read(self, text: str, ids: Sequence[int]) -> list[int]:
        """Ids of a rendered text; `ids` are those that the tokenizer itself makes of it.

        Raises DataError where the tokenizer cannot read as text what people wrote.
        """
        own = [self._ids[found[0]] for found in self._own.finditer(text)]
        if MARK not in text and self._controls_of(ids) == self._controls_of(own):
            return list(ids)
        if self._tokenizer.is_fast:
            twin, real = self._twin
            named = self._own.sub(lambda found: _name(self._ids[found[0]]), text).replace(MARK, "")
            read = [real.get(id, id) for id in twin.encode(named, add_special_tokens=False).ids]
            if self._controls_of(read) == self._controls_of(own):
                return read
        raise DataError(
            "a text spells a control token (of tokenizer.json, or eos_token and others of tokenizer_config.json) that "
            "the model's tokenizer cannot read as text; take it out of the text, or of these files"
        )

    def _controls_of(self, ids: Iterable[int]) -> list[int]:
        """Control tokens among ids; the one for unknown words is what any word may become."""
        return [id for id in ids if id in self._known and id != self._tokenizer.unk_token_id]

    @cached_property
    def _twin(self) -> tuple[Any, dict[int, int]]:
        """The tokenizer that knows control tokens by their names, and their real ids by the ids that it gives."""
        from tokenizers import Tokenizer

        state = json.loads(self._tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
        real = {token["content"]: token["id"] for token in state["added_tokens"]}
        for token in state["added_tokens"]:
            if token["content"] in self._ids:
                token |= {"content": _name(token["id"]), "normalized": False}
        twin = Tokenizer.from_str(json.dumps(state))
        names = {_name(id) if text in self._ids else text: id for text, id in real.items()}
        known = ((twin.token_to_id(name), id) for name, id in names.items())
        return twin, {own: id for own, id in known if own is not None}


def _name(id: int) -> str:
    return NAME + chr(FIRST + id // 2**15) + chr(FIRST + id % 2**15)


def _any_of(texts: Iterable[str]) -> str:
    """A pattern of some texts, the longest first; it finds nothing without any."""
    return "|".join(map(re.escape, sorted(texts, key=lambda text: (-len(text), text)))) or "(?!)"
