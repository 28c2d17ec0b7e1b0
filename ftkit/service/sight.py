"""A first look at a file of rows that no recipe names yet: columns, shape, labels, lengths, what would leak.

Reads the file, writes nothing, and decides nothing about a recipe.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.prepare.formats.openers import PACKED
from ftkit.prepare.likely import likely
from ftkit.prepare.row_keys import identities
from ftkit.prepare.shapes import as_text, is_plain, own_columns, recognise
from ftkit.prepare.sources import FileSource
from ftkit.registry import choice_of, find, names
from ftkit.report.markup import counted

if TYPE_CHECKING:
    from ftkit.contracts import Table

LOOKED_AT = 20_000  # rows
SCRIPTS_OF = 1_000  # texts, evenly drawn
GROUPS = (
    *("customer", "client", "user", "author", "account", "patient", "speaker", "session", "thread", "conversation"),
    *("document", "doc", "group", "company", "product", "subject", "sender", "ticket", "order"),
)
DATES = re.compile(r"(date|time|created|updated|timestamp|_at)$", re.IGNORECASE)
NUMBER = re.compile(r"^[-+−]?[\d.,\s]*\d\s?%?$")
CLASSES = ("label", "labels", "class", "category", "intent", "topic", "tag")  # columns of which numbers are names
MOST_NUMBERS = 11  # of a scale from 0 to 10; where there are more, numbers are answers
LEAST_GROUPS = 20  # fewer cannot be dealt into three splits that say anything


@dataclass(frozen=True)
class File:
    """Rows of a file as they stand there; `is_whole`: there are no others."""

    path: Path
    source: str
    table: Table
    is_whole: bool
    places: Mapping[str, str]

    @property
    def columns(self) -> list[str]:
        """Those that could be named in a recipe."""
        return own_columns(self.table)

    @property
    def texts(self) -> list[str]:
        """Columns of plain values: what could be an input or a target."""
        return [name for name in self.columns if is_plain(self.table[name].dtype)]


@dataclass(frozen=True)
class Sight:
    """What the rows of a file are, once it is known which columns count.

    `shape` is a shape's name, or `columns` with `roles`. `groups` are columns whose values mark rows that belong
    together, `dates` such that hold dates. `faults`: rows that hold no example; `num_blank`: rows without an input or a
    target, which count nowhere else.
    """

    file: File
    shape: str
    roles: Mapping[str, str]
    inputs: Sequence[str]
    targets: Sequence[str]
    num_blank: int
    num_duplicates: int
    groups: Sequence[str]
    dates: Sequence[str]
    faults: Mapping[str, str]

    @property
    def labels(self) -> list[tuple[str, int]]:
        """Distinct targets, the commonest first."""
        return Counter(self.targets).most_common()

    @property
    def are_labels(self) -> bool:
        """Whether targets look like classes: short, and each there more than once on average."""
        labels = self.labels
        is_short = all(len(label) <= 60 and "\n" not in label for label, _ in labels)
        if self.are_numbers and len(labels) > MOST_NUMBERS and self.roles.get("target", "").lower() not in CLASSES:
            return False
        return is_short and 2 <= len(labels) <= 200 and len(self.targets) >= 2 * len(labels) and any(self.inputs)

    @property
    def are_numbers(self) -> bool:
        """Whether nearly all targets are numbers."""
        return sum(bool(NUMBER.match(target)) for target in self.targets) > 0.9 * len(self.targets)

    @property
    def unused(self) -> list[str]:
        """Columns beside those that count."""
        used = {name.strip("{}") for name in self.roles.values()}
        return [name for name in self.file.columns if self.roles and name not in used]

    @property
    def are_conversations(self) -> bool:
        """Whether rows are lists of messages, or bring an instruction of their own."""
        return self.shape in ("messages", "sharegpt", "alpaca", "preference", "prompt_completion")


def look(path: Path, ctx: Context) -> File:
    """The first rows of a file. Raises DataError where it is none that could be read, or holds fewer than two rows."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name one of its files, a recipe can then name a pattern: {path}/*.jsonl")
    source = choice_of("sources").model_validate({_kind(path): {"path": str(path)}})
    import polars

    parts, places, num_rows, is_whole = [], dict[str, str](), 0, True
    for batch in source(ctx):
        if num_rows >= LOOKED_AT:
            is_whole = False
            break
        parts.append(batch.table)
        places |= batch.faults
        num_rows += batch.table.height
    table = polars.concat(parts, how="diagonal_relaxed").head(LOOKED_AT) if parts else polars.DataFrame()
    if table.height < 2:
        raise DataError(f"{path}: holds {table.height or 'no'} row{'s' * (table.height == 0)}; a recipe needs many")
    return File(path, source.name, table, is_whole and num_rows <= LOOKED_AT, places)


