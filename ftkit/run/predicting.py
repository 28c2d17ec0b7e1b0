"""New rows answered by an arm of a finished run, a part at a time: read, cleaned and asked as the run's own rows were.

Reads run directories; changes none. A row that cannot be asked says why, in its place.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ftkit.answers.answering import label_predictions, score_labels, written_predictions
from ftkit.answers.asking import Asker
from ftkit.answers.prompt import Arm
from ftkit.contracts import Batch, Context, TaskSpec
from ftkit.engine.answerer import Answerer
from ftkit.errors import DataError, MachineError, RecipeError
from ftkit.prepare.cleaning import RowStep
from ftkit.prepare.formats.openers import PACKED
from ftkit.prepare.intake import options_of, shape_in_recipe
from ftkit.prepare.mending import MendingStep
from ftkit.prepare.passes import cleaned
from ftkit.prepare.shapes import ShapeConfig, own_columns, recognise, values
from ftkit.prepare.sources import FileSource
from ftkit.recipe.data_block import Data
from ftkit.records import Example, Prediction, dump
from ftkit.registry import Choice, choice_of, find, names, suggest
from ftkit.run.finished import open_run

if TYPE_CHECKING:
    from ftkit.contracts import Table

Form: TypeAlias = Literal["jsonl", "csv"]
OnError: TypeAlias = Literal["report", "stop"]
STDIN = Path("-")
OURS = ("answer", "raw", "flags", "confidence", "scores", "error")
PART_ROWS = 500  # that are asked together: what a stream of answers waits for


@dataclass(frozen=True)
class NewRow:
    """A row with its own columns, as an example without a target; or why it is none."""

    place: str
    columns: dict[str, Any]
    example: Example | None
    fault: str = ""


def predict_rows(
    run_dir: Path, rows: Path, *, arm: str = "", form: str = "jsonl", on_error: str = "report", ctx: Context
) -> Iterator[str]:
    """Answers of an arm to the rows of a file (`-`: of stdin), in their order, as lines of JSON or CSV.

    A line has the row's own columns and `answer`, `raw`, `flags`; to classify also `confidence` and the `scores` of the
    labels; and `error`, which says why a row is not answered. Columns of the row that are named like these stand under
    `row.`. With rows that are not answered a DataError ends it, or is raised at the first where `on_error` is `stop`.
    """
    for option, value, known in (("--format", form, get_args(Form)), ("--on-error", on_error, get_args(OnError))):
        if value not in known:
            raise RecipeError(f"{option} {value}: expected {' or '.join(known)}{suggest(value, known)}")
    run = open_run(run_dir)
    chosen = run.arm(arm)
    with tempfile.TemporaryDirectory(prefix="ftkit-predict-") as folder:
        path = _spooled(Path(folder)) if rows == STDIN else rows
        parts = new_rows(path, run.recipe.data, ctx)
        first = next(parts)
        model = run.model(chosen, ctx)
        if model.precision != chosen.precision:
            ctx.progress.say(f"{chosen.name} was scored in {chosen.precision}; here it answers in {model.precision}")
        every = chain([first], parts)
        answered = _all_answered(every, chosen, model.load(), run.task, on_error=on_error, ctx=ctx)
        yield from map(dump, answered) if form == "jsonl" else _as_csv(answered, run.task)


def new_rows(path: Path, data: Data, ctx: Context) -> Iterator[list[NewRow]]:
    """Rows of a file as a run with this data block asks them, a part at a time. A target is neither needed nor read.

    The file's ending says its format, else the run's source does. Raises DataError where the file as a whole is none.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")

    def line_of(row: NewRow) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", row.place.rpartition(path.name)[2])]

    shape: ShapeConfig | None = None
    none: list[NewRow] = []  # rows that hold no example, until all rows before them are out
    for batch in _batches(path, data.source[0], ctx):
        shape = shape or _shape_of(data.source[0], batch.table, path, ctx)
        empty = dict.fromkeys(own_columns(batch.table))
        faults = [NewRow(place, {"id": place, **empty}, None, reason) for place, reason in batch.faults.items()]
        none = sorted([*none, *faults], key=line_of)
        for begin in range(0, batch.table.height, PART_ROWS):
            part = slice(begin, begin + PART_ROWS)
            own_ids = [None] * PART_ROWS if batch.own_ids is None else list(batch.own_ids[part])
            named = list(zip(batch.places[part], own_ids, strict=False))
            rows = _part(batch.table[part], named, shape, data, path=path, ctx=ctx)
            num_due = bisect_left(none, line_of(rows[-1]), key=line_of)
            yield sorted([*rows, *none[:num_due]], key=line_of)
            none = none[num_due:]
    if none:
        yield none


