"""Deals one of k folds to test, for small sets: over the k runs each row is in test once.

Knows group and stratum of a row. Each label is spread over the folds; valid is a share of the other folds' rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ftkit.errors import RecipeError
from ftkit.prepare.splitting import GOLDEN, SPLITS, Groups, deal_by_shares, groups_of, in_strata, named, refuse_empty
from ftkit.registry import Config, component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class KFold(Config):
    """How many folds there are, and which one is test in this run; data.split.test is not used."""

    folds: int = Field(5, ge=2, description="number of folds")
    fold: int = Field(1, ge=1, description="the fold that is test, from 1")

    @model_validator(mode="after")
    def _one_of_them(self) -> KFold:
        if self.fold > self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: give one from 1 to {self.folds}")
        return self


@component
def deal(config: KFold, keys: Table, *, valid: float, test: float) -> polars.Series:
    """The split of each row; `valid` is a share of the rows outside the fold, `test` only says that rows are wanted.

    Raises RecipeError where test rows are given elsewhere, DataError where a split would be empty.
    """
    import numpy as np
    import polars

    if not test:
        raise RecipeError(
            "data.split: kfold makes test of the source's rows, and data.split.test gives others; drop one"
        )
    groups = groups_of(keys["order"])
    ordered = in_strata(groups, keys["stratum"])
    # each stratum begins elsewhere on the circle of folds, so that strata smaller than the folds do not meet in one
    turn = ordered.middle / ordered.num_rows + ordered.strata * GOLDEN
    in_test = np.empty(len(groups.sizes), bool)
    in_test[ordered.groups] = np.floor(turn * config.folds) % config.folds == config.fold - 1
    rest = ~in_test
    numbers = np.where(in_test, SPLITS.index("test"), SPLITS.index("train")).astype(np.uint8)
    if rest.any():
        own = rest[groups.of_row]
        others = Groups((np.cumsum(rest) - 1)[groups.of_row[own]].astype(np.int32), groups.sizes[rest])
        numbers[rest] = deal_by_shares(others, keys["stratum"].filter(polars.Series(own)), valid=valid, test=0)
    dealt = named(numbers[groups.of_row])
    refuse_empty(dealt, keys["order"], valid=valid, test=1 / config.folds)
    return dealt
