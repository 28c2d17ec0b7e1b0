"""Prepare: source rows become clean train, valid and test rows, and a ledger of all that was done to them.

Knows no model and no tokenizer: limits are in characters and words, so all models see the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_serializer

from ftkit.artifacts import Prepared
from ftkit.cleaning import TrainOnly
from ftkit.cleaning.near_dedup import NearDedup
from ftkit.contamination import Hit, hits
from ftkit.contracts import Cleaned, Context, Event
from ftkit.errors import DataError
from ftkit.intake import mapped, options_of, read_all, shares, sources_of
from ftkit.recipe import Classify, Data, TaskChoice
from ftkit.records import Example, write_jsonl
from ftkit.registry import Config, suggest
from ftkit.similarity import text_key
from ftkit.splitting import SPLITS, deal, order_key
from ftkit.store import write_json

if TYPE_CHECKING:
    from ftkit.contracts import Table

VERSION = 1
CHECKED_ROWS = 20


class PrepareConfig(Config):
    """What prepare reads of a recipe. Of the task only the labels count, and enter the stage's key."""

    task: TaskChoice
    data: Data
    seed: int

    @field_serializer("task")
    def _labels_only(self, task: TaskChoice) -> dict[str, Any]:
        return {task.name: {"labels": task.options.labels} if isinstance(task.options, Classify) else {}}


def input_ids(config: PrepareConfig, ctx: Context) -> dict[str, str]:
    """Content id of each source: SHA-256 of a file, repository@commit of the hub."""
    return {name: options_of(source).content_id(ctx) for name, source in sources_of(config.data).items()}


def check(config: PrepareConfig, ctx: Context) -> dict[str, list[str]]:
    """Columns of every local source, after a look at its first rows. Raises DataError where they do not fit.

    Imports no torch. Sources of the hub are left out: they are checked once they are downloaded.
    """
    shares(config.data)
    columns = {}
    for name, source in sources_of(config.data).items():
        if not options_of(source).is_remote:
            table = source(ctx, head=CHECKED_ROWS)
            rows = mapped(table, config.data, name, options_of(source))
            if isinstance(config.task.options, Classify) and config.task.options.labels != "auto":
                _check_targets({name: rows}, config.task.options.labels, "of task.classify.labels")
            columns[name] = list(table.columns)
    return columns


def run(config: PrepareConfig, out: Path, ctx: Context) -> Prepared:
    """Read, clean, split, clear train of what is too near to valid or test, limit; write rows and ledger.

    Every row that was read is in exactly one split or has a drop event in the ledger.
    """
    valid, test = shares(config.data)
    sources = input_ids(config, ctx)
    tables = read_all(config.data, ctx)
    ids_in = [name for table in tables.values() for name in table["id"]]
    log = _Log(ctx)
    tables = _clean(config, tables, log)
    labels = _labels(config, tables, ctx)
    splits = _split(tables, labels, valid=valid, test=test, seed=config.seed)
    splits["train"] = _clean_train(config, splits["train"], log)
    splits["train"] = _decontaminated(config, splits, log)
    splits = _limited(config, splits, log)
    _refuse_empty(splits, log)
    rows = {name: [Example(**row) for row in table.iter_rows(named=True)] for name, table in splits.items()}
    _account_for(ids_in, rows, log.events)
    for name, examples in rows.items():
        write_jsonl(out / f"{name}.jsonl", examples)
    write_jsonl(out / "ledger.jsonl", log.events)
    write_json(out / "summary.json", _summary(labels, rows, log, sources))
    _say_result(labels, rows, ctx)
    return Prepared(out)


@dataclass
class _Log:
    """Events so far, and one line of the funnel per step."""

    ctx: Context
    events: list[Event] = field(default_factory=list)
    funnel: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: str, num_rows: int, events: Sequence[Event]) -> None:
        """Keep what a step did to `num_rows` rows, and say it."""
        rows = {
            action: {event.id for event in events if event.action == action} for action in ("drop", "change", "flag")
        }
        counts = {"dropped": len(rows["drop"]), "changed": len(rows["change"]), "flagged": len(rows["flag"])}
        self.events.extend(events)
        self.funnel.append({"step": step, "rows_in": num_rows, **counts})
        done = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing to do"
        self.ctx.progress.say(f"{step}: {num_rows:,} rows, {done}")
        self.ctx.check_stop()