def recognised(file: File) -> str | None:
    """The shape of the rows; None where columns have to be named."""
    try:
        return recognise(file.table)
    except DataError:
        return None


def likely_roles(file: File) -> dict[str, str]:
    """Columns that are likely the input and the target: by their names, else by what they hold; {} where none are."""
    named = re.fullmatch(r"input: (?P<input>.*), target: (?P<target>.*)", likely(file.texts))
    if named:
        return named.groupdict()
    if len(file.texts) < 2:
        return {}
    lengths = {name: _mean_length(file, name) for name in file.texts if _is_language(file, name)}
    lengths = lengths or {name: _mean_length(file, name) for name in file.texts}
    longest = max(lengths, key=lambda name: lengths[name])
    distinct = {name: file.table[name].n_unique() for name in file.texts if name != longest}
    several = {name: number for name, number in distinct.items() if number > 1} or distinct
    return {"input": longest, "target": min(several, key=lambda name: several[name])}


def _as_text(file: File, column: str) -> str:
    """The column, or where it holds lists or objects a template that writes them as JSON."""
    is_nested = as_text(file.table, column).is_null() & file.table[column].is_not_null()
    if set(column) & (set("{}[]!:") if is_nested.any() else set("{}")):
        raise DataError(f"{file.path}: column {column!r}: signs of its name are a template's in a recipe; rename it")
    return f"{{{column}}}" if is_nested.any() else column


def seen(file: File, shape: str, columns: Mapping[str, str]) -> Sight:
    """The rows under a shape, of `columns` by role. Raises DataError where they have another one."""
    import polars

    roles = {role: _as_text(file, column) for role, column in columns.items()}
    options: dict[str, Any] = dict(roles) if shape == "columns" else {}
    shaped = choice_of("shapes").model_validate({shape: options})(file.table)
    faults = {**file.places, **shaped.faults}
    rows = shaped.table
    if not rows.height:
        reason = next(iter(faults.values()), "none was found")
        raise DataError(f"{file.path}: no row holds an example: {reason}")
    used = {*columns.values()}
    asked = [name for name in ("input", "target") if name in rows.columns and (rows[name] != "").any()]
    is_blank = polars.any_horizontal(
        polars.lit(False), *(polars.col(name).fill_null("").str.strip_chars() == "" for name in asked)
    )
    rows = (every := rows).filter(~is_blank)
    if not rows.height:
        raise DataError(f"{file.path}: every row is without an input or without a target")
    return Sight(
        file,
        shape,
        roles,
        rows["input"].to_list() if "input" in rows.columns else [""] * rows.height,
        rows["target"].to_list(),
        every.height - rows.height,
        rows.height - identities(rows).n_unique(),
        [name for name in file.texts if name not in used and _is_group(file, name)],
        [name for name in file.texts if name not in used and DATES.search(name)],
        faults,
    )


