"""What comparing arms results in, as typed records: `verdict.json`, `metrics.json`, and two files side by side.
Values only: knows no file and no stage, and computes nothing.

A record's fields are the keys of its JSON. Of several bases, the fields of the last one come first.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from ftkit.records import Guard, Side
from ftkit.store import JsonRecord
from ftkit.verdict.resampling import Interval
from ftkit.verdict.stats import Contrast, Lean, Outcome, PairedTable, TestName

FileOutcome: TypeAlias = Literal["a", "b", "equivalent", "inconclusive"]


class Primary(JsonRecord):
    """The question, as it was declared before anything ran."""

    metric: str = Field(description="name of the metric that decides")
    margin: float = Field(description="the difference that would matter, in the metric's unit")
    level: float = Field(description="confidence level of all intervals")


class MetricValue(JsonRecord):
    """A metric of one arm over all test rows; both null where there are none."""

    value: float | None = Field(description="the metric over all rows")
    interval: Interval | None = Field(description="[low, high]; null where the rows do not vary enough for one")


class ArmContrast(JsonRecord):
    """One arm against another on the same rows; positive differences favour `a`. All null without rows."""

    a: str = Field(description="name of arm A, the fine-tuned one of the deciding pair")
    b: str = Field(description="name of arm B, the one with the best prompt of the deciding pair")
    difference: float | None = Field(description="metric of A minus metric of B")
    interval: Interval | None = Field(description="[low, high] of the difference")
    p_value: float | None = Field(description="of a test for a difference of zero; decides nothing")
    test: TestName | None = Field(description="the test that p_value comes from")
    table: PairedTable | None = Field(description="rows counted by who is right; null unless all scores are 0 or 1")

    @classmethod
    def of(cls, contrast: Contrast | None, *, a: str, b: str) -> ArmContrast:
        """The contrast of two arms by name; None where they have no rows in common."""
        if contrast is None:
            return cls(a=a, b=b, difference=None, interval=None, p_value=None, test=None, table=None)
        return cls(
            a=a,
            b=b,
            difference=contrast.difference,
            interval=contrast.interval,
            p_value=contrast.p_value,
            test=None if contrast.p_value is None else contrast.test,
            table=contrast.table,
        )


class UncutRows(JsonRecord):
    """The deciding pair, or fine-tuning against the prompt it does not beat, on the rows whose input neither arm
    shortened. Decides nothing.
    """

    num_rows: int = Field(description="rows whose input was cut in neither arm")
    contrast: ArmContrast = Field(description="the pair on these rows")


class OfMetric(JsonRecord):
    """What is about one metric."""

    metric: str = Field(description="name of the metric")


class SecondaryContrast(ArmContrast, OfMetric):
    """Another metric of the deciding pair, or another arm against prompting. Decides nothing."""

    p_value_holm: float | None = Field(description="p_value corrected for all secondary contrasts together")


class Metrics(JsonRecord):
    """`metrics.json`: every metric of every arm, and the contrasts that decide nothing."""

    level: float = Field(description="confidence level of all intervals")
    arms: dict[str, dict[str, MetricValue]] = Field(description="by arm, then by metric")
    secondary: tuple[SecondaryContrast, ...] = Field(description="one family of contrasts, corrected after Holm")


class ArmMetrics(JsonRecord):
    """The metrics of an arm."""

    metrics: dict[str, MetricValue] = Field(description="by name of the metric")


class OfModel(JsonRecord):
    """What answered for an arm."""

    side: Side = Field(description="prompting or fine_tuned, simple (no language model), or reference (never chosen)")
    model: str = Field(description="base, or the label of a training")
    precision: str = Field(description="in which the model was scored")


class ArmResult(ArmMetrics, OfModel):
    """An arm on the test rows: its metrics, answers that went wrong in form, and what a request takes."""

    num_unparsed: int = Field(description="answers that could not be read, counted as wrong")
    num_empty: int = Field(description="answers without a character")
    num_truncated: int = Field(description="answers stopped by max_new_tokens")
    num_cut: int = Field(description="inputs shortened to fit the model's context")
    prompt_tokens_mean: float = Field(description="tokens of a prompt, mean over rows")
    completion_tokens_mean: float = Field(description="tokens of an answer, mean over rows")


class Evidence(JsonRecord):
    """What a decision rests on."""

    primary: Primary = Field(description="the question, as it was declared")
    num_rows: int = Field(description="test rows that every arm answered")
    num_groups: int = Field(description="groups of those rows; rows of one group vary together")
    contrast: ArmContrast = Field(description="the deciding pair")
    minimum_detectable_difference: float | None = Field(
        description="true difference that this many rows would prove beyond the margin with power 0.8"
    )
    rows_needed: int | None = Field(
        description="rows that would settle the observed difference, as winner or as equivalent; null: no number would"
    )
    groups_needed: int | None = Field(
        description="groups that would settle it, where they hold several rows; rows_needed are in groups like those"
    )


class Decided(JsonRecord):
    """The decision between prompting and fine-tuning, and what is shipped."""

    sentence: str = Field(description="all of it in words, as the terminal and the report say it")
    verdict: Outcome = Field(description="who is better by more than the margin")
    ship: str | None = Field(
        description="name of the arm to ship, which may be the simple one; null where the verdict is invalid"
    )
    lean: Lean | None = Field(description="where an undecided interval lies, of the fine-tuned arm; else null")


class Against(JsonRecord):
    """The deciding pair against others. All empty where the verdict is invalid."""

    prompts: tuple[ArmContrast, ...] = Field(
        description="the fine-tuned arm against the other frozen prompts: it has to beat each by more than the margin"
    )
    simple: tuple[ArmContrast, ...] = Field(
        description="what needs no language model against both arms of the deciding pair; it is shipped where it is "
        "surely no worse, by more than the margin, than the one that would be"
    )
    floor: tuple[ArmContrast, ...] = Field(
        description="the deciding pair, and what is shipped, against the best of the floors"
    )
    cheaper: tuple[str, ...] = Field(
        description="frozen prompts that cost less per request than the one to ship and are not told apart from it"
    )


class Verdict(Against, Evidence, Decided):
    """`verdict.json`: whether fine-tuning is worth it, and all that says so."""

    arms: dict[str, ArmResult] = Field(description="every arm by name")
    floors: dict[str, dict[str, float]] = Field(
        description="metrics of answers that read nothing, by name: majority (the commonest of train), empty, copy"
    )
    guards: tuple[Guard, ...] = Field(description="checks that must hold for the numbers to mean anything")
    uncut: UncutRows | None = Field(
        None, description="the pair that decides on the rows whose input neither arm shortened; null where none was"
    )


class FilesDecided(JsonRecord):
    """The decision between two files of predictions."""

    verdict: FileOutcome = Field(description="which file is better by more than the margin")
    lean: Lean | None = Field(description="where an undecided interval lies, of a; else null")


class FileComparison(Evidence, FilesDecided):
    """Two files of predictions of the same rows, compared."""

    arms: dict[str, ArmMetrics] = Field(description="the two arms by name")
