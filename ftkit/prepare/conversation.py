"""Conversations: a list of messages in any of the known spellings, nested or as JSON text, as roles and contents.

Knows no shape and no source: it reads one value, and says why it holds no example.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftkit.prepare.formats import json_rows
from ftkit.prepare.formats.json_rows import MalformedError, Strict, Value
from ftkit.records import dump
from ftkit.registry import suggest

if TYPE_CHECKING:
    import polars

ROLES = {  # OpenAI, ShareGPT, LLaMA-Factory, axolotl, OpenAssistant, Gemma
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai", "function_call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "tool_response", "function_response"), "tool"),
}
_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value", "text")
_READ = {*_ROLE_KEYS, *_CONTENT_KEYS, "tool_calls", "function_call", "weight"}


class NoExampleError(ValueError):
    """Why a row holds no example; becomes its fault."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `is_learned` is false where the data says that this turn is not to be trained on (weight 0)."""

    role: str
    content: str
    is_learned: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what was `said` before it, as an example: `more` has its texts in further columns."""

    id: str
    said: Sequence[Said]
    target: str
    more: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def input(self) -> str:
        """The last message before the answer."""
        return self.said[-1].content if self.said else ""

    @property
    def history(self) -> Sequence[Said]:
        """The messages before the input."""
        return self.said[:-1]


def read_messages(value: Value, column: str) -> list[Said]:
    """A list of messages, nested or as JSON text, in any of the known spellings. Raises NoExampleError.

    Of a message are read: role or from, content, value or text, tool_calls or function_call, and weight. Calls
    become the JSON list of their names and arguments, after the content. Parts of a content are joined.
    """
    value = parse_json(value, column) if isinstance(value, str) else value
    if not isinstance(value, list) or not value:
        raise NoExampleError(f"{column!r} is {'empty' if value == [] else shown(value)}; expected a list of messages")
    return [_message(each, f"message {number} of {column!r}") for number, each in enumerate(value, 1)]


def read_side(value: Value, column: str, *, role: str) -> list[Said]:
    """A prompt or an answer: a text, which is a message of this role, or messages; a number answers as a text."""
    messages = messages_in(value)
    if messages is not None:
        return read_messages(messages, column)
    text = answer_text(value) if role == "assistant" else value
    if not isinstance(text, str):
        raise NoExampleError(f"{column!r} is {shown(value)}; expected a string, or a list of messages")
    return [Said(role, text)]


def answer_text(value: Value) -> str | None:
    """A text, and a number or a truth value as the text that it is as an answer; None for anything else.

    3.0 is 3, since a batch may have made it a decimal number.
    """
    if isinstance(value, (bool, int, float)):
        return json.dumps(value).removesuffix(".0")
    return value if isinstance(value, str) else None


def messages_in(value: Value) -> list[Value] | None:
    """The messages that a value is: a list of them or one, nested or as JSON text. None where it is something else."""
    if isinstance(value, str):
        try:
            value = parse_json(value, "") if value.lstrip()[:1] in ("[", "{") else None
        except NoExampleError:
            return None
    messages: Value = [value] if isinstance(value, dict) else value
    if not isinstance(messages, list) or not messages:
        return None
    return messages if all(isinstance(each, dict) and _first(each, _ROLE_KEYS) for each in messages) else None


def unread_fields(message: Value) -> set[str]:
    """The fields of a message that hold something and that are not read."""
    if not isinstance(message, dict):
        return set()
    return {str(name) for name, value in message.items() if name not in _READ and value not in (None, "", [], {})}


def system_message(value: Value, column: str | None) -> list[Said]:
    """What a conversation begins with where this is the value of its system column; null and '' are none."""
    if value is not None and not isinstance(value, str):
        raise NoExampleError(f"{column!r} is {shown(value)}; expected a string")
    return [Said("system", value)] if value else []


def history_column(histories: Iterable[Sequence[Said]]) -> polars.Series:
    """The column `history`: a list of {role, content} for each row."""
    import polars
    import pyarrow as pa

    said: list[Said] = []
    ends = [0]
    for history in histories:
        said += history
        ends.append(len(said))
    texts = {"role": [each.role for each in said], "content": [each.content for each in said]}
    parts = [pa.array(texts_of_one, pa.large_string()) for texts_of_one in texts.values()]
    flat = pa.StructArray.from_arrays(parts, names=list(texts))
    return polars.Series("history", pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), flat))


def json_text(value: Value, column: str) -> str | None:
    """A list or an object, nested or as JSON text, as JSON text; null, and what is empty, is None."""
    value = parse_json(value, column) if isinstance(value, str) and value.strip() else without_nulls(value)
    if value is None or value in ("", [], {}):
        return None
    if not isinstance(value, (list, dict)):
        raise NoExampleError(f"{column!r} is {shown(value)}; expected a list or an object")
    return _dump(value, repr(column))


def parse_json(text: str, column: str) -> Value:
    """The value of a JSON text. Raises NoExampleError where it is none."""
    try:
        return Strict().parse(text)
    except MalformedError as error:
        raise NoExampleError(f"{column!r}: {error}") from None


def without_nulls(value: Value) -> Value:
    """The value without keys that are null: a nested column gives every object the keys of all others."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def shown(value: Value) -> str:
    """A value as a message about it names it; 3.0 is 3, since a batch may have made it a decimal number."""
    if isinstance(value, (list, dict)):
        return json_rows.kind_of(value)
    is_json = value is None or isinstance(value, (str, int, float))
    return json_rows.shown(value).removesuffix(".0") if is_json else f"of type {type(value).__name__}"


