"""Prepare: source rows become clean train, valid and test rows, and a ledger of all that was done to them.

Knows no model and no tokenizer: limits are in characters and words, so all models see the same rows. Rows are
read a batch at a time, and stand on disk where they are many.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import field_serializer

from ftkit.contracts import Context, Marked, Quiet
from ftkit.errors import DataError
from ftkit.prepare.cleaning import RowStep, StepWithContent, TableStep, events
from ftkit.prepare.groups import with_equal_rows_together
from ftkit.prepare.intake import (
    Stamps,
    aligned,
    columns_of,
    options_of,
    pool_of,
    read_all,
    refuse_one_source_twice,
    shares,
    sources_of,
    stamps_of,
)
from ftkit.prepare.labels import check_targets, labels_of, refuse_unlabelled
from ftkit.prepare.leaks import decontaminated
from ftkit.prepare.ledger import Ledger
from ftkit.prepare.mending import as_dealt
from ftkit.prepare.mixing import beyond_shares
from ftkit.prepare.passes import Workshop, apply_marks, clean
from ftkit.prepare.row_keys import column_fingerprints, distinct
from ftkit.prepare.rows import Rows, cut, in_order
from ftkit.prepare.splitting import SPLITS, order_keys
from ftkit.prepare.summary import Standing, Summary, split_summary
from ftkit.prepare.texts.markup import looks_scraped
from ftkit.prepare.texts.similarity import numbered
from ftkit.recipe.data_block import Data
from ftkit.recipe.schema import Classify, DataRecipe, TaskChoice
from ftkit.registry import Choice, Config
from ftkit.store import derive_seed, write_json

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.run.artifacts import Prepared

VERSION = 5
CHECKED_ROWS = 20
LOOKED_AT, SCRAPED = 2_000, 0.01  # rows in which markup is looked for, and the share from which it is said
WRITTEN = ("id", "input", "target", "group", "history", "rejected", "tools", "weight")


class PrepareConfig(Config):
    """What prepare reads of a recipe. Of the task only the labels count, and enter the stage's key."""

    task: TaskChoice
    data: Data
    seed: int

    @classmethod
    def of(cls, recipe: DataRecipe) -> PrepareConfig:
        """The fields of a recipe that decide what prepare writes."""
        return cls(task=recipe.task, data=recipe.data, seed=recipe.seed)

    @field_serializer("task")
    def _labels_only(self, task: TaskChoice) -> dict[str, Any]:
        return {task.name: {"labels": task.options.labels} if isinstance(task.options, Classify) else {}}


@dataclass(frozen=True)
class Inputs:
    """What prepare reads, before it is read: content ids by name, and stamps, by which a change since then shows."""

    ids: Mapping[str, str]
    stamps: Stamps


def inputs_of(config: PrepareConfig, ctx: Context) -> Inputs:
    """Stamps first: a file that is changed while it is hashed is noticed too. Raises DataError for one in two roles."""
    stamps = stamps_of(config.data, ctx)
    ids = input_ids(config, ctx)
    refuse_one_source_twice(config.data, lambda name: ids[f"sources/{name}"])
    return Inputs(ids, stamps)


def input_ids(config: PrepareConfig, ctx: Context) -> dict[str, str]:
    """Content ids: of each source (SHA-256 of its files, repository@commit of the hub), and of a step's model."""
    ids = {f"sources/{name}": options_of(source).content_id(ctx) for name, source in sources_of(config.data).items()}
    return ids | {f"cleaning/{place}": step.content_id(ctx) for place, step in _steps_with_content(config.data)}


def reads(data: Data) -> tuple[str, ...]:
    """The names of the content ids."""
    steps = [f"cleaning/{place}" for place, _ in _steps_with_content(data)]
    return (*(f"sources/{name}" for name in sources_of(data)), *steps)


