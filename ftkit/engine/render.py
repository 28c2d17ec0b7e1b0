"""The one door from messages to token ids: training, scoring and generation all come through here.

What comes out is what went in: the ids of a target decode to the target, control tokens in people's text are text, and
no turn is lost; where a template or a tokenizer does otherwise, the row is refused.

Knows a tokenizer and its chat template, no weights, no task and no recipe.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.contracts import Json
from ftkit.engine import plain
from ftkit.engine.control import Controls
from ftkit.engine.template import ChatTemplate
from ftkit.errors import DataError
from ftkit.records import Message

NOTE = "no chat template: a plain one stands in"
ANCHOR = ":"  # what stands before a decoded text: alone, some tokenizers' first token loses its blank
REMEMBERED = 1024  # renderings: a prompt is sized on some rows, judged on them, and may be frozen
RARE = ("\u200b", "\u4e2d", "\U0001f9ea")  # a tokenizer that reads each of these loses no text wholly


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
    `template_kwargs` go to every rendering.
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
        self._known: dict[Any, Rendered] = {}
        self._num_ids = num_ids
        self._chat = ChatTemplate(tokenizer)
        self.has_template = bool(tokenizer.chat_template) and tokenizer.chat_template not in plain.TEMPLATES
        self.template_note = "" if self.has_template else NOTE
        self.template_kwargs = {"enable_thinking": False, **(chat_template_kwargs or {})}
        if not self.has_template:
            tokenizer.chat_template = plain.template_for(tokenizer)
        self._by_lines = tokenizer.chat_template in (plain.LINES, plain.LINES_AFTER_BOS)
        line_breaks = plain.line_break_ids(tokenizer) if self._by_lines else frozenset[int]()
        # an export names the ids that end a line among its own: they end no turn by themselves
        special = ({*eos_ids} - line_breaks) | ({tokenizer.eos_token_id} - {None})
        turn: list[Message] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]
        around = set(self._tokenized([self._text(turn, whole=True)])[0])
        self._controls = Controls(tokenizer, special | around, template=str(tokenizer.chat_template))
        self._end_id = self._end_of_turn(special)
        ends = special if self._end_id is None else special | {self._end_id}
        self.eos_ids = frozenset(ends | line_breaks)
        anchor, anchored = self._tokenized([ANCHOR, ANCHOR + "x"])
        keeps = tokenizer.decode(anchored) == ANCHOR + "x" and anchored[: len(anchor)] == anchor
        self._anchor_ids, self._anchor = (anchor, ANCHOR) if keeps else ([], "")
        self._added = self._added_before_answers(turn)
        self._loses_text = not all(self._tokenized(RARE))
        self._require_input_is_read()

    @property
    def shows_tools(self) -> bool:
        """Whether the chat template has a place for tools."""
        return self.has_template and "tools" in str(self.tokenizer.chat_template)

    def render(self, messages: Sequence[Message], target: str | None = None, tools: str | None = None) -> Rendered:
        """Ids of the messages and, behind them, of the assistant's `target` up to the end of its turn.

        `tools` is the JSON of functions that could be called, for a template that shows them. Raises DataError where
        the template refuses the messages or leaves one out, where the ids before the target are not the beginning of
        the whole's, or where the target's ids decode to another text.
        """
        key = (tuple((each["role"], each["content"]) for each in messages), target, tools)
        if key not in self._known:
            if target is None:
                found = Rendered(self._ids([self._before_answer(self._said(messages), tools)])[0], [])
            else:
                (found,) = self.render_each(messages, [target], tools)
            while len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return self._known[key]

    def render_each(
        self, messages: Sequence[Message], targets: Sequence[str], tools: str | None = None
    ) -> list[Rendered]:
        """`render` for several targets behind the same messages, in one call of the tokenizer."""
        if not self.has_template and not all(target.strip() for target in targets):
            raise DataError("an answer is empty: without a chat template nothing would mark it; drop the row")
        said = self._said(messages)
        answers = self._said([{"role": "assistant", "content": target} for target in targets])
        wholes = [self._text([*said, answer], tools, whole=True) for answer in answers]
        context_ids, *whole_ids = self._ids([self._before_answer(said, tools), *wholes])
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
        text = str(
            self.tokenizer.decode(
                [*self._anchor_ids, *kept], skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )
        text = text.removeprefix(self._anchor).removeprefix(self._added)
        return plain.unescape(text) if self._by_lines else text

    def _said(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as the template gets them: what people wrote is text and, in plain answers, one line."""
        return [{**each, "content": self._content(each)} for each in messages]

    def _content(self, message: Message) -> str:
        is_answer = message["role"] == "assistant"
        text = self._controls.marked(message["content"], is_answer=is_answer)
        return plain.escape(text) if is_answer and self._by_lines else text

    def _before_answer(self, said: Sequence[Message], tools: str | None) -> str:
        """The text before an answer. Raises DataError where a turn leaves no trace in it."""
        text = self._text(said, tools)
        for place, message in enumerate(said):
            content = message["content"].strip()
            if content and (self._loses_text or content not in text):
                emptied = self._text([*said[:place], {**message, "content": ""}, *said[place + 1 :]], tools)
                if emptied == text or self._tokenized([emptied]) == self._tokenized([text]):
                    raise DataError(
                        f"{self._template} or its tokenizer (tokenizer.json) leaves out what turn {place + 1} "
                        f"({message['role']}) says: {content[:40]!r}; change the row, or give the model a template "
                        "that shows every turn"
                    )
        return text

    def _text(self, messages: Sequence[Message], tools: str | None = None, *, whole: bool = False) -> str:
        functions = None if tools is None else json.loads(self._controls.marked(tools, is_answer=False))
        functions = [functions] if isinstance(functions, dict) else functions
        return self._chat.render(messages, tools=functions, add_generation_prompt=not whole, **self.template_kwargs)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._controls.read(text, ids) for text, ids in zip(texts, self._tokenized(texts), strict=True)]

    def _tokenized(self, texts: Sequence[str]) -> list[list[int]]:
        try:
            batch = self.tokenizer(list(texts), add_special_tokens=False, verbose=False, return_attention_mask=False)
        except Exception as error:
            if type(error) is not Exception:  # the tokenizers library has no class of its own
                raise
            raise DataError(f"the model's tokenizer cannot read a text: {error}") from None
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
        target_ids = tail if end is None else tail[: end + 1]
        if end is None:
            if self._end_id is None:
                raise DataError(
                    f"nothing ends the answer {target!r}: neither template nor tokenizer has an end-of-turn"
                )
            target_ids = [*tail, self._end_id]
        self._require_target(target, target_ids)
        return target_ids

    def _require_target(self, target: str, ids: Sequence[int]) -> None:
        """Raise DataError where what would be learned is another text than the target."""
        found = self.decode(ids)
        if found != target and _composed(found) != _composed(target):
            same = next((i for i, (one, two) in enumerate(zip(found, target, strict=False)) if one != two), None)
            start = max(0, (min(len(found), len(target)) if same is None else same) - 20)
            raise DataError(
                f"{self._template} or its tokenizer (tokenizer.json) changes the answer: …{target[start:][:60]!r} "
                f"would be learned as …{found[start:][:60]!r}; an answer must stand in the template as it is, behind "
                "the generation prompt and before the end of turn: change the row, model.chat_template_kwargs, or the "
                "model's template"
            )

    def _added_before_answers(self, turn: Sequence[Message]) -> str:
        """The blank that some tokenizers put in front of every text behind a control token."""
        self._added = ""
        before, whole = self._tokenized([self._text(turn[:1]), self._text(turn, whole=True)])
        text = self.decode(whole[len(before) :])
        return text.removesuffix("x") if text.strip(" ") == "x" else ""

    def _end_of_turn(self, special: set[int]) -> int | None:
        """The id the template writes behind an answer: the first special id, else the first."""
        user: Message = {"role": "user", "content": "a"}
        one, two = self._tokenized(
            [self._text([user, {"role": "assistant", "content": text}], whole=True) for text in ("x", "7")]
        )
        length = 0
        while length < min(len(one), len(two)) and one[-1 - length] == two[-1 - length]:
            length += 1
        tail = one[len(one) - length :]
        known = special | set(self.tokenizer.all_special_ids) | set(self.tokenizer.get_added_vocab().values())
        return next((id for id in tail if id in known), next(iter(tail), self.tokenizer.eos_token_id))

    @property
    def _template(self) -> str:
        """The template, by name, for messages."""
        if not self.has_template:
            return "the plain template"
        return f"the model's chat template ({self.tokenizer.name_or_path or 'in memory'})"

    def _require_input_is_read(self) -> None:
        """Raise DataError where the template writes the same whatever a user says."""
        one, two = (self._text([{"role": "user", "content": text}]) for text in ("one input", "two others"))
        if one == two:
            raise DataError(f"{self._template} leaves out what a user says; give the model another template")


def _composed(text: str) -> str:
    """Unicode's canonical composition, which some tokenizers bring texts to: the same characters otherwise stored."""
    return unicodedata.normalize("NFC", text)