def _message(value: Value, place: str) -> Said:
    if not isinstance(value, dict):
        raise NoExampleError(f"{place} is {shown(value)}; expected an object with role and content")
    role = _first(value, _ROLE_KEYS)
    known = role.strip().lower() if isinstance(role, str) else ""
    if known not in ROLES:
        hint = suggest(known, ROLES) if isinstance(role, str) else "; expected a string"
        raise NoExampleError(f"{place} has the role {shown(role)}{hint}")
    content = _content(_first(value, _CONTENT_KEYS), place)
    calls = _calls(value, place) if ROLES[known] == "assistant" else None
    if content is None and calls is None:
        raise NoExampleError(f"{place} has no content")
    parts = [part for part in (content, calls) if part]
    return Said(ROLES[known], "\n".join(parts), value.get("weight") != 0)


def _content(value: Value, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise NoExampleError(f"{place} has {shown(value)} as content; expected a string")
    texts: list[str] = []
    for part in value:
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
        if kind != "text" or not isinstance(text, str):
            raise NoExampleError(
                f'{place} has a part of type {shown(kind)}; only {{"type": "text", "text": …}} can be used'
            )
        texts.append(text)
    return "".join(texts)


def _calls(message: dict[str, Value], place: str) -> str | None:
    """The functions an assistant calls, as the JSON list of {name, arguments} that LLaMA-Factory trains on too."""
    calls = message.get("tool_calls")
    calls = parse_json(calls, "tool_calls") if isinstance(calls, str) else calls
    if not calls and message.get("function_call") is not None:
        calls = [message["function_call"]]
    if not calls:
        return None
    plain: list[Value] = []
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function") or call if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise NoExampleError(f"{place} has a tool call without a name")
        plain.append({"name": function["name"], "arguments": _arguments(function.get("arguments"))})
    return _dump(plain, place)


def _arguments(value: Value) -> Value:
    """OpenAI writes arguments as JSON text; what is none, a model wrote: it stays as it is."""
    if not isinstance(value, str):
        return without_nulls(value)
    try:
        return parse_json(value, "arguments")
    except NoExampleError:
        return value


def _first(value: dict[str, Value], keys: Iterable[str]) -> Value:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _dump(value: Value, place: str) -> str:
    try:
        return dump(value)
    except (TypeError, ValueError):  # an infinite number, a date, bytes
        raise NoExampleError(f"{place} holds what JSON cannot") from None