def check(config: PrepareConfig, ctx: Context) -> dict[str, list[str]]:
    """Columns of every local source, after a look at its first rows. Raises DataError where they do not fit.

    Imports no torch. Sources of the hub are left out: they are checked once they are downloaded. Targets are judged
    as the steps that look at one row at a time leave them; a row that a comparing step would drop is judged too.
    """
    shares(config.data)
    columns, first_rows, sources = {}, {}, sources_of(config.data)
    refuse_one_source_twice(config.data, lambda name: _local_id(name, sources[name], ctx))
    wrong = []
    for name, source in sources.items():
        if not options_of(source).is_remote:
            try:
                columns[name], first_rows[name] = columns_of(config.data, name, source, ctx, num_rows=CHECKED_ROWS)
            except DataError as error:
                wrong.append(str(error))
    if wrong:
        raise DataError("\n".join(wrong))
    labelled = {name: rows for name, rows in first_rows.items() if not name.startswith("against.")}
    refuse_unlabelled(config.task, {name: rows.columns for name, rows in labelled.items()})
    if isinstance(config.task.options, Classify) and config.task.options.labels != "auto":
        _check_first_targets(config, labelled, config.task.options.labels, ctx)
    return columns


def _local_id(name: str, source: Choice, ctx: Context) -> str:
    """The content id; of a source of the hub its name, which is no other's."""
    return name if options_of(source).is_remote else options_of(source).content_id(ctx)


def run(config: PrepareConfig, out: Path, ctx: Context, *, inputs: Inputs | None = None) -> Prepared:
    """Read, clean, split, clear train of what is too near to valid or test, limit; write rows and ledger.

    Every row that was read is in exactly one split or has a drop event in the ledger. `inputs` are those of the
    stage's key, where one was made. Raises DataError where a source was changed since they were found.
    """
    from ftkit.report.data import page  # here, so that a look at a recipe's columns starts fast
    from ftkit.run.artifacts import Prepared

    inputs = inputs or inputs_of(config, ctx)
    folder = out / "rows"
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    folder.mkdir()
    work = Workshop(folder, Ledger(folder, ctx.progress), ctx)
    tables = read_all(config.data, work, inputs.stamps)
    against = {name: tables.pop(name) for name in list(tables) if name.startswith("against.")}
    tables = {"source": pool_of(tables, work), **{name: tables[name] for name in ("valid", "test") if name in tables}}
    refuse_unlabelled(config.task, {name: rows.columns for name, rows in tables.items()})
    tables = _clean(config, tables, work)
    tables["source"] = _mixed(config, tables["source"], work)
    labels = labels_of(config.task, tables, ctx)
    splits = _split(config, tables, labels, work)
    splits["train"] = _clean_train(config, splits["train"], work)
    cleared = decontaminated(config.data, splits, against, work)
    splits = _limited(config, cleared.splits, work)
    _refuse_empty(splits, work)
    _write(splits, out)
    work.ledger.write(out)
    test_sha256 = _digest_of(splits["test"])
    _refuse_another_test(config, test_sha256)
    groups = {name: distinct(rows, "group") for name, rows in splits.items()}
    summary = Summary(
        **dict(split_summary(splits, labels, groups, threads=ctx.machine.num_threads)),
        funnel=work.ledger.funnel,
        stood_in_train={name: Standing(**counts) for name, counts in cleared.standing.items()},
        sources={name.partition("/")[2]: value for name, value in inputs.ids.items()},
        test_sha256=test_sha256,
    )
    write_json(out / "summary.json", summary.as_json())
    with ctx.progress.bar("data report", sum(map(len, splits.values()))) as bar:
        page.write(out, threads=ctx.machine.num_threads, on_progress=bar.advance)
    _say_result(summary, groups, ctx)
    _say_markup(config, splits["train"], ctx)
    shutil.rmtree(folder)
    return Prepared(out)


def _say_markup(config: PrepareConfig, train: Rows, ctx: Context) -> None:
    """Where inputs look like web pages, and no step sees to that."""
    some = next(train.batches("input"))["input"].head(LOOKED_AT)  # a split is in an order of chance
    found = int(looks_scraped(some).sum())
    if found >= max(2, SCRAPED * len(some)) and not any(step.name == "html" for step in config.data.clean):
        ctx.progress.say(
            f"{found:,} of {len(some):,} inputs of train look like scraped web pages (</p>, <br>, &nbsp; …); where "
            "markup is no part of the task, put {html: {action: strip}} in data.clean"
        )


