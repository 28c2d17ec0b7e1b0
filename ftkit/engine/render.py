"""The one door from messages to token ids: training, scoring and generation all come through here.

Knows a tokenizer and its chat template, no weights, no task and no recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.contracts import Json
from ftkit.engine import plain
from ftkit.engine.template import ChatTemplate
from ftkit.errors import DataError
from ftkit.records import Message

NOTE = "no chat template: a plain one stands in"


@dataclass(frozen=True, slots=True)
class Rendered:
    """Ids before the target, and ids of the target with its end-of-turn (empty without a target)."""

    context_ids: list[int]
    target_ids: list[int]


class Renderer:
    """Makes ids of messages, and text of generated ids.

    The whole text is rendered by the chat template and tokenised once; the template writes its special tokens
    itself (our plain one too), so none is added. `eos_ids` holds every id that ends a turn or the text.
    `num_ids` is how many the model knows. `template_note` is empty, or says that the plain template stands in.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        eos_ids: Iterable[int] = (),
        chat_template_kwargs: Json | None = None,
        num_ids: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self._num_ids = num_ids
        self._template = ChatTemplate(tokenizer)
        self.has_template = bool(tokenizer.chat_template) and tokenizer.chat_template not in plain.TEMPLATES
        self.template_note = "" if self.has_template else NOTE
        self._kwargs = {"enable_thinking": False, **(chat_template_kwargs or {})}
        if not self.has_template:
            tokenizer.chat_template = plain.template_for(tokenizer)
        self._by_lines = tokenizer.chat_template in (plain.LINES, plain.LINES_AFTER_BOS)
        special = {*eos_ids} | ({tokenizer.eos_token_id} - {None})
        self._end_id = self._end_of_turn(special)
        ends = special if self._end_id is None else special | {self._end_id}
        self.eos_ids = frozenset(ends | plain.line_break_ids(tokenizer) if self._by_lines else ends)
        self._eos_texts = tuple(sorted(tokenizer.decode([id]) for id in (special if self._by_lines else ends)))

    def render(self, messages: Sequence[Message], target: str | None = None) -> Rendered:
        """Ids of the messages and, behind them, of the assistant's `target` up to the end of its turn.

        Raises DataError where the template refuses the messages, where the ids before the target are not the
        beginning of the whole's, or where the target holds an end-of-turn itself.
        """
        if target is None:
            return Rendered(self._ids([self._text(messages)])[0], [])
        return self.render_each(messages, [target])[0]

    def render_each(self, messages: Sequence[Message], targets: Sequence[str]) -> list[Rendered]:
        """`render` for several targets behind the same messages, in one call of the tokenizer."""
        for target in targets:
            self._check_target(target)
        wholes = [self._text([*messages, {"role": "assistant", "content": target}], whole=True) for target in targets]
        context_ids, *whole_ids = self._ids([self._text(messages), *wholes])
        return [
            Rendered(context_ids, self._target_ids(context_ids, ids, target))
            for ids, target in zip(whole_ids, targets, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids up to the end of the turn, without special tokens, else as generated."""
        kept = list(ids)
        end = next((index for index, id in enumerate(kept) if id in self.eos_ids), None)
        kept = kept if end is None else kept[: end + 1]
        if not self._by_lines and end is not None:
            kept = kept[:end]
        text = str(self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return plain.unescape(text) if self._by_lines else text

    def _text(self, messages: Sequence[Message], *, whole: bool = False) -> str:
        return self._template.render(messages, add_generation_prompt=not whole, **self._kwargs)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        batch = self.tokenizer(list(texts), add_special_tokens=False, verbose=False, return_attention_mask=False)
        found = [list(ids) for ids in batch["input_ids"]]
        for ids in found if self._num_ids is not None else ():
            if ids and max(ids) >= self._num_ids:
                token = self.tokenizer.convert_ids_to_tokens(max(ids))
                raise DataError(
                    f"the token {token!r} has the id {max(ids)}, and the model knows {self._num_ids} (vocab_size "
                    "in config.json): take it out of "
                    "the text, or of the tokenizer (added_tokens in tokenizer.json)"
                )
        return found

    def _target_ids(self, context_ids: list[int], whole_ids: list[int], target: str) -> list[int]:
        if whole_ids[: len(context_ids)] != context_ids:
            pairs = zip(context_ids, whole_ids, strict=False)
            same = next((index for index, (one, two) in enumerate(pairs) if one != two), 0)
            shown = self.tokenizer.decode(context_ids[max(0, same - 3) :])
            raise DataError(
                f"the answer {target!r} changes the tokens before it (near {shown!r}): the prompt would "
                "not be the one that was trained; the template's generation prompt must be what it writes before "
                "an answer (see model.chat_template_kwargs)"
            )
        tail = whole_ids[len(context_ids) :]
        end = next((index for index, id in enumerate(tail) if id in self.eos_ids), None)
        if end is not None:
            return tail[: end + 1]
        if self._end_id is None:
            raise DataError(f"nothing ends the answer {target!r}: neither template nor tokenizer has an end-of-turn")
        return [*tail, self._end_id]

    def _check_target(self, target: str) -> None:
        if not self.has_template and not target.strip():
            raise DataError("an answer is empty: without a chat template nothing would mark it; drop the row")
        for text in self._eos_texts:
            if text and text in target:
                raise DataError(f"the answer {target!r} holds {text!r}, which ends a turn of this model; take it out")

    def _end_of_turn(self, special: set[int]) -> int | None:
        """The id the template writes behind an answer: the first special id, else the first."""
        user: Message = {"role": "user", "content": "a"}
        one, two = self._ids(
            [self._text([user, {"role": "assistant", "content": text}], whole=True) for text in ("x", "7")]
        )
        length = 0
        while length < min(len(one), len(two)) and one[-1 - length] == two[-1 - length]:
            length += 1
        tail = one[len(one) - length :]
        known = special | set(self.tokenizer.all_special_ids) | set(self.tokenizer.get_added_vocab().values())
        return next((id for id in tail if id in known), next(iter(tail), self.tokenizer.eos_token_id))
