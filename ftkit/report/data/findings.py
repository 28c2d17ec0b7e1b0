"""What there is to know about prepared rows, as plain values: `data.json`, which the page of the data report lays out.

Reads the folder that prepare wrote, a few megabytes at a time; knows no recipe and no page. A number comes with ids
of rows behind it, and `texts` has those rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.prepare.summary import FunnelLine
from ftkit.prepare.threads import Threads
from ftkit.report.data import event_tally
from ftkit.report.data import words as data_words
from ftkit.report.data.prepared_rows import SPLITS, Piece, pieces, rows_at, rows_of
from ftkit.report.data.repeats import Place, SortedKeys, groups, repeats
from ftkit.report.data.split_tally import COLUMNS, EXAMPLES, FEW, SAMPLE_CHARS, SAMPLE_ROWS, SIDES, UNITS, Number, Tally
from ftkit.store import read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.contracts import Table

TEXT_CHARS = 2_000  # of a text that is kept to be looked at
LANGUAGE_ROWS = 500  # finding a language takes 0.2 ms
PHRASES, CUES, FEW_LABELS = 15, 6, 12
RARE_ROWS = 10  # a label with fewer rows in train is rare
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BARS = 24


def findings(folder: Path, *, threads: int = 1, on_progress: Callable[[int], object] = int) -> dict[str, object]:
    """What stands in `data.json`; the same bytes for the same folder and any number of threads. Counts are over all
    rows, except those of words, scripts and languages, which are over the first rows of each split: a random sample,
    as splits are in hash order. `on_progress` is told how many rows were counted since.
    """
    summary: dict[str, Any] = read_json(folder / "summary.json")
    labels: list[str] = summary["labels"]
    funnel = [FunnelLine(**line) for line in summary["funnel"]]
    with Threads(threads) as workers:
        tallies = _tallies(folder, labels, workers, on_progress)
        looks: Sequence[Callable[[], object]] = (
            partial(_languages, tallies),
            partial(_words, labels, tallies),
            partial(_scripts, tallies),
            partial(event_tally.steps, folder, funnel),
        )
        languages, words, scripts, steps = workers.in_turn(lambda look: look(), looks)
    report: dict[str, object] = {
        "rows": _rows(funnel, tallies),
        "first": {split: tally.sample["id"].head(EXAMPLES).to_list() for split, tally in tallies.items()},
        "funnel": [line.as_json() for line in funnel],
        "steps": steps,
        "lengths": _lengths(tallies),
        "labels": _labels(labels, tallies) if labels else None,
        "repeats": repeats([SortedKeys.of(split, tally.take_input_keys()) for split, tally in tallies.items()]),
        "groups": groups([SortedKeys.of(split, tally.take_group_keys()) for split, tally in tallies.items()]),
        "words": words,
        "scripts": scripts,
        "languages": languages,
        "suspicious": _suspicious(labels, tallies),
    }
    names = _names_of(folder, report)
    report = {key: _replaced(value, names) for key, value in report.items()}
    rows = rows_of(folder, _ids_in(report), max_chars=TEXT_CHARS, threads=threads)
    return {**report, "texts": {name: asdict(rows[name]) for name in sorted(rows)}}


def _tallies(
    folder: Path, labels: Sequence[str], workers: Threads, on_progress: Callable[[int], object]
) -> dict[str, Tally]:
    """Counts over all rows of each split."""

    def counted(piece: Piece) -> Tally:
        return Tally.of(piece.table(COLUMNS), has_labels=bool(labels))

    tallies: dict[str, Tally] = {}
    for split in SPLITS:
        for part in workers.in_turn(counted, pieces(folder / f"{split}.jsonl")):
            if split in tallies:
                tallies[split].add(part)
            else:
                tallies[split] = part
            on_progress(part.num_rows)
    return tallies


def _rows(funnel: Sequence[FunnelLine], tallies: Mapping[str, Tally]) -> dict[str, object]:
    """Rows that came, and what became of them."""
    kept = sum(tally.num_rows for tally in tallies.values())
    dropped = sum(line.dropped for line in funnel)
    added = sum(line.added for line in funnel)
    splits = {split: tally.num_rows for split, tally in tallies.items()}
    return {"came": kept + dropped - added, "dropped": dropped, "added": added, "kept": kept, "splits": splits}


def _lengths(tallies: Mapping[str, Tally]) -> list[dict[str, object]]:
    """Lengths by side and unit: quantiles, and a histogram with the same bars for all splits.

    A quantile is the length of a row: the least that at least this share of the rows does not exceed.
    """
    import polars

    lengths: list[dict[str, object]] = []
    for side, unit in [(side, unit) for side in SIDES for unit in UNITS]:
        tables = {split: tally.lengths[side, unit].sort("length") for split, tally in tallies.items() if tally.num_rows}
        if not tables:
            continue
        both = polars.concat(tables.values()).group_by("length").agg(polars.col("rows").sum()).sort("length")
        begin, width, num_bars = _bars(both)
        splits = {
            split: {
                "mean": round(int((table["length"] * table["rows"]).sum()) / int(table["rows"].sum()), 3),
                "quantiles": _quantiles(table),
                "bars": _histogram(table, begin, width, num_bars),
            }
            for split, table in tables.items()
        }
        longest = int(both["length"][-1])
        bars = {"begin": begin, "width": width, "last_is_open": longest >= begin + width * num_bars}
        lengths.append({"side": side, "unit": unit, "bars": bars, "splits": splits})
    return lengths


def _quantiles(lengths: Table) -> list[dict[str, object]]:
    values: list[int] = lengths["length"].to_list()
    ids: list[str] = lengths["id"].to_list()
    places = [(share, _place(lengths, share)) for share in QUANTILES]
    return [{"share": share, "value": values[place], "id": ids[place]} for share, place in places]


def _bars(lengths: Table) -> tuple[int, int, int]:
    """Where the bars of a histogram begin, how wide they are, and how many reach to the 99th percentile."""
    top, low = int(lengths["length"][_place(lengths, 0.99)]), int(lengths["length"][0])
    widths: Iterator[int] = (step * 10**power for power in range(19) for step in (1, 2, 5))
    width = next(width for width in widths if top // width - low // width < BARS)
    begin = low // width * width
    return begin, width, (top - begin) // width + 1


def _histogram(lengths: Table, begin: int, width: int, num_bars: int) -> list[int]:
    """Rows in each bar; the last one also has all that are longer."""
    import numpy as np

    bars = np.minimum((lengths["length"].to_numpy() - begin) // width, num_bars - 1)
    counts: list[int] = np.bincount(bars, weights=lengths["rows"].to_numpy(), minlength=num_bars).astype(int).tolist()
    return counts


def _place(lengths: Table, share: float) -> int:
    """Where in the table the first length is that at least this share of the rows does not exceed."""
    import numpy as np

    up_to: NDArray[np.int64] = lengths["rows"].cum_sum().to_numpy()
    wanted = max(share * int(up_to[-1]), 1) - 1e-6  # a product of floats may be a little more than whole
    return int(np.searchsorted(up_to, wanted))


def _labels(labels: Sequence[str], tallies: Mapping[str, Tally]) -> dict[str, object]:
    """Rows of each label in each split, the most frequent in train first; and the labels that a split has none of."""
    counts = {
        split: {label: tally.targets.get(label, Number()) for label in labels} for split, tally in tallies.items()
    }
    order = sorted(labels, key=lambda label: (-counts["train"][label].rows, label))
    rarest = list(reversed(order))[:EXAMPLES]
    return {
        "counts": [
            {"label": label, "splits": {split: asdict(counts[split][label]) for split in counts}} for label in order
        ],
        "absent": {split: [label for label in order if not counts[split][label].rows] for split in counts},
        "rarest": [{"label": label, "rows": counts["train"][label].rows} for label in rarest],
    }


def _names_of(folder: Path, value: object) -> dict[tuple[str, int], dict[str, str]]:
    """Id and group of the row at every place that stands in the value; each split is read once."""
    places = sorted({(place.split, place.position) for place in _leaves(value) if isinstance(place, Place)})
    names: dict[tuple[str, int], dict[str, str]] = {}
    for split, own in groupby(places, key=itemgetter(0)):
        positions = [position for _, position in own]
        rows = rows_at(folder, split, positions).iter_rows(named=True)
        names |= {(split, position): row for position, row in zip(positions, rows, strict=True)}
    return names


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(each)
    else:
        yield value


def _replaced(value: object, names: Mapping[tuple[str, int], Mapping[str, str]]) -> object:
    """The value with every place replaced by what stands there."""
    if isinstance(value, Mapping):
        return {name: _replaced(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, names) for each in value]
    return names[value.split, value.position][value.column] if isinstance(value, Place) else value


def _words(labels: Sequence[str], tallies: Mapping[str, Tally]) -> dict[str, object]:
    """Frequent phrases of one to three words, and where labels are few those that set a label apart."""
    splits: dict[str, object] = {}
    cues: list[dict[str, object]] | None = None
    for split, tally in tallies.items():
        phrases = data_words.Phrases(tally.sample["text"])
        ids: list[str] = tally.sample["id"].to_list()
        splits[split] = {
            "sample": len(ids),
            "phrases": [
                {"words": size, **_with_ids(phrase, ids)}
                for size in data_words.SIZES
                for phrase in phrases.top(size, PHRASES, num_positions=FEW)
            ],
        }
        if split == "train" and 1 < len(labels) <= FEW_LABELS:
            surest = phrases.cues(tally.sample["target"], CUES, num_positions=FEW)
            cues = [_with_ids(cue, ids) for cue in surest]
    return {"sample_rows": SAMPLE_ROWS, "sample_characters": SAMPLE_CHARS, "splits": splits, "cues": cues}


def _scripts(tallies: Mapping[str, Tally]) -> dict[str, object]:
    samples = {split: tally.sample for split, tally in tallies.items()}
    return {
        split: _kinds(sample, data_words.scripts(sample["text"], num_positions=EXAMPLES))
        for split, sample in samples.items()
    }


def _languages(tallies: Mapping[str, Tally]) -> dict[str, object] | None:
    """Languages of the first rows of each split, or None where the library that finds them is not installed."""
    by_split: dict[str, object] = {}
    for split, tally in tallies.items():
        sample = tally.sample.head(LANGUAGE_ROWS)
        kinds = data_words.languages(sample["text"], num_positions=EXAMPLES)
        if kinds is None:
            return None
        by_split[split] = _kinds(sample, kinds)
    return by_split


def _kinds(sample: Table, kinds: Sequence[data_words.Kind]) -> dict[str, object]:
    ids: list[str] = sample["id"].to_list()
    return {"sample": len(ids), "kinds": [_with_ids(kind, ids) for kind in kinds]}


def _with_ids(value: data_words.Phrase | data_words.Cue | data_words.Kind, ids: Sequence[str]) -> dict[str, object]:
    """Ids in the place of positions, shares with four digits."""
    values: dict[str, object] = asdict(value)
    del values["positions"]
    plain = {name: round(each, 4) if isinstance(each, float) else each for name, each in values.items()}
    return {**plain, "ids": [ids[position] for position in value.positions]}


def _suspicious(labels: Sequence[str], tallies: Mapping[str, Tally]) -> dict[str, object]:
    """Rows worth a look, whatever the steps said."""
    import polars

    some = {split: tally for split, tally in tallies.items() if tally.num_rows}
    histories = any(tally.empty_history.rows < tally.num_rows for tally in some.values())
    rare = [label for label in labels if tallies["train"].targets.get(label, Number()).rows < RARE_ROWS]
    rare_rows = [tallies["train"].targets.get(label, Number()) for label in rare]
    lightest = polars.concat([tally.lightest for tally in tallies.values()])
    return {
        "shortest": _extremes(tallies, descending=False),
        "longest": _extremes(tallies, descending=True),
        "target_in_input": {split: asdict(tally.target_in_input) for split, tally in some.items()},
        "rare_labels": {
            "fewer_than": RARE_ROWS,
            "labels": len(rare),
            "rows": sum(number.rows for number in rare_rows),
            "ids": [name for number in rare_rows for name in number.ids][:EXAMPLES],
        },
        "low_weight": {
            "rows": sum(tally.low_weight.rows for tally in some.values()),
            "lowest": lightest.sort("weight", maintain_order=True).head(EXAMPLES).to_dicts(),
        },
        "empty_history": {split: asdict(tally.empty_history) for split, tally in some.items()} if histories else None,
    }


def _extremes(tallies: Mapping[str, Tally], *, descending: bool) -> list[dict[str, object]]:
    """Ids and characters of the shortest or longest texts of all splits."""
    import polars

    tables = [tally.longest if descending else tally.shortest for tally in tallies.values()]
    return polars.concat(tables).sort("length", descending=descending, maintain_order=True).head(EXAMPLES).to_dicts()


def _ids_in(value: object) -> Iterator[str]:
    """Every id that is named, wherever it stands."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name in ("id", "kept_id"):
                yield from () if each is None else (str(each),)
            elif name in ("ids", "first"):
                yield from map(str, _leaves(each))
            else:
                yield from _ids_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _ids_in(each)