def _steps_with_content(data: Data) -> Iterator[tuple[int, StepWithContent]]:
    """Steps that read more than rows, by their place in the recipe."""
    for place, step in enumerate(data.clean):
        if isinstance(step.options, StepWithContent):
            yield place, step.options


def _steps(config: PrepareConfig, *, train_only: bool) -> list[Choice]:
    steps = []
    for step in config.data.clean:
        assert isinstance(step.options, (RowStep, TableStep)), f"{step.name}: neither RowStep nor TableStep"
        steps += [step] if step.options.train_only == train_only else []
    return steps


def _clean(config: PrepareConfig, tables: dict[str, Rows], work: Workshop) -> dict[str, Rows]:
    """Run the steps that do not judge by targets, on each source apart; given splits keep all rows."""
    given = [name for name in tables if name != "source"]
    tables = clean(tables, _steps(config, train_only=False), given, work)
    if not len(tables["source"]):
        raise DataError(f"data.clean: every row of data.source was dropped{work.ledger.worst}")
    return tables


def _clean_train(config: PrepareConfig, train: Rows, work: Workshop) -> Rows:
    """Run the steps that judge by targets, or make rows."""
    steps = _steps(config, train_only=True)
    train = clean({"train": train}, steps, [], work)["train"]
    again = numbered(column_fingerprints(train, "id")).again
    if again.size:
        twice = train.take(again[:1], "id")["id"][0]
        raise DataError(f"data.clean: a row that was made has the id {twice!r} of another row; name ids otherwise")
    if not any(isinstance(step.options, RowStep) for step in steps):
        return train
    return _lined_up(config, train, work)  # rows that were made stand behind those they are made of


def _mixed(config: PrepareConfig, pool: Rows, work: Workshop) -> Rows:
    wanted = {f"source.{place}": options_of(source).share for place, source in enumerate(config.data.source)}
    seed = derive_seed(config.seed, "prepare", "mix")  # not the order that rows are dealt in
    proportions = {name: share for name, share in wanted.items() if share is not None}
    if not proportions:
        return pool
    for name in proportions:
        if not int((pool.column("source") == name).sum()):
            raise DataError(f"data.source: no row of {name} is left to have a share{work.ledger.worst}")
    number = work.ledger.begin("mix")
    dropped = beyond_shares(pool.column("id"), pool.column("source"), proportions, seed=seed)
    pool = apply_marks(pool, Marked(dropped), number, work)
    work.ledger.say(number)
    return pool


def _check_first_targets(
    config: PrepareConfig, first_rows: Mapping[str, Table], labels: Sequence[str], ctx: Context
) -> None:
    steps = [step for step in _steps(config, train_only=False) if isinstance(step.options, RowStep)]
    with tempfile.TemporaryDirectory(prefix="ftkit-check-") as folder:
        work = Workshop(Path(folder), Ledger(Path(folder), Quiet()), replace(ctx, progress=Quiet()))
        tables = {name: work.write([rows]) for name, rows in first_rows.items()}
        given = [name for name in ("valid", "test") if name in tables]
        check_targets(clean(tables, steps, given, work), labels, "of task.classify.labels")


def _split(config: PrepareConfig, tables: Mapping[str, Rows], labels: Sequence[str], work: Workshop) -> dict[str, Rows]:
    """The three splits, each `_lined_up`."""
    import polars

    pool = tables["source"]
    valid, test = shares(config.data)
    groups = with_equal_rows_together(pool, threads=work.ctx.machine.num_threads)
    pool = pool if groups is None else pool.with_columns(work.path(), {"group": groups})
    order = order_keys(pool.column("group"), seed=config.seed)
    facts = {"order": order, "stratum": pool.column("target") if labels else polars.repeat("", len(pool), eager=True)}
    facts |= {name: pool.column(name) for name in ("id", "time")} if "time" in pool.columns else {}
    dealt = config.data.split.by(polars.DataFrame(facts), valid=valid, test=test)
    names = [name for name in SPLITS if name not in tables]
    batches = in_order(pool, polars.DataFrame({"split": dealt, "turn": _turns(pool, config)}), work.folder)
    parts = cut(batches, [int((dealt == name).sum()) for name in names])
    splits = {name: work.write(as_dealt(name, part, work.ledger)) for name, part in zip(names, parts, strict=True)}
    pool.delete()
    for name, rows in tables.items():
        if name in SPLITS:
            own = in_order(rows, _turns(rows, config).to_frame(), work.folder)
            splits[name] = work.replace(rows, as_dealt(name, own, work.ledger))
    return {name: splits[name] for name in SPLITS}