def _clean(config: PrepareConfig, tables: dict[str, Table], log: _Log) -> dict[str, Table]:
    """Run the steps that do not judge by targets, on each source apart; given splits keep all rows."""
    steps = [step for step in config.data.clean if not isinstance(step.options, TrainOnly)]
    total = sum(table.height for table in tables.values())
    with log.ctx.progress.task("clean", total * len(steps)) as task:
        for step in steps:
            num_rows = sum(table.height for table in tables.values())
            events: list[Event] = []
            for name, table in tables.items():
                cleaned = step(table, log.ctx)
                if name != "source":
                    cleaned = _flags_instead(table, cleaned)
                tables = {**tables, name: cleaned.table}
                events.extend(cleaned.events)
                task.advance(table.height, step.name)
            log.add(step.name, num_rows, events)
    if tables["source"].is_empty():
        raise DataError(f"data.clean: every row of data.source was dropped{_worst(log)}")
    return tables


def _flags_instead(table: Table, cleaned: Cleaned) -> Cleaned:
    """Put dropped rows back, in the group of the row they repeat, and turn their drops into flags."""
    import polars

    kept_for = {event.id: event.kept_id for event in cleaned.events if event.action == "drop"}
    group_of = dict(zip(cleaned.table["id"].to_list(), cleaned.table["group"].to_list(), strict=True))
    back = table.filter(polars.col("id").is_in(list(kept_for)))
    groups = [
        group_of.get(kept_for[name] or "", group)
        for name, group in zip(back["id"].to_list(), back["group"].to_list(), strict=True)
    ]
    both = polars.concat([cleaned.table, back.with_columns(polars.Series("group", groups, polars.String))])
    restored = table.select("id").join(both, on="id", how="left", maintain_order="left")
    softened = [replace(event, action="flag") if event.action == "drop" else event for event in cleaned.events]
    return Cleaned(restored, softened)


def _labels(config: PrepareConfig, tables: Mapping[str, Table], ctx: Context) -> list[str]:
    """The labels of the task, empty to generate. Raises DataError naming the first row of another target."""
    for table in tables.values():
        for name, target in zip(table["id"].to_list(), table["target"].to_list(), strict=True):
            if not target.strip():
                raise DataError(f"{name}: the target is empty; mend the row, or drop it with the step length")
    if not isinstance(config.task.options, Classify):
        return []
    found = sorted(set(tables["source"]["target"].to_list()))
    if len(found) < 2:
        raise DataError(f"data.source: all rows have the target {found[0]!r}; to classify, two labels are needed")
    wanted = config.task.options.labels
    labels = found if wanted == "auto" else wanted
    _check_targets(tables, labels, "found in data.source" if wanted == "auto" else "of task.classify.labels")
    plain: dict[str, str] = {}
    for label in labels:
        twin = plain.setdefault(text_key(label), label)
        if twin != label:
            ctx.progress.say(f"labels {twin!r} and {label!r} differ in case or punctuation only: one label?")
    return labels


def _check_targets(tables: Mapping[str, Table], labels: Sequence[str], origin: str) -> None:
    known = set(labels)
    for table in tables.values():
        for name, target in zip(table["id"].to_list(), table["target"].to_list(), strict=True):
            if target not in known:
                hint, _, all_labels = suggest(target, labels).partition("; known")
                hint += f"; known{all_labels}" if all_labels and len(labels) <= 20 else ""
                raise DataError(f"{name}: target {target[:80]!r} is none of the labels {origin}{hint}")


def _split(
    tables: Mapping[str, Table], labels: Sequence[str], *, valid: float, test: float, seed: int
) -> dict[str, Table]:
    """The three splits, each in the order of a hash of seed and group."""
    import polars

    pool = tables["source"]
    strata = pool["target"].to_list() if labels else [""] * pool.height
    dealt = polars.Series(deal(pool["group"].to_list(), strata, valid=valid, test=test, seed=seed), dtype=polars.String)
    splits = {name: tables[name] if name in tables else pool.filter(dealt == name) for name in SPLITS}
    return {name: _ordered(table, seed) for name, table in splits.items()}


def _ordered(table: Table, seed: int) -> Table:
    import polars

    keys = polars.Series("key", [order_key(group, seed=seed) for group in table["group"]], polars.String)
    return table.with_columns(keys).sort("key", maintain_order=True).drop("key")


def _clean_train(config: PrepareConfig, train: Table, log: _Log) -> Table:
    """Run the steps that judge by targets."""
    for step in config.data.clean:
        if isinstance(step.options, TrainOnly):
            cleaned = step(train, log.ctx)
            log.add(step.name, train.height, cleaned.events)
            train = cleaned.table
    return train


