"""Shapes: what a source's rows mean: one file per shape, from the source's own columns to input and target.

Knows no file format, no task and no particular shape: here is how a shape is recognised, and what shapes share.
A shape is pure and sees one row at a time: any batch of rows gives the same result.

    class Mine(ShapeConfig)       its `fits` looks at the columns and the first rows
    shape(config, table)          -> Shaped; a row that holds no example becomes a fault, never an exception

Its `questions` makes the same of rows whose answer is still to be given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.conversation import (
    Answer,
    NoExampleError,
    Said,
    history_column,
    json_text,
    messages_in,
    parse_json,
    read_messages,
    shown,
    system_message,
    unread_of,
)
from ftkit.prepare.formats.json_rows import NOT_TEXT, Value, dumped, table_of
from ftkit.prepare.likely import likely
from ftkit.registry import Config, find, names, nearest, suggest

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

MakeAnswers: TypeAlias = Callable[..., list[Answer]]
_LOOKED_AT = 10  # values that a shape is recognised by


class ShapeConfig(Config):
    """Base of every shape's Config.

    `wants` says which columns the shape is recognised by. Where several shapes fit, the smallest `rank` wins:
    1 pairs of answers, 2 conversations, 3 single questions with an answer, 4 plain text.
    """

    wants: ClassVar[str] = ""
    rank: ClassVar[int] = 3

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether these first rows of a source look like this shape."""
        raise NotImplementedError(cls.__name__)

    def questions(self, table: Table) -> Shaped:
        """What is asked of rows that need not have an answer: input and history as an example has; target says nothing.

        One for each row, in order, or a fault.
        """
        raise NotImplementedError(type(self).__name__)

    def require(self, table: Table, *fields: str, optional: Sequence[str] = ()) -> None:
        """Raise DataError where a column that one of these fields names is not there; a field may be None.

        Columns of `optional` fields may be missing, unless the recipe names them.
        """
        named = (*fields, *(field for field in optional if field in self.model_fields_set))
        missing = [column for field in named if (column := getattr(self, field)) not in (None, *table.columns)]
        if missing:
            place = f"shape {type(self).__module__.rpartition('.')[2]}"
            raise missing_columns(place, list(dict.fromkeys(missing)), table)


class ConversationConfig(ShapeConfig):
    """Base of the Config of a shape whose rows are conversations in one column."""

    rank: ClassVar[int] = 2

    column: str = Field(description="column of the list of messages")
    turns: Literal["last", "every"] = Field(
        "last", description="which assistant turns are targets; every: a row for each, with ids <id>#1, <id>#2, …"
    )
    system: str | None = Field("system", description="column of a system message, for rows that do not begin with one")
    tools: str | None = Field("tools", description="column of the functions that could be called, as JSON")

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether the column's first values hold a list of messages."""
        return holds_messages(table, str(cls.model_fields["column"].default))

    def questions(self, table: Table) -> Shaped:
        """A conversation asks for its next message; one that ends with the assistant's, for what is learned of it."""
        return conversations(self.model_copy(update={"turns": "last"}), table, is_open=True)


def recognise(table: Table) -> str:
    """The name of the shape that the first rows of a source have. Raises DataError where none fits, or several do."""
    known: dict[str, type[ShapeConfig]] = {}
    for name in names("shapes"):
        config_type = find("shapes", name).config_type
        assert issubclass(config_type, ShapeConfig), config_type
        known[name] = config_type
    fitting = [name for name, config_type in known.items() if config_type.fits(table)]
    best = [name for name in fitting if known[name].rank == min(known[each].rank for each in fitting)]
    if len(best) == 1:
        return best[0]
    columns = f"columns: {', '.join(own_columns(table)) or 'none'}"
    if best:
        raise DataError(f"the rows look like {' and '.join(best)}; say which as `shape` of the source ({columns})")
    wanted = "".join(f"\n  {name}: {config_type.wants}" for name, config_type in known.items())
    meant = f" (likely {found})" if (found := likely(own_columns(table))) else ""
    raise DataError(f"the rows have no known shape ({columns}); name `input` and `target`{meant}, or `shape`:{wanted}")


def table_by_id(rows: Mapping[str, Mapping[str, Value]]) -> Table:
    """Rows under these ids, as a JSON source has them; a key `id` of their own is left out.

    Raises DataError that names the row for what JSON has not, and for a key that is ftkit's own.
    """
    import polars

    for name, row in rows.items():
        if NOT_TEXT in row:
            raise DataError(f"{name}: the key {NOT_TEXT!r} is ftkit's own; rename it")
    try:
        table = table_of(list(rows.values()), dict.fromkeys(key for row in rows.values() for key in row if key != "id"))
    except (TypeError, ValueError):  # a date, an object, half of a surrogate pair
        raise _no_json(rows) from None
    return table.insert_column(0, polars.Series("id", list(rows), polars.String))


