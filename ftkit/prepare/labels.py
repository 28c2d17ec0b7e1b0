"""The labels of a task to classify: found in the rows or named in the recipe, and held against every target.

Knows targets only; no step, no split and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.similarity import text_key
from ftkit.recipe.schema import Classify, TaskChoice
from ftkit.registry import suggest

OWN_TARGETS = 20  # so many labels may stand in one row each


def refuse_unlabelled(task: TaskChoice, columns: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError where rows to classify are texts alone; `columns` are those of each source."""
    for name, own in columns.items() if isinstance(task.options, Classify) else ():
        if "plain_text" in own:
            key = f"data.{name}" if name.startswith("source") else f"data.split.{name}"
            raise DataError(
                f"{key}: the rows are texts alone, without a label; to classify, name the columns of both as input and "
                "target of the source; to continue texts, the task is generate"
            )


def labels_of(task: TaskChoice, tables: Mapping[str, Rows], ctx: Context) -> list[str]:
    """The labels of the task, empty to generate. Raises DataError naming the first row of another target."""
    for name, rows in tables.items():
        for batch in rows.batches("id", "target"):
            empty = batch.filter(batch["target"].str.strip_chars() == "")
            if len(empty):
                given = f"mend or delete the row: no step drops a row of data.split.{name}"
                advice = "mend the row, or drop it with the step length" if name == "source" else given
                raise DataError(f"{empty['id'][0]}: the target is empty; {advice}")
    if not isinstance(task.options, Classify):
        return []
    targets = sorted({target for batch in tables["source"].batches("target") for target in batch["target"].unique()})
    if len(targets) < 2:
        raise DataError(f"data.source: all rows have the target {targets[0]!r}; to classify, two labels are needed")
    wanted = task.options.labels
    num_rows = len(tables["source"])
    if wanted == "auto" and len(targets) > max(OWN_TARGETS, num_rows / 2):
        some = " and ".join(repr(target[:40]) for target in targets[:2])
        raise DataError(
            f"data.source: {num_rows:,} rows have {len(targets):,} targets, {some} among them: too many to be labels; "
            "name the column of the label as target, list such labels in task.classify.labels, or choose task: generate"
        )
    labels = targets if wanted == "auto" else wanted
    check_targets(tables, labels, "found in data.source" if wanted == "auto" else "of task.classify.labels")
    plain: dict[str, str] = {}
    for label in labels:
        twin = plain.setdefault(text_key(label), label)
        if twin != label:
            ctx.progress.say(f"labels {twin!r} and {label!r} differ in case or punctuation only: one label?")
    return labels


def check_targets(tables: Mapping[str, Rows], labels: Sequence[str], origin: str) -> None:
    """Raise DataError naming the first row whose target is none of the labels; `origin` says where these stand."""
    import polars

    for rows in tables.values():
        for batch in rows.batches("id", "target"):
            unknown = batch.filter(~polars.col("target").is_in(labels))
            if len(unknown):
                name, target = unknown.row(0)
                hint, _, all_labels = suggest(target, labels).partition("; known")
                hint += f"; known{all_labels}" if all_labels and len(labels) <= 20 else ""
                raise DataError(f"{name}: target {target[:80]!r} is none of the labels {origin}{hint}")
