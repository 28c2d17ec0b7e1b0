"""Lists train rows whose target is probably wrong: confident learning on out-of-fold TF-IDF + logistic regression.

Knows texts and targets only; the language model to be tuned has no say. Northcutt et al. 2021, arXiv 1911.00068: a
row is suspected where another target is at least as probable as it is, on average, for its own rows.
"""

# R rows that are judged, K targets

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

from pydantic import Field

from ftkit.contracts import Context, Marked
from ftkit.errors import DataError
from ftkit.prepare.cleaning import TableStep, events
from ftkit.prepare.row_keys import answer_columns, answers, compared_columns, identities, row_digests
from ftkit.prepare.texts.words import TERM_COUNTS, terms
from ftkit.registry import component

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table
    from ftkit.prepare.rows import Rows

    Probabilities: TypeAlias = "NDArray[np.float32]"
    Codes: TypeAlias = "NDArray[np.int64]"

MAX_CELLS = 50_000_000  # rows x targets; the regression takes about 25 bytes for each
MAX_WEIGHTS = 10_000_000  # targets x words; lbfgs keeps 20 earlier steps, so about 180 bytes each


class LabelErrors(TableStep):
    """How rows are judged, and what becomes of the suspected ones."""

    train_only: ClassVar[bool] = True

    action: Literal["flag", "drop"] = Field("flag", description="list the suspected rows, or drop them")
    folds: int = Field(5, ge=2, le=20, description="each row is judged by a model that learnt from the other folds")
    seed: int = Field(17, description="another seed deals other folds")
    max_rows: int = Field(200_000, ge=1, description="more are refused: all texts' words are held in memory")


class _Sparse(Protocol):
    """A sparse matrix of scipy, which has no types."""

    def __getitem__(self, rows: Codes | NDArray[np.bool_]) -> _Sparse: ...

    def sort_indices(self) -> None: ...


@dataclass(frozen=True)
class Suspects:
    """Rows by their place; for each the target that fits better, and by how much more probable it is (0 to 1)."""

    rows: Codes
    suggested: Codes
    margins: NDArray[np.float64]


@component
def apply(config: LabelErrors, rows: Rows, ctx: Context) -> Marked:
    """An event for each suspected row: its given and its suggested target, and the margin as score.

    Targets with fewer rows than folds are not judged, which is said. Raises DataError where there are too many rows.
    """
    import polars

    if len(rows) > config.max_rows:
        raise DataError(
            f"label_errors: {len(rows):,} rows of train; at most {config.max_rows:,} are judged: raise its max_rows "
            "if memory and time allow, or leave the step out"
        )
    judged = _judged(config, rows, ctx)
    targets = judged["target"].unique().sort()
    given: Codes = judged.select(polars.col("target").rank("dense").cast(polars.Int64) - 1)["target"].to_numpy()
    words = _words(rows, len(targets)) if len(targets) > 1 else None
    if words is None:
        ctx.progress.say("label_errors: nothing to judge: two targets are needed whose rows share words")
        return Marked(events("flag", judged["id"].clear(), judged["id"].clear()))
    probabilities = _out_of_fold(words[judged["position"].to_numpy()], given, config=config, ctx=ctx)
    suspects = confident_errors(probabilities, given)
    suspected = judged[suspects.rows].with_columns(
        suggested=targets[suspects.suggested], margin=polars.Series(suspects.margins).round(6)
    )
    suspected = suspected.sort("position")
    named: Iterator[tuple[str, str, float]] = suspected.select("target", "suggested", "margin").iter_rows()
    reasons = [f"given {_short(own)}, suggested {_short(other)}, margin {margin:.3f}" for own, other, margin in named]
    reason = polars.Series("reason", reasons, polars.String)
    return Marked(events(config.action, suspected["id"], reason, scores=suspected["margin"]))


