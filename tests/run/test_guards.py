"""The guard against test rows in train: what it must see, and what it must not take for a leak."""

from __future__ import annotations

from ftkit.records import Example
from ftkit.run.guards import no_test_row_in_train


def row(name: str, text: str) -> Example:
    return Example(id=name, input=text, target="x", group=name)


def test_an_input_that_differs_in_case_and_punctuation_only_is_a_leak() -> None:
    found = no_test_row_in_train([row("a", "Where is it?")], [row("b", "where is IT")])
    assert (found.status, found.detail) == ("failed", "leaks: ['b']")


def test_a_group_on_both_sides_is_a_leak() -> None:
    found = no_test_row_in_train([row("g", "one")], [row("g", "two")])
    assert (found.status, found.detail) == ("failed", "leaks: ['g']")


def test_two_smileys_without_a_word_are_not_the_same() -> None:
    assert no_test_row_in_train([row("a", "👍")], [row("b", "👎")]).status == "passed"
    assert no_test_row_in_train([row("a", "👍")], [row("b", " 👍")]).status == "failed"


def test_equal_inputs_are_no_leak_where_the_recipe_says_what_identifies_a_row() -> None:
    found = no_test_row_in_train([row("a", "yes")], [row("b", "yes")], identity="{text} {context}")
    assert found.status == "passed"
    assert found.detail == "inputs not compared (rows are identified by '{text} {context}'), no shared group"