def _part(
    table: Table, named: Sequence[tuple[str, Any]], shape: ShapeConfig, data: Data, *, path: Path, ctx: Context
) -> list[NewRow]:
    """Rows of one table. `named`: the place of each, and the id that it came with, if any."""
    try:
        asked = shape.questions(table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    examples = {each["id"]: each for each in as_test_rows(asked.table, data, ctx).to_dicts()}
    names_of = ["id", *own_columns(table)]
    cells = zip(*(values(table, name) for name in names_of), strict=True)
    rows = []
    for (place, own_id), own in zip(named, cells, strict=True):
        columns = dict(zip(names_of, own, strict=True))
        made, name = examples.get(columns["id"]), str(columns["id"])
        columns["id"] = name if own_id is None else own_id
        if made is None:
            rows.append(NewRow(place, columns, None, asked.faults.get(name, "it holds no example")))
            continue
        history = tuple(made.get("history") or ())
        example = Example(name, made["input"], "", name, history, tools=made.get("tools"))
        rows.append(NewRow(place, columns, example))
    return rows


def as_test_rows(table: Table, data: Data, ctx: Context) -> Table:
    """Rows as prepare leaves the texts of test rows: changed by steps that change those, and never dropped."""
    import polars

    named = {"group": polars.col("id"), "named_group": polars.lit(False), "weight": polars.lit(1.0)}
    table = table.with_columns(**named)
    for step in data.clean:
        options = step.options
        spares_test = isinstance(options, MendingStep) and not options.targets
        if isinstance(options, RowStep) and options.changes_texts and not options.train_only and not spares_test:
            table = cleaned(step, table, ctx, keep=True).table
    return table


def _batches(path: Path, source: Choice, ctx: Context) -> Iterator[Batch]:
    """The rows under the ids of the run's source, or of a column `id`; under their places where there are none."""
    own = options_of(source).id
    for column in (own or "id", None):
        batches: Iterator[Batch] = _reader(path, source, column)(ctx)
        try:
            first = next(batches)
        except DataError:
            if column is None:
                raise
            continue
        if own is not None or column is None or not first.faults:
            return chain([first], batches)
    raise AssertionError("the second try returns or raises")


def _reader(path: Path, source: Choice, id_column: str | None) -> Choice:
    """A source of the file: of the kind that its ending names, with the options of the run's where it is the same."""
    kind = next((name for name in names("sources") if _is_named_like(path, name)), "")
    kind = kind or (source.name if isinstance(source.options, FileSource) else "jsonl")
    of_rows = {"path", "input", "target", "shape", "weight", "share", "id"}
    own = source.options.model_dump(mode="json", exclude_unset=True, exclude=of_rows) if kind == source.name else {}
    return choice_of("sources").model_validate({kind: {**own, "path": str(path), "id": id_column}})


def _is_named_like(path: Path, source: str) -> bool:
    config_type = find("sources", source).config_type
    endings = config_type.endings if issubclass(config_type, FileSource) else ()
    return path.name.lower().endswith(tuple(ending + packing for ending in endings for packing in ("", *PACKED)))


def _shape_of(source: Choice, table: Table, path: Path, ctx: Context) -> ShapeConfig:
    """The shape that the recipe names, or that the run recognised: from its source, or else from the rows at hand."""
    chosen, unread = shape_in_recipe(source), ""
    if chosen is None:
        try:
            table = next(source(ctx)).table
        except (DataError, MachineError) as error:
            unread = str(error)
        try:
            chosen = choice_of("shapes").model_validate(recognise(table))
        except DataError as error:
            raise DataError(
                f"{path}: {error}\nThe run saw the shape in its source, which cannot be read now ({unread}): "
                "bring it back, or give these rows the columns of the answer too, as null"
            ) from None
    options = chosen.options
    assert isinstance(options, ShapeConfig), f"the Config of shape {chosen.name!r} is no ShapeConfig"
    return options


def _spooled(folder: Path) -> Path:
    """What stands on stdin as a file whose ending says what it is. Raises DataError where nothing does."""
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with path.open("rb") as file:
        start = file.read(1 << 10).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise DataError("stdin: holds no rows; give them as JSON lines, CSV or parquet")
    ending = ".parquet" if start.startswith(b"PAR1") else ".jsonl" if start.startswith(b"{") else ".csv"
    return path.rename(path.with_suffix(ending))


def _all_answered(
    parts: Iterable[list[NewRow]], arm: Arm, answerer: Answerer, task: TaskSpec, *, on_error: str, ctx: Context
) -> Iterator[dict[str, Any]]:
    """A line for every row. Raises DataError at the end, or at once, where rows could not be answered."""
    num_rows = num_failed = 0
    for part in parts:
        ctx.check_stop()
        for row, line in zip(part, _answered(part, arm, answerer, task, ctx), strict=True):
            num_rows += 1
            if "error" in line:
                num_failed += 1
                where = f"{row.place}: {line['error']}"
                if on_error == "stop":
                    raise DataError(f"{where}\n--on-error report answers the other rows")
                ctx.progress.say(where)
            yield {**_own(row.columns, task), **line}
    if num_failed:
        raise DataError(f"{num_failed:,} of {num_rows:,} rows are not answered: their 'error' says why")


def _own(columns: Mapping[str, Any], task: TaskSpec) -> dict[str, Any]:
    """A row's own columns, under names that no line of either form needs."""
    ours, own = {*OURS, *(_score_column(label) for label in task.labels)}, {}
    for name, value in columns.items():
        free = name
        while free in ours or (free != name and free in columns):
            free = f"row.{free}"
        own[free] = _json(value)
    return own


def _answered(
    part: Sequence[NewRow], arm: Arm, answerer: Answerer, task: TaskSpec, ctx: Context
) -> Iterator[dict[str, Any]]:
    """What is said of each row of a part."""
    asker, faults, examples = Asker.of_task(answerer, arm.prompter, task), dict[int, str](), list[Example]()
    for place, row in enumerate(part):
        try:
            if row.example is not None:
                asker.fitted(row.example)
                examples.append(row.example)
        except DataError as error:
            faults[place] = str(error)
    lines = _lines(arm, answerer, task, examples, ctx) if examples else iter(())
    for place, row in enumerate(part):
        fault = row.fault if row.example is None else faults.get(place, "")
        yield {"answer": None, "raw": None, "flags": [], "error": fault} if fault else next(lines)


def _lines(
    arm: Arm, answerer: Answerer, task: TaskSpec, examples: Sequence[Example], ctx: Context
) -> Iterator[dict[str, Any]]:
    if task.kind == "generate":
        yield from map(_line, written_predictions(arm.name, answerer, arm.prompter, task, examples, ctx))
        return
    scores = score_labels(answerer, arm.prompter, task, examples, ctx)
    rows = label_predictions(arm.name, scores, task, arm.prompter.normalize)
    for row, of_labels in zip(rows, scores.of_labels(arm.prompter.normalize), strict=True):
        highest = max(of_labels)
        confidence = 1 / math.fsum(math.exp(value - highest) for value in of_labels)
        scored = dict(zip(task.labels, (round(value, 6) for value in of_labels), strict=True))
        yield {**_line(row), "confidence": round(confidence, 6), "scores": scored}


def _line(row: Prediction) -> dict[str, Any]:
    return {"answer": row.parsed, "raw": row.raw, "flags": list(row.flags)}


def _json(value: Any) -> Any:
    """A value as JSON can have it: a date, bytes, or what is no number becomes a text."""
    try:
        dump(value)
    except (TypeError, ValueError):
        return str(value)
    return value


def _as_csv(lines: Iterable[dict[str, Any]], task: TaskSpec) -> Iterator[str]:
    """A head, then a line for each row: lists and objects as JSON, a column for the score of each label.

    The first row has all columns of its own; raises DataError for a later one that has another.
    """
    columns: list[str] = []
    for line in lines:
        scores, error = line.pop("scores", {}), line.pop("error", None)
        of_labels = {_score_column(label): scores.get(label) for label in task.labels}
        flat = line | ({"confidence": line.get("confidence")} if task.labels else {}) | of_labels | {"error": error}
        if not columns:
            columns = list(flat)
            yield _csv_line(columns)
        if new := flat.keys() - columns:
            raise DataError(
                f"{flat['id']}: has the columns {sorted(new)}, which the first row has not; take JSON lines"
            )
        yield _csv_line([_cell(flat.get(name)) for name in columns])


def _score_column(label: str) -> str:
    return f"score {label}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()
