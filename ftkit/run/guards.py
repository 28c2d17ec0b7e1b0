"""Guards: checks that must hold before a comparison may be believed. One that fails makes the verdict `invalid`.

They look at rows, prompts and scores that are already there; they compute no score themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.answers.answering import Question
from ftkit.answers.prompt import Arm
from ftkit.prepare.texts.similarity import text_keys
from ftkit.records import Example

if TYPE_CHECKING:
    import polars

Guard: TypeAlias = dict[str, Any]


def guard(name: str, passed: bool, detail: str) -> Guard:
    """One line of `guards.json`."""
    return {"name": name, "passed": passed, "detail": detail}


def adapter_changes_logits(arms: Sequence[Arm], fingerprints: Mapping[str, Sequence[float]]) -> Guard:
    """Every tuned model scores the probe rows otherwise than the base does."""
    base = next(fingerprints[arm.name] for arm in arms if arm.model == "base")
    tuned = [arm for arm in arms if arm.side == "fine_tuned"]
    same = sorted({arm.model for arm in tuned if list(fingerprints[arm.name]) == list(base)})
    detail = f"{', '.join(same)}: scores equal the base model's" if same else f"{len(base)} probe scores differ"
    return guard("adapter_changes_logits", not same, detail)


def no_test_row_in_train(train: Sequence[Example], tests: Sequence[Example], *, identity: str | None = None) -> Guard:
    """No train input equals a test input after normalisation, and no group is on both sides.

    With an `identity` of its own in the recipe, equal inputs are other rows, and prepare alone can tell.
    """
    leaks: list[str] = []
    if identity is None:
        seen, asked = (text_keys(_inputs(rows)) for rows in (train, tests))
        leaks = [row.id for row, found in zip(tests, asked.is_in(seen.implode()), strict=True) if found]
    leaks += sorted({row.group for row in train} & {row.group for row in tests})
    inputs = "no equal input" if identity is None else f"inputs not compared (rows are identified by {identity!r})"
    return guard("no_test_row_in_train", not leaks, f"leaks: {leaks[:5]}" if leaks else f"{inputs}, no shared group")


def _inputs(rows: Sequence[Example]) -> polars.Series:
    import polars

    return polars.Series([row.input for row in rows], dtype=polars.String)


def arms_frozen_before_test(unchanged: bool) -> Guard:
    """`arms.json` has the bytes it had before test was opened."""
    return guard("arms_frozen_before_test", unchanged, "arms.json is as it was" if unchanged else "arms.json changed")


def demonstrations_from_train(arms: Sequence[Arm], train: Sequence[Example]) -> Guard:
    """Every demonstration is a row of train, word for word."""
    known = {row.id: (row.input, row.target) for row in train}
    foreign = [
        row_id
        for arm in arms
        for row_id, pair in zip(arm.prompt.demonstration_ids, arm.prompt.demonstrations, strict=True)
        if known.get(row_id) != pair
    ]
    return guard("demonstrations_from_train", not foreign, f"not in train: {foreign[:5]}" if foreign else "all are")


def scored_ids_are_trained_ids(probes: Sequence[tuple[Question, Sequence[int]]], labels: Sequence[str]) -> Guard:
    """The ids scored for a row's label are the ids trained for it. `probes`: a row as scored, its ids as trained."""
    wrong = [
        question.example.id
        for question, trained_ids in probes
        if question.continuations_ids[labels.index(question.example.target)] != list(trained_ids)
    ]
    detail = f"differ for {wrong[:5]}" if wrong else f"equal on {len(probes)} rows"
    return guard("scored_ids_are_trained_ids", not wrong, detail)