def _decontaminated(config: PrepareConfig, splits: Mapping[str, Table], log: _Log) -> Table:
    """Train without rows equal or near to a valid or test row; valid rows near to a test row are flagged."""
    import polars

    thresholds = [step.options.threshold for step in config.data.clean if isinstance(step.options, NearDedup)]
    threshold = min(thresholds, default=NearDedup().threshold)
    texts = {name: dict(zip(table["id"], table["input"], strict=True)) for name, table in splits.items()}
    leaks = hits(texts["train"], texts["test"] | texts["valid"], threshold=threshold)
    events = [_event(hit, "drop", "valid or test row") for hit in leaks]
    close = hits(texts["valid"], texts["test"], threshold=threshold)
    events += [_event(hit, "flag", "test row") for hit in close]
    log.add("decontaminate", sum(table.height for table in splits.values()), events)
    return splits["train"].filter(~polars.col("id").is_in([hit.id for hit in leaks]))


def _event(hit: Hit, action: Literal["drop", "flag"], what: str) -> Event:
    reason = f"{'equal' if hit.is_equal else 'nearly equal'} to a {what}"
    return Event(hit.id, "decontaminate", action, reason, hit.held_out_id, round(hit.similarity, 6))


def _limited(config: PrepareConfig, splits: Mapping[str, Table], log: _Log) -> dict[str, Table]:
    limits = config.data.limit.model_dump()
    events: list[Event] = []
    for name, table in splits.items():
        if limits[name] is not None:
            reason = f"beyond data.limit.{name} = {limits[name]}"
            events.extend(Event(row, "limit", "drop", reason) for row in table["id"][limits[name] :])
    if any(limit is not None for limit in limits.values()):
        log.add("limit", sum(table.height for table in splits.values()), events)
    return {name: table.head(limits[name] or table.height) for name, table in splits.items()}


def _refuse_empty(splits: Mapping[str, Table], log: _Log) -> None:
    for name, table in splits.items():
        if table.is_empty():
            raise DataError(f"data.split: no row of {name} is left{_worst(log)}")


def _worst(log: _Log) -> str:
    dropped = [f"{line['step']} {line['dropped']:,} of {line['rows_in']:,}" for line in log.funnel if line["dropped"]]
    return f"; dropped: {', '.join(dropped)}" if dropped else ""


def _account_for(ids_in: Sequence[str], rows: Mapping[str, Sequence[Example]], events: Iterable[Event]) -> None:
    kept = [row.id for examples in rows.values() for row in examples]
    dropped = [event.id for event in events if event.action == "drop"]
    assert sorted(kept + dropped) == sorted(ids_in), "a row is lost, doubled, or dropped twice"


def _summary(
    labels: list[str], rows: Mapping[str, Sequence[Example]], log: _Log, sources: Mapping[str, str]
) -> dict[str, Any]:
    counts = {name: Counter(row.target for row in examples) for name, examples in rows.items()}
    return {
        "labels": labels,
        "rows": {name: len(examples) for name, examples in rows.items()},
        "groups": {name: len({row.group for row in examples}) for name, examples in rows.items()},
        "funnel": log.funnel,
        "label_counts": {name: {label: counts[name][label] for label in labels} for name in rows},
        "lengths": {
            name: {side: _lengths([getattr(row, side) for row in examples]) for side in ("input", "target")}
            for name, examples in rows.items()
        },
        "sources": dict(sources),
    }


def _lengths(texts: Sequence[str]) -> dict[str, float]:
    chars = [len(text) for text in texts]
    words = [len(text.split()) for text in texts]
    return {
        "characters_mean": round(sum(chars) / len(chars), 3),
        "characters_max": max(chars),
        "words_mean": round(sum(words) / len(words), 3),
        "words_max": max(words),
    }


def _say_result(labels: Sequence[str], rows: Mapping[str, Sequence[Example]], ctx: Context) -> None:
    ctx.progress.say("rows: " + ", ".join(f"{name} {len(examples):,}" for name, examples in rows.items()))
    groups = {name: {row.group for row in examples} for name, examples in rows.items()}
    for name in ("valid", "test"):
        if shared := groups["train"] & groups[name]:
            ctx.progress.say(f"{len(shared):,} groups stand in train and in the given {name} rows")
    for name, examples in rows.items():
        if absent := sorted(set(labels) - {row.target for row in examples}):
            shown = ", ".join(absent[:5]) + (" …" if len(absent) > 5 else "")
            ctx.progress.say(f"{name} has no row of {len(absent)} of {len(labels)} labels: {shown}")