def confident_errors(probabilities_RK: Probabilities, given: Codes) -> Suspects:
    """Off-diagonal rows of the paper's confident joint (equation 1) whose suggested target is also the likelier one.

    Every target is given to some row. The threshold of a target is its mean probability over the rows it is given to.
    """
    import numpy as np

    places = np.arange(len(given))
    own_R: NDArray[np.float64] = probabilities_RK[places, given].astype(np.float64)
    thresholds_K = np.bincount(given, weights=own_R) / np.bincount(given)
    confident_RK: Probabilities = np.where(probabilities_RK >= thresholds_K, probabilities_RK, -1.0)
    suggested_R: Codes = confident_RK.argmax(axis=1)
    margins_R: NDArray[np.float64] = confident_RK[places, suggested_R] - own_R  # below 0: none reaches its threshold
    is_suspect_R: NDArray[np.bool_] = suggested_R != given
    rows = np.flatnonzero(is_suspect_R & (margins_R > 0))
    return Suspects(rows, suggested_R[rows], margins_R[rows])


def _judged(config: LabelErrors, rows: Rows, ctx: Context) -> Table:
    """Position, id and target of rows with large enough targets, in an order that is theirs: target, then hash.

    A row that asks nothing has no target to be judged.
    """
    import polars

    def seeded_id(batch: Table) -> polars.Series:
        return polars.select(polars.format("{}:{}", polars.lit(config.seed), batch["id"]).alias("id"))["id"]

    dice = row_digests(rows, seeded_id, "id")
    batches = rows.batches("id", *answer_columns(rows))
    table = polars.concat(batch.select("id", target=answers(batch)) for batch in batches).with_row_index("position")
    table = table.with_columns(high=dice[:, 0], low=dice[:, 1]).filter(polars.col("target").is_not_null())
    table = table.with_columns(count=polars.len().over("target"))
    small = table.filter(polars.col("count") < config.folds)
    if small.height:
        targets: list[str] = small["target"].unique().sort().head(5).to_list()
        named = ", ".join(map(_short, targets))
        ctx.progress.say(
            f"label_errors: {small['target'].n_unique():,} targets have fewer than {config.folds} rows and are not "
            f"judged ({small.height:,} rows): {named}"
        )
    judged = table.filter(polars.col("count") >= config.folds).sort("target", "high", "low")
    num_targets = judged["target"].n_unique()
    if judged.height * num_targets > MAX_CELLS:
        raise DataError(
            f"label_errors: {judged.height:,} rows of {num_targets:,} targets; at most {MAX_CELLS:,} pairs of them are "
            "weighed: leave the step out"
        )
    return judged.select("position", "id", "target")


def _words(rows: Rows, num_targets: int) -> _Sparse | None:
    """TF-IDF of terms and pairs of terms, a sparse row for each row; None where no two rows share a word.

    A word of one row only says nothing about the others.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    batches = rows.batches(*compared_columns(rows, "none"))
    found = (each for batch in batches for each in terms(identities(batch)).to_list())
    vectorizer = TfidfVectorizer(min_df=2, max_features=max(1, MAX_WEIGHTS // num_targets), **TERM_COUNTS)
    try:
        words: _Sparse = vectorizer.fit_transform(found)
    except ValueError:  # no word is left; nothing else can be wrong with texts
        return None
    words.sort_indices()  # they stand in the order in which words were met, and sums would round by it
    return words


def _out_of_fold(words: _Sparse, given: Codes, *, config: LabelErrors, ctx: Context) -> Probabilities:
    """Probabilities of all targets for each row. Rows stand target by target, so each target is in every fold."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    probabilities = np.empty((len(given), int(given.max()) + 1), np.float32)
    fold_of = np.arange(len(given)) % config.folds
    with ctx.progress.bar("label_errors: folds", config.folds, "folds") as bar, threadpool_limits(1):
        for fold in range(config.folds):
            ctx.check_stop()
            out: NDArray[np.bool_] = fold_of == fold
            model = LogisticRegression(C=10.0, max_iter=1000, random_state=config.seed % 2**32)
            model.fit(words[~out], given[~out])
            probabilities[out] = model.predict_proba(words[out])
            bar.advance()
    return probabilities


def _short(target: str) -> str:
    return repr(target if len(target) <= 60 else target[:57] + "…")
