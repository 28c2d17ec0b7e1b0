"""What each kind of component takes and gives, and the context every stage and component runs in.

Types only: nothing here computes, and nothing here knows a particular component.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import Field

from ftkit.registry import Config

if TYPE_CHECKING:
    import numpy as np
    import polars
    from markupsafe import Markup
    from numpy.typing import NDArray

    Table: TypeAlias = polars.DataFrame
    """Rows of prepare. A source gives its own columns; after mapping: id, input, target, group, weight, and more."""


TooLong: TypeAlias = Literal["error", "drop", "cut"]
"""What becomes of a row that does not fit the model's context. `cut` shortens its input, never its target."""


class Machine(Config):
    """Where and how wide to compute. Never hashed: it changes results by rounding at most."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where models are computed; auto: CUDA where there is a device, else the CPU"
    )
    micro_batch: Annotated[int, Field(ge=1, le=2**20)] | Literal["auto"] = Field(
        "auto", description="rows per forward pass"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        "auto", description="CPU threads; auto: of preparing, all there are"
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="kernel of the model's attention; auto: that of transformers"
    )

    @property
    def num_threads(self) -> int:
        """How many threads to compute with outside torch, which has its own mind about auto."""
        return num_cpus() if self.threads == "auto" else self.threads


def num_cpus() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


class Bar(Protocol):
    """Advance a bar of progress; `note` replaces the small print behind it."""

    def advance(self, count: int = 1, note: str = "") -> None: ...


class Progress(Protocol):
    """Where a stage says what it does: a bar for what takes long, a line for what must be known.

    `done`: units that an earlier attempt had done, which are no work of this one.
    """

    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> AbstractContextManager[Bar]: ...

    def say(self, text: str) -> None: ...


class Quiet:
    """Progress that shows nothing; `said` keeps the lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> Iterator[Bar]:
        """A bar nobody sees."""
        yield self

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count nothing."""

    def say(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)


def _never() -> None:
    """The stop check of a context that cannot be stopped."""


@dataclass(frozen=True)
class Context:
    """What surrounds a computation without being part of it.

    `check_stop` raises StoppedError or InterruptedRunError once the user asked to stop; call it between units of
    work that can be resumed. Relative paths of a recipe start at `base_dir`, or else at `recipe_dir`, where the recipe
    lies. `offline` forbids the network. `cache_dir` keeps hashes of large files.
    """

    progress: Progress = field(default_factory=Quiet)
    check_stop: Callable[[], None] = _never
    machine: Machine = field(default_factory=Machine)
    base_dir: Path = Path()
    recipe_dir: Path | None = None
    cache_dir: Path = field(default_factory=lambda: Path("~/.cache/ftkit").expanduser())
    offline: bool = False
    trust_remote_code: bool = False

    def resolve(self, path: str) -> Path:
        """A path or pattern of the recipe as one of this process: beside the recipe where nothing else is there."""
        here, beside = self._places(path)
        return beside if not _is_there(here) and _is_there(beside) else here

    def elsewhere(self, path: str) -> str:
        """Where else `resolve` looks, to go on with in an error behind 'no such file'; '' where there is one place."""
        here, beside = self._places(path)
        return "" if beside.absolute() == here.absolute() else f", nor beside the recipe: {beside}"

    def _places(self, path: str) -> tuple[Path, Path]:
        asked = Path(path).expanduser()
        here = self.base_dir / asked
        return here, here if self.recipe_dir is None else self.recipe_dir / asked


def _is_there(path: Path) -> bool:
    """Whether there is a file or folder, or one that a pattern means."""
    return path.exists() or any(iglob(str(path), recursive=True))  # noqa: PTH207 - of any text


@dataclass(frozen=True)
class Batch:
    """Some rows of a source, the place of each as 'file:line', and the places that hold none, each with its reason.

    `own_ids` is what stands in a column `id` of the rows, as it stands there; None where there is no such column.
    """

    table: Table
    places: polars.Series
    faults: Mapping[str, str] = field(default_factory=dict)
    own_ids: Sequence[Any] | polars.Series | None = None


@dataclass(frozen=True)
class Shaped:
    """What a shape made of a source's rows: id, input and target, and where the shape has them `history` (a list of
    the messages before the input), `rejected` and `tools` (JSON). `faults` has a reason by id of a row that holds no
    example of this shape, `notes` what is to be said of how columns were read, `unread` what columns hold that were
    read but for this: messages.name.
    """

    table: Table
    faults: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    unread: Collection[str] = ()


@dataclass(frozen=True)
class Cleaned:
    """Result of a step that sees one row at a time.

    Every id of the table that came in is in `table`, or in a drop event. `events` has the columns of
    `cleaning.events` and becomes lines of `ledger.jsonl`.
    """

    table: Table
    events: Table


@dataclass(frozen=True)
class Marked:
    """Result of a step that compares rows: events, and new values of columns, one for each row that came in.

    Never of input and history, which say what is compared: those are changed by steps that see one row at a time. Not
    `is_complete` where there were too many alike to compare each with each.
    """

    events: Table
    columns: Mapping[str, polars.Series] = field(default_factory=dict)
    is_complete: bool = True


@dataclass(frozen=True)
class TaskSpec:
    """What the recipe asks the model to do, with everything resolved (labels known, extractor chosen)."""

    kind: Literal["classify", "generate"]
    labels: tuple[str, ...]
    max_new_tokens: int
    extract: Callable[[str], str | None]


@dataclass(frozen=True)
class Trainable:
    """What a method made of a base model. The loop optimises the parameters that require a gradient.

    `model` has the forward of the base model. `kind` says how it is saved: `adapter` keeps only the adapter's
    weights beside the base's identity, `model` keeps all. `save(folder)` and `load(folder)` move the trainable
    weights out and in, as safetensors.
    """

    model: Any
    kind: Literal["adapter", "model"]
    save: Callable[[Path], None]
    load: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class MethodDefaults:
    """What a method trains with unless the recipe says otherwise."""

    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Section:
    """One part of the report. `html` is already escaped; both may be empty, then the section is left out."""

    title: str
    html: Markup
    markdown: str


@dataclass(frozen=True)
class Totals:
    """A metric of all rows together, as counts that add up over rows: what resamples of rows are computed from.

    `counts_RK` are those of each row; `metric` makes totals [..., K] into values [...]. R rows, K counts.
    """

    counts_RK: NDArray[np.float64]
    metric: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    @property
    def value(self) -> float:
        """The metric over all rows."""
        return float(self.metric(self.counts_RK.sum(axis=0)))


Scores: TypeAlias = "Sequence[float] | Totals | float"
"""What a metric returns: one number per prediction (in [0, 1], unless its Config says `bounded = False`), or one for
the whole corpus: as totals, or as a bare number, which has no interval and cannot decide."""

Json: TypeAlias = Mapping[str, Any]
