"""Conversations, prompts and pairs of answers, in every spelling of the trainers that read them, become examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shaping import TALKS, TEXTS, assistant, both, faults, from_json, nested, shape, system, user, with_ids

from ftkit.prepare.shapes import recognise

WEATHER = [
    system("Help."),
    user("Weather in Boston?"),
    assistant(None, tool_calls=[{"id": "1", "function": {"name": "weather", "arguments": '{"city": "Boston"}'}}]),
    {"role": "tool", "tool_call_id": "1", "content": "22 C"},
    assistant("It is 22 C."),
    user("Thanks"),
    assistant("Welcome."),
]  # fmt: skip
CALL = '[{"name": "weather", "arguments": {"city": "Boston"}}]'


def test_the_last_assistant_turn_is_the_target_and_what_is_before_its_user_message_history() -> None:
    (made,) = both(
        "messages", {"messages": [system("Be kind."), user("Hi"), assistant("Hello"), user("Bye"), assistant("Ciao")]}
    )
    assert made == {
        "id": "a",
        "input": "Bye",
        "target": "Ciao",
        "history": [system("Be kind."), user("Hi"), assistant("Hello")],
        "tools": None,
        "conversation": "a",
    }


def test_what_follows_the_last_assistant_turn_is_no_part_of_the_example() -> None:
    (made,) = both("messages", {"messages": [user("Hi"), assistant("Hello"), user("Bye")]})
    assert (made["input"], made["target"], made["history"]) == ("Hi", "Hello", [])


def test_every_assistant_turn_becomes_a_row_of_the_same_conversation() -> None:
    functions = [{"type": "function", "function": {"name": "weather"}}]
    table = from_json({"messages": WEATHER, "tools": functions}, {"messages": [user("Hi"), assistant("Hello")]})
    made = shape({"messages": {"turns": "every"}}, table).table
    assert made["id"].to_list() == ["a#1", "a#2", "a#3", "b#1"]
    assert made["conversation"].to_list() == ["a", "a", "a", "b"]
    assert made["input"].to_list() == ["Weather in Boston?", "22 C", "Thanks", "Hi"]
    assert made["target"].to_list() == [CALL, "It is 22 C.", "Welcome.", "Hello"]
    assert made["history"].list.len().to_list() == [1, 3, 5, 0]
    assert made["history"][1].to_list() == [system("Help."), user("Weather in Boston?"), assistant(CALL)]
    assert [json.loads(tools) if tools else None for tools in made["tools"]] == [functions] * 3 + [None]


def test_a_message_in_parts_is_joined_and_calls_follow_the_content() -> None:
    calls = [{"function": {"name": "f", "arguments": "not JSON"}}, {"name": "g", "arguments": {"x": [1]}}]
    said = [
        user([{"type": "text", "text": "Look "}, {"type": "text", "text": "here"}]),
        assistant("So:", tool_calls=calls),
    ]
    made = shape("messages", from_json({"messages": said})).table.to_dicts()[0]
    assert made["input"] == "Look here"
    assert made["target"] == 'So:\n[{"name": "f", "arguments": "not JSON"}, {"name": "g", "arguments": {"x": [1]}}]'
    older = [user("Hi"), assistant(None, function_call={"name": "f", "arguments": "{}"})]
    assert both("messages", {"messages": older})[0]["target"] == '[{"name": "f", "arguments": {}}]'


def test_an_assistant_turn_of_weight_zero_is_no_target() -> None:
    said = [user("1"), assistant("one", weight=1), user("2"), assistant("two", weight=0)]
    assert both("messages", {"messages": said})[0]["target"] == "one"
    every = both({"messages": {"turns": "every"}}, {"messages": [*said, user("3"), assistant("three")]})
    assert [(row["id"], row["target"]) for row in every] == [("a#1", "one"), ("a#3", "three")]
    assert faults("messages", {"messages": said[2:]}) == [
        "'messages' has no assistant turn that is to be learned: all have weight 0"
    ]


def test_an_assistant_turn_that_nothing_precedes_has_no_input() -> None:
    rows = both({"messages": {"turns": "every"}}, {"messages": [assistant("Welcome!"), user("Hi"), assistant("Hello")]})
    assert [(row["input"], row["target"], len(row["history"])) for row in rows] == [
        ("", "Welcome!", 0),
        ("Hi", "Hello", 1),
    ]
    assert both("messages", {"messages": [system("Greet."), assistant("Welcome!")]})[0]["input"] == "Greet."


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "'messages' is null; expected a list of messages"),
        ([], "'messages' is empty; expected a list of messages"),
        ("hello", "'messages': not valid JSON: expected a value at character 1"),
        ('[{"role": "user"', "'messages': not valid JSON: expecting ',' delimiter at character 17"),
        ('[{"role": "user", "content": NaN}]', "'messages': not valid JSON: NaN is no JSON number"),
        ('[{"role": "user", "role": "user"}]', "'messages': not valid JSON: the key \"role\" stands twice"),
        ('[{"role": "user", "content": "\\ud800"}]', "'messages': holds half of a surrogate pair"),
        ("[" * 100_000, "'messages': not read: nested deeper than"),
        ({"role": "user"}, "'messages' is an object; expected a list of messages"),
        (7, "'messages' is 7; expected a list of messages"),
        ([user("Hi")], "'messages' has no assistant turn"),
        ([user("Hi"), None], "message 2 of 'messages' is null; expected an object with role and content"),
        ([user("Hi"), "Hello"], "message 2 of 'messages' is \"Hello\"; expected an object"),
        ([{"content": "Hi"}], "message 1 of 'messages' has the role null; expected a string"),
        ([{"role": "asistant", "content": "x"}], "has the role \"asistant\"; did you mean 'assistant'?"),
        ([{"role": ["user"], "content": "x"}], "message 1 of 'messages' has the role a list; expected a string"),
        ([user(None)], "message 1 of 'messages' has no content"),
        ([assistant(None, tool_calls=[])], "message 1 of 'messages' has no content"),
        ([user(5)], "message 1 of 'messages' has 5 as content; expected a string"),
        ([user([{"type": "image_url"}])], "message 1 of 'messages' has a part of type \"image_url\"; only"),
        ([user(["Hi"])], "message 1 of 'messages' has a part of type null; only"),
        ([assistant(None, tool_calls=[{"id": "1"}])], "message 1 of 'messages' has a tool call without a name"),
        ([assistant(None, tool_calls=3)], "message 1 of 'messages' has a tool call without a name"),
    ],
)  # fmt: skip
def test_a_conversation_that_holds_no_example_is_a_fault_that_says_where(value: Any, expected: str) -> None:
    (reason,) = faults("messages", {"messages": value})
    assert reason.startswith(expected) or expected in reason


def test_system_and_tools_columns_are_checked() -> None:
    said = [user("Hi"), assistant("Hello")]
    (made,) = both("messages", {"messages": said, "system": "Be kind.", "tools": []})
    assert (made["history"], made["tools"]) == ([system("Be kind.")], None)
    (made,) = both("messages", {"messages": [system("Be brief."), *said], "system": "Be kind."})
    assert made["history"] == [system("Be brief.")]
    assert faults("messages", {"messages": said, "system": 3}, {"messages": said, "tools": "{"}) == [
        "'system' is 3; expected a string",
        "'tools': not valid JSON: expecting property name enclosed in double quotes at character 2; "
        "it ends in the middle: was it cut off?",
    ]
    assert faults("messages", {"messages": said, "tools": "7"}) == ["'tools' is 7; expected a list or an object"]


def test_nested_tools_lose_the_empty_keys_that_a_column_gives_them() -> None:
    said = [user("Hi"), assistant("Hello")]
    tools = [[{"name": "f", "strict": True}], [{"name": "g", "about": "x"}]]
    made = both("messages", *({"messages": said, "tools": each} for each in tools))
    assert [json.loads(row["tools"]) for row in made] == tools


def test_sharegpt_reads_the_spellings_of_llama_factory_and_axolotl() -> None:
    glaive = [
        {"from": "human", "value": "Weather in Boston?"},
        {"from": "function_call", "value": '{"name": "weather"}'},
        {"from": "observation", "value": "22 C"},
        {"from": "gpt", "value": "It is 22 C."},
    ]
    (made,) = both("sharegpt", {"conversations": glaive, "system": "Help."})
    tool = {"role": "tool", "content": "22 C"}
    history = [system("Help."), user("Weather in Boston?"), assistant('{"name": "weather"}')]
    assert (made["input"], made["target"], made["history"]) == (tool["content"], "It is 22 C.", history)
    (made,) = both(
        "sharegpt", {"conversations": [*glaive, {"from": "human", "value": "Ok"}, {"from": "gpt", "value": "!"}]}
    )
    assert made["history"][2] == tool
    (made,) = both("sharegpt", {"conversations": [user("Hi"), assistant("Hello")]})
    assert (made["input"], made["target"]) == ("Hi", "Hello")


# prompt and completion


def test_prompt_and_completion_are_texts_or_messages() -> None:
    text = {"prompt": "The sky is", "completion": " blue."}
    assert both("prompt_completion", text) == [{"id": "a", "input": "The sky is", "target": " blue.", "history": []}]
    talk = {"prompt": [system("Brief."), user("Colour of the sky?")], "completion": [assistant("Blue.")]}
    expected = {"id": "a", "input": "Colour of the sky?", "target": "Blue.", "history": [system("Brief.")]}
    assert both("prompt_completion", talk) == [expected]


def test_a_text_that_looks_like_json_stays_a_text() -> None:
    texts = ["[1] see below", '["a"]', '{"name": "x"}', "[{", ""]
    made = shape("prompt_completion", from_json(*({"prompt": text, "completion": text} for text in texts)))
    assert made.table["input"].to_list() == made.table["target"].to_list() == texts


def test_a_completion_that_is_a_number_is_taken_as_text_and_said() -> None:
    rows = [{"prompt": "x", "completion": value} for value in (3, 0.5, 3.0)]
    found = shape("prompt_completion", from_json(*rows))
    assert found.table["target"].to_list() == ["3", "0.5", "3"]
    assert found.notes == ["'completion' holds numbers: they are taken as text"]


def test_a_prompt_or_completion_that_is_neither_is_a_fault() -> None:
    assert faults(
        "prompt_completion",
        {"prompt": None, "completion": "x"},
        {"prompt": ["x"], "completion": "x"},
        {"prompt": 3, "completion": "x"},
        {"prompt": "x", "completion": [user("x")]},
        {"prompt": "x", "completion": [assistant("x"), user("y")]},
    ) == [
        "'prompt' is null; expected a string, or a list of messages",
        "'prompt' is a list; expected a string, or a list of messages",
        "'prompt' is 3; expected a string, or a list of messages",
        "'completion' is more than one assistant message: use the shape messages",
        "'completion' is more than one assistant message: use the shape messages",
    ]


# pairs of answers


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."},
        {"prompt": [user("Sky?")], "chosen": [assistant("Blue.")], "rejected": [assistant("Green.")]},
        {"chosen": [user("Sky?"), assistant("Blue.")], "rejected": [user("Sky?"), assistant("Green.")]},
        {
            "prompt": "sky",
            "chosen": [user("Sky?"), assistant("Blue.")],
            "rejected": [user("Sky?"), assistant("Green.")],
        },
        {"question": "Sky?", "chosen": "Blue.", "rejected": "Green."},
        {"instruction": "Sky?", "input": "", "chosen": "Blue.", "rejected": "Green."},
        {
            "conversations": [{"from": "human", "value": "Sky?"}],
            "chosen": {"from": "gpt", "value": "Blue."},
            "rejected": {"from": "gpt", "value": "Green."},
        },
    ],
    ids=["texts", "messages", "implicit", "both", "orca", "alpaca", "sharegpt"],
)
def test_a_pair_is_the_same_in_every_spelling_of_trl_and_llama_factory(row: dict[str, Any]) -> None:
    expected = {"id": "a", "input": "Sky?", "target": "Blue.", "rejected": "Green.", "history": []}
    assert both("preference", row) == [expected]
    assert recognise(from_json(row)) == recognise(nested(row)) == "preference"


def test_a_pair_keeps_the_messages_that_both_begin_with() -> None:
    talk = [system("Brief."), user("Hi"), assistant("Hello"), user("Sky?")]
    (made,) = both("preference", {"chosen": [*talk, assistant("Blue.")], "rejected": [*talk, assistant("Green.")]})
    assert (made["input"], made["history"]) == ("Sky?", talk[:3])
    (made,) = both("preference", {"system": "Brief.", "question": "Sky?", "chosen": "Blue.", "rejected": "Green."})
    assert (made["input"], made["history"]) == ("Sky?", [system("Brief.")])
    (made,) = both("preference", {"instruction": "Colour?", "input": "Sky", "chosen": "Blue.", "rejected": "Green."})
    assert made["input"] == "Colour?\n\nSky"


def test_a_pair_that_is_none_is_a_fault() -> None:
    differ = "'chosen' and 'rejected' differ in more than the assistant's last message"
    missing = "there is no prompt: no column of that name, and the answers begin with no user message"
    assert faults("preference", {"prompt": "x", "chosen": "a", "rejected": "a"}) == [
        "'chosen' and 'rejected' are the same"
    ]
    assert faults("preference", {"chosen": "a", "rejected": "b"}) == [missing]
    assert faults(
        "preference",
        {"chosen": [user("x"), assistant("a")], "rejected": [user("y"), assistant("b")]},
        {"chosen": [user("x"), assistant("a")], "rejected": [user("x")]},
        {"chosen": [user("x"), assistant("a")], "rejected": None},
    ) == [differ, differ, "'rejected' is null; expected a string, or a list of messages"]
    label = {"preference": {"label": "best"}}
    assert faults(label, {"prompt": "x", "chosen": "a", "rejected": "b", "best": 3}) == [
        "'best' is 3; expected 1 or 2: which answer is the better one"
    ]


def test_the_label_of_llmbar_says_which_output_was_chosen(shared_data: Path) -> None:
    rows = json.loads((shared_data / "llmbar" / "LLMBar_Natural.json").read_text())
    options = {"prompt": "input", "chosen": "output_1", "rejected": "output_2", "label": "label"}
    made = both({"preference": options}, *rows)
    assert len(made) == len(rows) == 100
    for row, one in zip(rows, made, strict=True):
        assert (one["input"], one["target"]) == (row["input"], row[f"output_{row['label']}"])
        assert one["rejected"] == row[f"output_{3 - row['label']}"]


# properties


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"messages": TALKS, "prompt": TALKS, "completion": TEXTS}), min_size=1, max_size=4
    )
)
def test_nested_columns_give_what_json_gives(rows: list[dict[str, Any]]) -> None:
    kind = polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
    as_nested = with_ids(polars.DataFrame(rows, schema={"messages": kind, "prompt": kind, "completion": polars.String}))
    for choice in ("messages", {"messages": {"turns": "every"}}, "prompt_completion"):
        one, other = shape(choice, from_json(*rows)), shape(choice, as_nested)
        assert one.table.equals(other.table)
        assert one.faults == other.faults


@given(said=TALKS)
def test_every_turn_of_a_conversation_is_put_together_again(said: list[dict[str, str]]) -> None:
    made = shape({"messages": {"turns": "every"}}, from_json({"messages": said})).table.to_dicts()
    places = [place for place, each in enumerate(said) if each["role"] == "assistant"]
    assert len(made) == len(places)
    for row, place in zip(made, places, strict=True):
        assert [*(each["content"] for each in row["history"]), row["input"], row["target"]] == [
            *([] if place else [""]),
            *(each["content"] for each in said[: place + 1]),
        ]
