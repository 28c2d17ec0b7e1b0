"""Conversations: a list of messages in any of the known spellings, nested or as JSON text, as roles and contents.

Knows no shape and no source: it reads one value, and says why it holds no example.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
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
_OF_ANSWERS = ("tool_calls", "function_call", "weight")
_NOTHING: tuple[Value, ...] = (None, "", [], {})


class NoExampleError(ValueError):
    """Why a row holds no example; becomes its fault."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `is_learned` is false where the data says that this turn is not to be trained on (weight 0).

    `unread` names what the message carries beside that, behind its column: messages.name.
    """

    role: str
    content: str
    is_learned: bool = True
    unread: Collection[str] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and what was `said` before it, as an example: `more` has its texts in further columns.

    `unread` names what of the row's columns is not read.
    """

    id: str
    said: Sequence[Said]
    target: str
    more: Mapping[str, str | None] = field(default_factory=dict)
    unread: Collection[str] = ()

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
    return [_message(each, number, column) for number, each in enumerate(value, 1)]


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
    return (
        messages
        if all(isinstance(each, dict) and each.get(_first_key(each, _ROLE_KEYS)) for each in messages)
        else None
    )


def unread_of(said: Iterable[Said]) -> set[str]:
    """What messages carry and nothing reads."""
    return {name for each in said for name in each.unread}


def filled(value: Value, *but: str) -> set[str]:
    """The keys of an object under which something stands, without some; of what is no object there are none."""
    if not isinstance(value, dict):
        return set()
    return {key for key, each in value.items() if key not in but and each not in _NOTHING}


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


def _message(value: Value, number: int, column: str) -> Said:
    place = f"message {number} of {column!r}"
    if not isinstance(value, dict):
        raise NoExampleError(f"{place} is {shown(value)}; expected an object with role and content")
    role_key, content_key = _first_key(value, _ROLE_KEYS), _first_key(value, _CONTENT_KEYS)
    role = value.get(role_key)
    known = role.strip().lower() if isinstance(role, str) else ""
    if known not in ROLES:
        hint = suggest(known, ROLES) if isinstance(role, str) else "; expected a string"
        raise NoExampleError(f"{place} has the role {shown(role)}{hint}")
    is_answer = ROLES[known] == "assistant"
    unread = filled(value, role_key, content_key, *(_OF_ANSWERS if is_answer else ()))
    content = _content(value.get(content_key), place, unread)
    calls = _calls(value, place, unread) if is_answer else None
    if content is None and calls is None:
        raise NoExampleError(f"{place} has no content")
    parts = [part for part in (content, calls) if part]
    weight = value.get("weight")
    if is_answer and weight not in (None, 0, 1):
        unread.add("weight other than 0 and 1 (it counts as 1)")
    return Said(ROLES[known], "\n".join(parts), weight != 0, [f"{column}.{name}" for name in unread])


def _content(value: Value, place: str, unread: set[str]) -> str | None:
    """The text of a message; what stands beside the texts of its parts is added to `unread`."""
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
        unread |= {f"{_CONTENT_KEYS[0]}.{name}" for name in filled(part, "type", "text")}
    return "".join(texts)


def _calls(message: dict[str, Value], place: str, unread: set[str]) -> str | None:
    """The functions an assistant calls, as the JSON list of {name, arguments} that LLaMA-Factory trains on too.

    What else stands in a call is added to `unread`.
    """
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
        beside = filled(call, "function", "name", "arguments", "type") | filled(function, "name", "arguments", "type")
        unread |= {f"tool_calls.{name}" for name in beside}
    return _dump(plain, place)


def _arguments(value: Value) -> Value:
    """OpenAI writes arguments as JSON text; what is none, a model wrote: it stays as it is."""
    if not isinstance(value, str):
        return without_nulls(value)
    try:
        return parse_json(value, "arguments")
    except NoExampleError:
        return value


def _first_key(value: dict[str, Value], keys: Sequence[str]) -> str:
    """The first of these keys under which something stands, or of all."""
    return next((key for key in keys if value.get(key) is not None), keys[0])


def _dump(value: Value, place: str) -> str:
    try:
        return dump(value)
    except (TypeError, ValueError):  # an infinite number, a date, bytes
        raise NoExampleError(f"{place} holds what JSON cannot") from None