def in_words(sight: Sight) -> list[str]:
    """What was found, a line each."""
    file, num_rows = sight.file, len(sight.targets)
    shown = f"{num_rows:,} rows" if file.is_whole else f"the first {num_rows:,} rows"
    what = ", ".join(f"{role}: {column}" for role, column in sight.roles.items()) or f"shape {sight.shape}"
    lines = [f"{file.path}: {shown}, {what}"]
    if sight.faults:
        place, reason = next(iter(sight.faults.items()))
        lines.append(f"{len(sight.faults):,} rows hold no example, the first: {place}: {reason}")
    if sight.num_blank:
        lines.append(f"{counted(sight.num_blank, 'row')} without input or target: a run drops what is not counted here")
    if sight.are_labels:
        (most, number), *others = sight.labels
        rarest = ", ".join(f"{label} ({count})" for label, count in others[-3:])
        lines.append(f"labels: {len(sight.labels)}, the commonest {most} ({number}), the rarest {rarest}")
    elif len(sight.labels) == 1:
        lines.append("answers: all are the same: there is nothing to learn from them")
    else:
        kind = "numbers" if sight.are_numbers else f"texts of {_words(sight.targets)}"
        lines.append(f"answers: {len(sight.labels):,} different, {kind}")
    if any(sight.inputs):
        lines.append(f"inputs: {_words(sight.inputs)}")
    scripts = _scripts([*sight.inputs, *sight.targets])
    if {*scripts} - {"Latin"}:
        lines.append(f"letters: {', '.join(f'{name} {share:.0%}' for name, share in scripts.items())}")
    if sight.num_duplicates:
        rows = "1 row asks" if sight.num_duplicates == 1 else f"{sight.num_duplicates:,} rows ask"
        lines.append(f"duplicates: {rows} what another one asks; one of each is kept")
    if sight.groups:
        lines.append(f"groups: rows of one {sight.groups[0]!r} stay in one split, or test would know them from train")
    if sight.unused:
        lines.append(f"neither input nor target: {', '.join(sight.unused)}")
    if sight.dates:
        lines.append(f"dates: {sight.dates[0]!r}; `ftkit show splitting/time` tests on the newest rows")
    return lines


def _kind(path: Path) -> str:
    for name in names("sources"):
        config_type = find("sources", name).config_type
        endings = config_type.endings if issubclass(config_type, FileSource) else ()
        if path.name.lower().endswith(tuple(ending + packing for ending in endings for packing in ("", *PACKED))):
            return name
    raise DataError(f"{path}: the name does not say what it holds; known endings: {', '.join(_all_endings())}")


def is_rows(path: Path) -> bool:
    """Whether a file is named like one that holds rows."""
    if path.name.lower().endswith(".json"):  # in which recipes are written too
        return path.is_file() and path.read_bytes()[:100].lstrip().startswith(b"[")
    return path.name.lower().endswith(tuple(ending + packing for ending in _all_endings() for packing in ("", *PACKED)))


def _all_endings() -> list[str]:
    types = [find("sources", name).config_type for name in names("sources")]
    return sorted({ending for each in types if issubclass(each, FileSource) for ending in each.endings})


def _is_group(file: File, column: str) -> bool:
    """Whether a column's name says so, and its values divide the rows into groups of which some are larger."""
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower())
    number = file.table[column].n_unique()
    return any(word in GROUPS for word in words) and LEAST_GROUPS <= number < 0.95 * file.table.height


def _is_language(file: File, column: str) -> bool:
    """Whether a column holds words: of addresses, hashes and keys few have a blank, or a sign beyond ASCII."""
    import polars

    texts = file.table[column].cast(polars.String).drop_nulls()
    return bool(texts.len()) and float(texts.str.contains(r"\s|[^\x00-\x7F]").mean() or 0) > 0.1  # type: ignore[arg-type]


def _scripts(texts: Sequence[str]) -> dict[str, float]:
    """Shares of the alphabets of letters, in some of the texts; those under 2 % are left out."""
    letters = Counter(sign for text in texts[:: len(texts) // SCRIPTS_OF + 1] for sign in text if sign.isalpha())
    by_script = Counter[str]()
    for sign, count in letters.items():
        by_script[unicodedata.name(sign, "other").split()[0].capitalize().replace("Cjk", "Han")] += count
    return {name: count / letters.total() for name, count in by_script.most_common() if count > 0.02 * letters.total()}


def _mean_length(file: File, column: str) -> float:
    import polars

    return float(file.table[column].cast(polars.String).str.len_chars().mean() or 0)  # type: ignore[arg-type]


def _words(texts: Sequence[str]) -> str:
    counts = [len(text.split()) for text in texts]
    return f"{counted(round(median(counts)), 'word')} in the middle, {max(counts):,} at most"
