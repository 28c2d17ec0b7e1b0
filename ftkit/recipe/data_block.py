"""The `data` block of a recipe: sources, cleaning, split, decontamination, limits.

Knows which components exist (by listing their folders) and no stage, model or row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator

from ftkit.recipe.templates import names_in
from ftkit.registry import Choice, Config, choice_of, one_or_more

if TYPE_CHECKING:
    SourceChoice: TypeAlias = Choice
    CleaningChoice: TypeAlias = Choice
    SplittingChoice: TypeAlias = Choice
else:
    SourceChoice = choice_of("sources")
    CleaningChoice = choice_of("cleaning")
    SplittingChoice = choice_of("splitting")


def _share_or_source(value: Any) -> str:
    return "source" if isinstance(value, (str, dict, Choice)) else "share"


Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
ShareOrSource: TypeAlias = Annotated[
    Annotated[Share, Tag("share")] | Annotated[SourceChoice, Tag("source")], Discriminator(_share_or_source)
]
Count: TypeAlias = Annotated[int, Field(ge=1)]


class Split(Config):
    """How rows become valid and test: a share of the rows, or a source of their own. The rest is train."""

    valid: ShareOrSource = Field(0.1, description="rows that choices are made on: a share, or a source of its own")
    test: ShareOrSource = Field(0.2, description="rows that the verdict rests on: a share, or a source of its own")
    by: SplittingChoice = Field(
        default_factory=lambda: SplittingChoice.model_validate("stratified"), description="how shares are dealt"
    )
    group: str | None = Field(None, description="column; rows with the same value stay in one split")
    time: str | None = Field(None, description="column of a date or number; for by: time and for keep: newest")
    test_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="as summary.json once had it: another test set is an error, not a new score"
    )


class Decontaminate(Config):
    """Train rows that equal, contain, or are too near to a valid or test row leave train; always on."""

    identity: str | None = Field(
        None, description='what identifies a row, as "{column}\\n{column}" of its source; default: its input'
    )
    threshold: Annotated[float, Field(ge=0.5, le=1)] | None = Field(
        None, description="Jaccard similarity that is too near; default: near_dedup's, else 0.8"
    )
    against: list[SourceChoice] = Field(
        default=[], description="more rows that train must not hold, of a benchmark say"
    )

    @field_validator("identity")
    @classmethod
    def _plain_names(cls, template: str | None) -> str | None:
        if template is not None:
            names_in(template)
        return template


class Limit(Config):
    """At most so many rows of each split are kept, the first in the order of the split."""

    train: Count | None = Field(None, description="rows of train at most; left out: all")
    valid: Count | None = Field(None, description="rows of valid at most; left out: all")
    test: Count | None = Field(None, description="rows of test at most; left out: all")


class Data(Config):
    """Where rows come from, how they are cleaned and split."""

    source: Annotated[list[SourceChoice], one_or_more(SourceChoice), Field(min_length=1)] = Field(
        description="where rows are read from; of several, each with its share or none"
    )
    on_error: Literal["stop", "drop"] = Field("stop", description="drop: malformed rows go to the ledger")
    clean: list[CleaningChoice] = Field(default=[], description="steps in order; left out: the task's defaults")
    split: Split = Field(default_factory=Split, description="which rows become valid and test")
    decontaminate: Decontaminate = Field(Decontaminate(), description="which train rows are too near to held-out ones")
    limit: Limit = Field(Limit(), description="how many rows of each split are kept")

    @field_validator("source")
    @classmethod
    def _shares_for_all_or_none(cls, sources: list[Choice]) -> list[Choice]:
        shares = [getattr(source.options, "share", None) for source in sources]
        if any(share is not None for share in shares) and (None in shares or len(shares) == 1):
            raise ValueError("share: give one to each of several sources, or to none")
        return sources