def _no_json(rows: Mapping[str, Mapping[str, Value]]) -> DataError:
    """What to raise where one of the rows is no JSON: the first of them."""
    for name, row in rows.items():
        try:
            dumped(dict(row)).encode()
        except (TypeError, ValueError) as error:
            return DataError(f"{name}: not a row of plain JSON values: {error}")
    return DataError(f"{next(iter(rows))} and following: not rows of plain JSON values")


def missing_columns(place: str, columns: Sequence[str], table: Table) -> DataError:
    """What to raise where some different columns are not there: the nearest ones, and all there are."""
    known = own_columns(table)
    if len(columns) == 1:
        hint = suggest(columns[0], known)
        more = f" the columns are {', '.join(known)}" if hint.startswith("; did") else ""
        return DataError(f"{place}: there is no column {columns[0]!r}{hint}{more}")
    near = {column: nearest(column, known) for column in columns}
    named = [f"{column!r}" + (f" (did you mean {near[column]!r}?)" if near[column] else "") for column in columns]
    return DataError(f"{place}: there is no column {' and no '.join(named)}; the columns are {', '.join(known)}")


def own_columns(table: Table) -> list[str]:
    """The columns that a source's rows came with."""
    return [name for name in table.columns if name not in ("id", NOT_TEXT)]


@dataclass(frozen=True)
class TextColumn:
    """A column of what rows hold, and why a row holds none: a reason, or null where it does.

    `notes` say what became text that was none.
    """

    values: polars.Series
    faults: polars.Series
    notes: Sequence[str] = ()


def text_column(table: Table, column: str | None, *, use: str = "target", is_optional: bool = False) -> TextColumn:
    """A column whose every value is a string, or of a target a number or truth value, which is taken as text.

    Of an optional column null is '', and so is a missing column. `use` is input or target.
    """
    import polars

    faults = polars.repeat(None, table.height, dtype=polars.String, eager=True)
    if column is None or (is_optional and column not in table.columns):
        return TextColumn(faults.fill_null(""), faults)
    texts, is_null = as_text(table, column), table[column].is_null()
    if use == "input":
        is_string = table[column].dtype in (polars.String, polars.Categorical, polars.Enum)
        texts = texts.set(not_text(table, column) | (not is_string), None)
    is_bad = (texts.is_null() & ~is_null) | (is_null & (not is_optional))
    if is_bad.any():
        reasons = [_no_text(value, column, use) for value in values(table.filter(is_bad), column)]
        faults = faults.scatter(is_bad.arg_true(), reasons)
    return TextColumn(
        texts.fill_null("") if is_optional else texts, faults, notes_of(table, column) if use == "target" else ()
    )


def _no_text(value: Value, column: str, use: str) -> str:
    if not isinstance(value, (list, dict)):
        quotes = ": write it in quotes" if isinstance(value, (int, float)) else ""
        return f"{column!r} is {shown(value)}; expected a string{quotes}"
    as_json = f'{use}: "{{{column}}}" writes it as JSON'
    within = (
        f", {use}: {column}.{next(iter(value))} takes what stands in it" if isinstance(value, dict) and value else ""
    )
    return f"{column!r} is {shown(value)}; expected a string: {as_json}{within}"


def notes_of(table: Table, *columns: str) -> list[str]:
    """What is to be said of columns whose numbers or truth values are taken as texts."""
    import polars

    notes = []
    for column in columns:
        series = table[column]
        has_truths, has_numbers = series.dtype == polars.Boolean, series.dtype.is_numeric()
        if series.dtype == polars.String:
            others = series.filter(not_text(table, column))
            has_truths, has_numbers = (bool(others.str.contains(each).any()) for each in (r"^[tf]", r"^[-\d]"))
        notes += taken_as_text(column, numbers=has_numbers, truths=has_truths) if series.count() else []
    return notes


def taken_as_text(column: str, *, numbers: bool, truths: bool) -> list[str]:
    """What is to be said of a column in which these stood as answers."""
    kinds = [kind for kind, is_there in (("numbers", numbers), ("truth values", truths)) if is_there]
    return [f"{column!r} holds {kind}: they are taken as text" for kind in kinds]


def is_plain(kind: polars.DataType) -> bool:
    """Whether the values of a column are no lists or objects."""
    import polars

    named = (polars.String, polars.Categorical, polars.Enum, polars.Boolean, polars.Date, polars.Datetime, polars.Time)
    return kind in named or kind.is_numeric()


def as_text(table: Table, name: str) -> polars.Series:
    """Plain values as texts; null for lists and objects.

    A whole number is written without '.0': the type of its column is that of a batch.
    """
    import polars

    series = table[name]
    if series.dtype.is_float():
        numbers = [None if each is None else json.dumps(each).removesuffix(".0") for each in series]
        return polars.Series(numbers, dtype=polars.String)
    if series.dtype == polars.String:
        is_other = not_text(table, name)
        is_nested = is_other & series.str.contains(r"^[\[{]").fill_null(False)
        return series.str.strip_suffix(".0").zip_with(is_other, series).set(is_nested, None)
    if not is_plain(series.dtype):
        return polars.repeat(None, len(series), dtype=polars.String, eager=True)
    return series.cast(polars.String)


