"""Where rows come from: one file per input format, a Config and `read(config, ctx) -> Iterator[Batch]`.

Knows no format, no task and no model: here is what sources share. A table has the source's columns and `id`. The
first batch is small and comes early, the others have at most `rows.BATCH_ROWS` rows and about 16 MB. A malformed row is
a fault of its batch; what concerns a whole file is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from ftkit.contracts import Batch, Context
from ftkit.errors import DataError
from ftkit.prepare.formats import arrow_rows, encodings, openers
from ftkit.prepare.formats.arrow_types import ArrowTable
from ftkit.prepare.formats.json_rows import NOT_TEXT, Value, shown, table_of
from ftkit.prepare.formats.openers import SourceFile, blocks, files_of, refuse_foreign
from ftkit.prepare.rows import BATCH_BYTES, BATCH_ROWS
from ftkit.recipe.templates import names_in
from ftkit.registry import Choice, Config, choice_of, suggest
from ftkit.store import digest, file_digest

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

    ShapeChoice: TypeAlias = Choice
else:
    ShapeChoice = choice_of("shapes")

FIRST_ROWS = 100
BATCH_CELLS = 2_000_000
MOST_COLUMNS = 1_000
MOST_FAULTS = 1_000  # before the first good row
SHOWN_FAULTS = 10


class SourceConfig(Config):
    """Base of every source's Config: which columns mean what. Only `id` is a source's own business.

    `is_remote` sources are not opened by `ftkit check --fast`; those with `has_header` take the names of their columns
    from the first row, unless their option `columns` has them.
    """

    input: str | None = Field(None, description='what goes in: a column, or a text such as "{question}\\n{context}"')
    target: str | None = Field(None, description="label or answer: a column, or a text with columns in braces")
    id: str | None = Field(None, description="column that names a row; default: file name and line")
    shape: ShapeChoice | None = Field(None, description="what a row means; default: recognised from the first rows")
    weight: str | None = Field(None, description="column of a number above 0: how much a row counts in training")
    share: float | None = Field(None, gt=0, description="of several sources: this one's part of the rows")

    is_remote: ClassVar[bool] = False
    has_header: ClassVar[bool] = False

    @property
    def no_header(self) -> str:
        """What is to be done where the first row of a source that takes its columns' names from there is none."""
        is_taken = self.has_header and getattr(self, "columns", None) is None
        return "; where the first row is no header, name the columns of the source: columns: […]" if is_taken else ""

    @field_validator("input", "target")
    @classmethod
    def _plain_names(cls, template: str | None) -> str | None:
        if template is not None:
            names_in(template)
        return template

    @model_validator(mode="after")
    def _one_word_on_columns(self) -> Self:
        if self.columns_wanted and self.shape is not None:
            raise ValueError("input and target name columns, so the rows have no other shape: give either")
        return self

    @property
    def columns_wanted(self) -> dict[str, str]:
        """What is said of input and target."""
        return {key: value for key in ("input", "target") if (value := getattr(self, key)) is not None}

    def content_id(self, ctx: Context) -> str:
        """What stands for this source's content in a stage's key. Raises DataError where it is missing."""
        raise NotImplementedError(type(self).__name__)


class FileSource(SourceConfig):
    """Base of a source of local files."""

    path: str = Field(description="file, folder, or pattern such as data/*.jsonl; else beside the recipe")

    endings: ClassVar[tuple[str, ...]] = ()
    """What names of files end in, that a folder is searched for."""

    def content_id(self, ctx: Context) -> str:
        """SHA-256 of the file; of several, a hash over their names and theirs."""
        digests = [[file.name, file_digest(file.path)] for file in self.files(ctx)]
        return digests[0][1] if len(digests) == 1 else digest(digests)

    def files(self, ctx: Context) -> list[SourceFile]:
        """The files, sorted by name. Raises DataError where there are none, or one is empty."""
        return files_of(ctx.resolve(self.path), endings=self.endings, elsewhere=ctx.elsewhere(self.path))