def _lined_up(config: PrepareConfig, rows: Rows, work: Workshop) -> Rows:
    return work.replace(rows, in_order(rows, _turns(rows, config).to_frame(), work.folder))


def _turns(rows: Rows, config: PrepareConfig) -> polars.Series:
    """When each row has its turn in its split, so that any beginning of a split is a fair draw of it.

    By a hash of the row's id that nothing else goes by: rows that were dealt by one hash and lined up by it would stand
    label by label at the cuts, and whole groups one behind another.
    """
    return order_keys(rows.column("id"), seed=derive_seed(config.seed, "prepare", "order"))


def _limited(config: PrepareConfig, splits: Mapping[str, Rows], work: Workshop) -> dict[str, Rows]:
    limits = {name: limit for name, limit in config.data.limit.model_dump().items() if limit is not None}
    if not limits:
        return dict(splits)
    number = work.ledger.begin("limit")
    limited = dict(splits)
    for name, rows in splits.items():
        beyond = rows.column("id")[limits.get(name, len(rows)) :]
        dropped = events("drop", beyond, f"beyond data.limit.{name} = {limits.get(name)}")
        limited[name] = apply_marks(rows, Marked(dropped), number, work)
    work.ledger.say(number)
    return limited


def _refuse_empty(splits: Mapping[str, Rows], work: Workshop) -> None:
    for name, rows in splits.items():
        if not len(rows):
            raise DataError(f"data.split: no row of {name} is left{work.ledger.worst}")


def _write(splits: Mapping[str, Rows], out: Path) -> None:
    """One JSON object a line, the same keys in every split; weights are written where one of them is not 1."""
    weighted = any(bool((rows.column("weight") != 1).any()) for rows in splits.values())
    used = {name for rows in splits.values() for name in rows.columns} - (set() if weighted else {"weight"})
    names = [name for name in WRITTEN if name in used]
    for split, rows in splits.items():
        with (out / f"{split}.jsonl").open("wb") as file:
            for batch in rows:
                aligned(_as_written(batch), names).write_ndjson(file)


def _as_written(batch: Table) -> Table:
    """Plain texts, which were cleaned as inputs, as targets without one."""
    import polars

    if "plain_text" not in batch.columns:
        return batch
    is_text = polars.col("plain_text")
    target = polars.when(is_text).then("input").otherwise("target")
    return batch.with_columns(target=target, input=polars.when(is_text).then(polars.lit("")).otherwise("input"))


def _digest_of(rows: Rows) -> str:
    """SHA-256 of what is asked and answered: ids, inputs, targets and histories; not of weights and groups."""
    digest = hashlib.sha256()
    for batch in rows:
        asked = _as_written(batch)
        names = [name for name in ("id", "input", "target", "history") if name in asked.columns]
        digest.update(asked.select(names).write_ndjson().encode())
    return digest.hexdigest()


def _refuse_another_test(config: PrepareConfig, found: str) -> None:
    wanted = config.data.split.test_sha256
    if wanted is not None and wanted != found:
        raise DataError(
            f"data.split.test_sha256: the test set is another one: it has {found}, the recipe pins {wanted}; "
            "scores on it cannot be compared with earlier ones. Bring the old rows back, or pin the new set"
        )


def _say_result(summary: Summary, groups: Mapping[str, NDArray[np.uint64]], ctx: Context) -> None:
    import numpy as np

    for name in ("valid", "test"):
        if shared := int(np.isin(groups[name], groups["train"]).sum()):
            ctx.progress.say(f"{shared:,} groups stand in train and in the given {name} rows")
    for name, counts in summary.label_counts.items():
        if absent := [label for label, count in counts.items() if not count]:
            shown = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
            ctx.progress.say(f"{name} has no row of {len(absent)} of {len(counts)} labels: {shown}")