def not_text(table: Table, column: str) -> polars.Series:
    """Where a column of strings holds the JSON text of something else, by what a JSON source says."""
    import polars

    if table.schema.get(NOT_TEXT) != polars.List(polars.String):
        return polars.repeat(False, table.height, dtype=polars.Boolean, eager=True)
    return table[NOT_TEXT].list.contains(column).fill_null(False)


def values(table: Table, column: str | None) -> list[Value]:
    """A column as Python's values, JSON of a JSON source included; only None where it is not there."""
    import polars

    if column is None or column not in table.columns:
        return [None] * table.height
    cells: list[Value] = table[column].to_list()
    if table.schema[column] == polars.String:
        places: list[int] = not_text(table, column).arg_true().to_list()
        for place in places:
            cells[place] = parse_json(str(cells[place]), column)
    return cells


def shaped(table: Table, read: Sequence[TextColumn], **columns: polars.Series | polars.Expr) -> Shaped:
    """The rows in which all that was read is there, with these columns, and the first reason of each other row."""
    import polars

    reasons = polars.select(polars.coalesce([each.faults for each in read])).to_series()
    named = [column.alias(name) for name, column in columns.items()]
    rows = polars.select(table["id"], *named).filter(reasons.is_null())
    bad = reasons.is_not_null()
    faults = dict(zip(table["id"].filter(bad), reasons.filter(bad), strict=True))
    return Shaped(rows, faults, [note for each in read for note in each.notes])


def each_row(table: Table, make: MakeAnswers, *columns: str | None, extra: Sequence[str] = ()) -> Shaped:
    """Rows made by Python, in order: `make(id, *values of these columns)` gives answers, or raises NoExampleError.

    A row has id, input, target, the `extra` columns of the answers' `more`, and history. Of a column that is None, or
    that the table does not have, all values are None. What is `unread` is what the answers say of it.
    """
    import polars

    answers: list[Answer] = []
    faults: dict[str, str] = {}
    ids: list[str] = table["id"].to_list()
    cells_of_rows = zip(*(values(table, column) for column in columns), strict=True)
    for name, cells in zip(ids, cells_of_rows, strict=True):
        try:
            answers += make(name, *cells)
        except NoExampleError as error:
            faults[name] = str(error)
    texts_of: dict[str, list[str | None]] = {
        "id": [each.id for each in answers],
        "input": [each.input for each in answers],
        "target": [each.target for each in answers],
        **{name: [each.more[name] for each in answers] for name in extra},
    }
    series = {name: polars.Series(filled, dtype=polars.String) for name, filled in texts_of.items()}
    rows = polars.DataFrame({**series, "history": history_column(each.history for each in answers)})
    return Shaped(rows, faults, unread={name for each in answers for name in each.unread})


def conversations(config: ConversationConfig, table: Table, *, is_open: bool = False) -> Shaped:
    """One example for the last, or for each, assistant turn of each row's conversation; `conversation` is its id.

    Input is the message before the turn, history all messages before that one. So a turn after a tool's result has
    that result as input, one after the system message alone has that, and one that nothing precedes has ''. Open
    conversations that end with another's message are followed by an empty turn.
    """
    config.require(table, "column", optional=("system", "tools"))

    def make(name: str, value: Value, system: Value, tools: Value) -> list[Answer]:
        said = read_messages(value, config.column)
        if said[0].role != "system":
            said = [*system_message(system, config.system), *said]
        if is_open and said[-1].role != "assistant":
            said.append(Said("assistant", ""))
        more = {"conversation": name, "tools": None if tools is None else json_text(tools, str(config.tools))}
        places = [place for place, each in enumerate(said) if each.role == "assistant"]
        unread = unread_of(said) | (
            {f"{config.column} after the last answer"} if said[-1].role != "assistant" else set()
        )
        answers = [
            Answer(f"{name}#{number}", said[:place], said[place].content, more, unread)
            for number, place in enumerate(places, 1)
            if said[place].is_learned
        ]
        if not answers:
            why = " that is to be learned: all have weight 0" if places else ""
            raise NoExampleError(f"{config.column!r} has no assistant turn{why}")
        return answers if config.turns == "every" else [replace(answers[-1], id=name)]

    return each_row(table, make, config.column, config.system, config.tools, extra=("tools", "conversation"))


def holds_messages(table: Table, column: str) -> bool:
    """Whether one of the first values of a column, if it is there, is a list of messages."""
    return any(map(messages_in, values(table.head(_LOOKED_AT), column)))