class TextSource(FileSource):
    """Base of a source of text files, which may be compressed with gzip or zstd."""

    encoding: str | None = Field(None, description="such as cp1252; default: UTF-8, or what the file looks like")

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else encodings.known(name)

    def files(self, ctx: Context) -> list[SourceFile]:
        """The files, sorted by name, packed ones included."""
        packed = tuple(ending + packing for ending in self.endings for packing in openers.PACKED)
        return files_of(ctx.resolve(self.path), endings=(*self.endings, *packed), elsewhere=ctx.elsewhere(self.path))


@dataclass(frozen=True)
class Opened:
    """A text file: its bytes in UTF-8, the first of them once more, and the encoding that they were in."""

    blocks: Iterator[bytes]
    start: bytes
    encoding: str

    def lines(self, *, keep_ends: bool = False) -> Iterator[encodings.Line]:
        """The lines, numbered from 1."""
        return encodings.lines(self.blocks, keep_ends=keep_ends)

    def text_of(self, line: bytes) -> str:
        """One line as text. Raises NotTextError, which names the byte."""
        return encodings.text_of(line, self.encoding)


def opened(config: TextSource, file: SourceFile, ctx: Context, *, wanted: str, markup: bool = False) -> Opened:
    """A text file, unpacked and decoded; another encoding than UTF-8 is said. Raises DataError for what is no text."""
    raw = blocks(file.path)
    sample = _start(raw)
    if not sample:
        raise DataError(f"{file.path}: the packed file holds nothing")
    refuse_foreign(file.path, sample, wanted=wanted, markup=markup)
    encoding = config.encoding or encodings.detect(sample)
    if config.encoding is None and encoding != encodings.UTF8:
        ctx.progress.say(f"{file.path}: read as {encoding}, not UTF-8 (encoding of the source fixes it)")
    decoded = encodings.as_utf8(_again(sample, raw), encoding)
    start = _start(decoded)
    refuse_foreign(file.path, start, wanted=wanted, markup=markup)
    return Opened(_again(start, decoded), start, encoding)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a place holds no row."""

    reason: str


Found: TypeAlias = "tuple[int | str, Mapping[str, Value] | Fault, int]"
"""Place of a row in its file, the row by column or why it is none, and its size in bytes."""

TOO_LONG = Fault(f"longer than {encodings.LONGEST_LINE >> 20} MB; no row is that long: is a line end missing?")


def gathered(
    config: SourceConfig, files: Iterable[tuple[SourceFile, Iterator[Found]]], ctx: Context
) -> Iterator[Batch]:
    """Rows found one by one as batches. Raises DataError where no row is good, with the first faults."""
    batch = _Gathering(config, Ids(config.id))
    for file, places in files:
        for place, row, size in places:
            if isinstance(row, Fault):
                batch.fault(f"{file.path}:{place}", row.reason)
            else:
                batch.add(file, place, row, size)
            if batch.is_full:
                ctx.check_stop()
                yield batch.made()
    if batch.rows:
        yield batch.made()
    if batch.num_made == 0:
        raise DataError(_none_good(batch.faults) if batch.faults else f"{file.path}: there is no row in the file")
    if batch.faults:
        yield batch.made()


@dataclass
class _Gathering:
    """Rows on their way into a batch. A column that was there once is there in all later batches."""

    config: SourceConfig
    seen: Ids
    rows: list[Mapping[str, Value]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    num_bytes: int = 0
    num_made: int = 0

    @property
    def is_full(self) -> bool:
        num_rows = len(self.rows)
        if self.num_made == 0:
            is_late = self.num_bytes >= BATCH_BYTES or len(self.faults) >= FIRST_ROWS
            return num_rows >= FIRST_ROWS or (num_rows > 0 and is_late)
        is_large = self.num_bytes >= BATCH_BYTES or num_rows * len(self.names) >= BATCH_CELLS
        return is_large or num_rows >= BATCH_ROWS or len(self.faults) >= BATCH_ROWS

    def fault(self, place: str, reason: str) -> None:
        self.faults[place] = reason
        if len(self.faults) >= MOST_FAULTS and not self.rows and self.num_made == 0:
            raise DataError(_none_good(self.faults))

    def add(self, file: SourceFile, place: int | str, row: Mapping[str, Value], size: int) -> None:
        if not row.keys() <= self.names.keys():
            self.names |= dict.fromkeys(row)
            if len(self.names) > MOST_COLUMNS:
                what = f"more than {MOST_COLUMNS:,} different columns so far"
                raise DataError(f"{file.path}:{place}: {what}; expected rows with keys in common")
            if NOT_TEXT in row:
                raise DataError(f"{file.path}:{place}: the column name {NOT_TEXT!r} is ftkit's own; rename the column")
        if self.config.id is None:
            self.ids.append(f"{file.name}:{place}")
        elif (problem := self._id_problem(row)) is not None:
            self.fault(f"{file.path}:{place}", problem)
            return
        else:
            self.ids.append(str(row[self.config.id]))
        self.places.append(f"{file.path}:{place}")
        self.rows.append(row)
        self.num_bytes += size

    def made(self) -> Batch:
        import polars

        ids = polars.Series("id", self.ids, polars.String)
        table = _with_ids(table_of(self.rows, (name for name in self.names if name != "id")), ids)
        again = self.seen.again(ids)
        places_again: list[int] = again.arg_true().to_list()
        for place in places_again:
            self.faults[self.places[place]] = _twice(self.ids[place])
        places = polars.Series("place", self.places, polars.String)
        own = [row.get("id") for row, is_again in zip(self.rows, again, strict=True) if not is_again]
        batch = Batch(table.filter(~again), places.filter(~again), self.faults, own)
        self.rows, self.ids, self.places, self.faults = [], [], [], {}
        self.num_bytes, self.num_made = 0, self.num_made + 1
        return batch

    def _id_problem(self, row: Mapping[str, Value]) -> str | None:
        name = self.config.id
        assert name is not None
        if name not in row:
            return f"there is no {name!r}{suggest(name, row)} (id of the source)"
        value = row[name]
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
            return f"id {name!r} is {shown(value)}; expected a string or an integer"
        if isinstance(value, str) and "\0" in value:
            return f"id {name!r} is {shown(value)}; a NUL character cannot stand in an id"
        return None


@dataclass(frozen=True)
class Part:
    """An Arrow table or record batch of a source. `name` begins the ids of its rows, `place` the places of faults.

    Rows are numbered from 1 through parts of the same place. `labels`: names of the classes of a column.
    """

    name: str
    place: str
    table: ArrowTable
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


def tabular(config: SourceConfig, parts: Iterable[Part], ctx: Context) -> Iterator[Batch]:
    """Arrow tables as batches. Raises DataError where there is no row, no column for the ids, or damage."""
    import numpy as np

    seen, number, place, num_made = Ids(config.id), 1, "", 0
    faults: dict[str, str] = {}
    for part in parts:
        number = number if part.place == place else 1
        place = part.place
        sound = arrow_rows.sound(place, part.table)
        numbers = np.arange(number, number + part.table.num_rows)
        faults |= {f"{place}:{numbers[row]}": reason for row, reason in sound.faults.items()}
        numbers, number = np.delete(numbers, list(sound.faults)), number + len(numbers)
        first = FIRST_ROWS if num_made == 0 else 0
        for begin, piece in arrow_rows.pieces(sound.table, first=first, rows=BATCH_ROWS, num_bytes=BATCH_BYTES):
            ctx.check_stop()
            batch = _with_faults(config, part, piece, numbers[begin : begin + piece.num_rows], seen)
            faults |= batch.faults
            if batch.table.height:
                yield replace(batch, faults=faults)
                faults, num_made = {}, num_made + 1
    if num_made == 0:
        raise DataError(_none_good(faults) if faults else f"{place}: there is no row")
    if faults:
        yield Batch(batch.table.clear(), batch.places.clear(), faults)


def _with_faults(config: SourceConfig, part: Part, piece: ArrowTable, numbers: NDArray[np.int64], seen: Ids) -> Batch:
    """One batch with ids, and as its faults the ids that are none."""
    import polars

    table = arrow_rows.as_polars(part.place, piece, part.labels)
    own = polars.Series(numbers).cast(polars.String)
    if config.id is None:
        own_ids = table.get_column("id", default=None)
        return Batch(_with_ids(table, f"{part.name}:" + own), f"{part.place}:" + own, own_ids=own_ids)
    require_columns(part.place, table.columns, [config.id])
    kind = table.schema[config.id]
    if kind != polars.String and not kind.is_integer():
        raise DataError(f"{part.place}: the id column {config.id!r} holds {kind}; expected strings or integers")
    ids = table[config.id].cast(polars.String)
    wrong = ids.is_null() | (ids == "").fill_null(True) | ids.str.contains("\0", literal=True).fill_null(True)
    faults = {}
    wrong_rows: list[int] = wrong.arg_true().to_list()
    for row in wrong_rows:
        problem = f"id {config.id!r} is {shown(ids[row])}; expected a string or an integer"
        faults[f"{part.place}:{own[row]}"] = problem
    own_ids = table.get_column("id", default=ids).filter(~wrong)
    table, own = _with_ids(table, ids).filter(~wrong), own.filter(~wrong)
    again = seen.again(table["id"])
    twice: Iterator[tuple[str, str]] = zip(own.filter(again), table["id"].filter(again), strict=True)
    faults |= {f"{part.place}:{number}": _twice(name) for number, name in twice}
    return Batch(table.filter(~again), f"{part.place}:" + own.filter(~again), faults, own_ids.filter(~again))


def _with_ids(table: Table, ids: polars.Series) -> Table:
    return table.select(ids.alias("id"), *(table[name] for name in table.columns if name != "id"))


class Ids:
    """The ids of a source so far, 8 bytes each: two different ones are taken for the same at ten million with p < 1e-5.

    Without a `column` the ids are places, and differ.
    """

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._runs: list[NDArray[np.uint64]] = []

    def again(self, ids: polars.Series) -> polars.Series:
        """Whether each id stood before, here or in an earlier call."""
        import numpy as np
        import polars

        if self._column is None:
            return polars.repeat(False, len(ids), dtype=polars.Boolean, eager=True)
        keys = ids.hash(0).to_numpy()
        is_again = ~ids.is_first_distinct().to_numpy()
        for run in self._runs:
            near = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            is_again |= run[near] == keys
        fresh = np.sort(keys[~is_again])
        while self._runs and len(self._runs[-1]) <= 2 * len(fresh):  # few runs, and each key is merged few times
            fresh = np.sort(np.concatenate([self._runs.pop(), fresh]), kind="stable")
        if len(fresh):
            self._runs.append(fresh)
        return polars.Series(is_again)


def require_columns(place: str, columns: Iterable[str], wanted: Iterable[str]) -> None:
    """Raise DataError for the first wanted column that is not there, with the nearest that is."""
    known = list(columns)
    for name in wanted:
        if name not in known:
            raise DataError(f"{place}: there is no {name!r}{suggest(name, known)} (id of the source)")


def _none_good(faults: Mapping[str, str]) -> str:
    lines = [f"{place}: {reason}" for place, reason in list(faults.items())[:SHOWN_FAULTS]]
    rest = len(faults) - len(lines)
    return "\n".join([*lines, *([f"and {rest:,} more"] if rest else []), "no row is good so far"])


def _twice(name: str) -> str:
    return f"id {shown(name)} stands already in an earlier row; ids must differ"


def _start(parts: Iterator[bytes]) -> bytes:
    start = b""
    for part in parts:
        start += part
        if len(start) >= encodings.SAMPLE_BYTES:
            break
    return start


def _again(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest
