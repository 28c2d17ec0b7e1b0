"""The rows that travel between stages, and JSONL in and out with errors that name file and line.

Knows no stage, no model and no recipe.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from ftkit.errors import DataError


class Message(TypedDict):
    """One turn of a conversation, as chat templates take it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row: what goes in, what should come out. Rows of one `group` are never split apart.

    `history` are the messages before the input, `weight` how much the row counts in training. `rejected` is an
    answer that was liked less than the target, `tools` the JSON of the functions that could be called.
    """

    id: str
    input: str
    target: str
    group: str
    history: tuple[Message, ...] = ()
    weight: float = 1.0
    rejected: str | None = None
    tools: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one arm answered to one row.

    `raw` is the text the model wrote, or the label it scored highest. `parsed` is what the extractor made of it, None
    where it found nothing (counts as wrong). `reference` is the target after the same extractor. `scores` holds one
    number per row-wise metric. Flags: unparsed, empty, truncated (stopped by max_new_tokens), input_cut (the input
    was shortened to fit the context).
    """

    arm: str
    id: str
    group: str
    reference: str
    raw: str
    parsed: str | None
    scores: dict[str, float]
    flags: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int


Side: TypeAlias = Literal["prompting", "fine_tuned", "simple", "reference"]
"""Of the comparison, that an arm is on. Arms of the side `reference` are there to look at, and never chosen."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A check that must hold before a comparison may be believed; one that failed makes the verdict `invalid`.

    `not_applicable`: what answered the rows has not what the check needs (log-probabilities, weights).
    """

    name: Annotated[str, Field(description="what was checked")]
    status: Annotated[Literal["passed", "failed", "not_applicable"], Field(description="how it ended")]
    detail: Annotated[str, Field(description="what was found, in words; may be empty")]


Record = TypeVar("Record", Example, Prediction)


def dump(value: Any) -> str:
    """One line of JSON: keys in the given order, characters as they are, NaN and infinity refused."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON object a line; dataclasses become objects."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(dump(row if isinstance(row, Mapping) else asdict(row)) + "\n")


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the object of every line. Raises DataError with file:line for anything that is not a JSON object."""
    for _, row in read_numbered_jsonl(path):
        yield row


def read_numbered_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object); blank lines are passed over."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _parse_line(path, number, line)


def read_examples(path: Path) -> list[Example]:
    """The rows of a split that `prepare` wrote."""
    return [replace(row, history=tuple(row.history)) for row in _read_records(path, Example)]


def read_predictions(path: Path) -> list[Prediction]:
    """The rows of a `predictions.jsonl`."""
    rows = _read_records(path, Prediction)
    return [replace(row, flags=tuple(row.flags)) for row in rows]


def _read_records(path: Path, kind: type[Record]) -> list[Record]:
    names = {field.name for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    types: TypeAdapter[Record] = TypeAdapter(kind)
    records = []
    for number, row in read_numbered_jsonl(path):
        if not needed <= row.keys() <= names:
            wrong = sorted((needed - row.keys()) | (row.keys() - names))
            raise DataError(f"{path}:{number}: not a {kind.__name__}: keys {wrong} are missing or unknown")
        try:
            records.append(types.validate_json(json.dumps(row), strict=True))
        except ValidationError as error:
            key = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{path}:{number}: {key}: {error.errors()[0]['msg'].lower()}") from None
    return records


def _parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start}); save as UTF-8") from None
    except RecursionError:
        raise DataError(f"{path}:{number}: JSON is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{path}:{number}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}:{number}: expected a JSON object, found {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
