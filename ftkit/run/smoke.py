"""A recipe tried out: every stage by its own code on a few of its rows, with a small random stand-in of its base.

On the CPU, in a temporary folder. The base's weights are not needed: its config, tokenizer and template are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.answers.prompt import Skipped
from ftkit.answers.search import prompts_of
from ftkit.contracts import Context, Machine, Quiet, TaskSpec
from ftkit.engine.files import refuse_pickled
from ftkit.engine.shrinking import Small, write_small
from ftkit.errors import DataError, FtkitError, InterruptedRunError, StoppedError
from ftkit.recipe.data_block import Limit
from ftkit.recipe.schema import Generate, Recipe, TaskChoice
from ftkit.recipe.train_block import Change
from ftkit.records import Example
from ftkit.report.markup import counted
from ftkit.run.artifacts import Baseline, Compared, Evaluated, Prepared, Trained
from ftkit.run.base import model_spec
from ftkit.run.check import Findings, findings_of
from ftkit.run.check import rendered as findings_rendered
from ftkit.run.estimating import Estimate, as_lines, estimate
from ftkit.run.exporting import export_model
from ftkit.run.given import TRAIN
from ftkit.run.models import require, task_spec
from ftkit.run.pipeline import Result, Until, refuse_code, run
from ftkit.run.settling import settled
from ftkit.run.stages import prepare

if TYPE_CHECKING:
    from rich.text import Text

NUM_TRAIN, NUM_ASKED = 20, 10  # rows; of train more where the prompts need them, of valid and test fewer:
NUM_LOGITS = 200_000_000  # of all that is asked of them at once, so that a large vocabulary takes no minutes
NUM_WRITTEN = 16  # tokens of an answer
SHORT = {"epochs": 1.0, "max_steps": 2, "num_evals": 1, "learning_rate": 1e-2, "warmup": 0.0}


@dataclass(frozen=True)
class Passed:
    """A stage that came to its end, and what it did."""

    stage: str
    found: list[str]
    seconds: float


@dataclass(frozen=True)
class Smoke:
    """What `ftkit check --smoke` found. `base` is the stand-in in words."""

    findings: Findings
    base: str
    passed: list[Passed]
    notes: list[str]
    estimate: Estimate

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def smoke_recipe(recipe: Recipe, ctx: Context) -> Smoke:
    """Check the recipe on all its rows, then run it on a few. Raises what a run would raise; says in which stage."""
    here = _here(recipe)
    ctx = here.around(ctx)
    refuse_code(here, ctx)
    require(here, ctx, weights=False)
    refuse_pickled(model_spec(here), ctx)
    with tempfile.TemporaryDirectory(prefix="ftkit-smoke-") as place:
        folder = Path(place)
        (folder / "rows").mkdir()
        prepared = prepare.run(prepare.PrepareConfig.of(here), folder / "rows", ctx)
        here = settled(here, prepared, ctx)
        findings = findings_of(here, prepared, ctx)
        num_train = _enough(here, task_spec(here.task, prepared.summary.labels), prepared.split("train"))
        asked = here.model_copy(update={"machine": recipe.machine, "model": recipe.model})
        reckoned = estimate(asked, findings, ctx)  # first: a model of this size computes on one thread
        small = write_small(model_spec(here), folder / _folder_name(here), ctx, seed=here.seed)
        passed = Tried(shortened(here, small, _few(findings, small, num_train)), folder, ctx).stages()
    return Smoke(findings, _in_words(small), passed, _notes(recipe), reckoned)


def _here(recipe: Recipe) -> Recipe:
    """The recipe for this machine's CPU, in float32."""
    machine = recipe.machine.model_copy(update={"device": "cpu", "attention": "auto"})
    model = recipe.model.model_copy(update={"precision": "float32"})
    return recipe.model_copy(update={"machine": machine, "model": model})


def _notes(recipe: Recipe) -> list[str]:
    """What the recipe asks for and was not tried."""
    notes = []
    if recipe.machine.device not in ("auto", "cpu"):
        notes.append(f"machine.device {recipe.machine.device}: not tried; all was done on the CPU")
    if recipe.model.precision == "bfloat16":
        notes.append("model.precision bfloat16: not tried; all was done in float32")
    if recipe.machine.attention != Machine().attention:
        notes.append(f"machine.attention {recipe.machine.attention}: not tried")
    return notes


def _folder_name(recipe: Recipe) -> str:
    return model_spec(recipe).name.rpartition("/")[2] or "base"


def _in_words(small: Small) -> str:
    (layers, few), (width, narrow) = small.num_layers, small.width
    built = f"{few} of {layers} layers" if few < layers else counted(layers, "layer")
    built += f", {narrow} of {width:,} wide" if narrow < width else f", {width:,} wide"
    return f"{built}, random weights, on the CPU in float32"


def _enough(recipe: Recipe, task: TaskSpec, train: Sequence[Example]) -> int:
    """How many rows of train: as many as give the search the same prompts as all, and two labels where there are."""

    def seen(rows: Sequence[Example]) -> tuple[int, bool]:
        prompts = prompts_of(recipe.baseline, task, rows, seed=recipe.seed)
        return sum(isinstance(each, Skipped) for each in prompts), len({row.target for row in rows}) > 1

    wanted, number = seen(train), NUM_TRAIN
    while number < len(train) and seen(train[:number]) != wanted:
        number *= 2
    return number


def _few(findings: Findings, small: Small, num_train: int) -> dict[str, int]:
    """How many rows of each split are tried."""
    of_a_row = max(each.own for each in findings.prompts) * small.vocabulary
    asked = min(NUM_ASKED, max(2, int(NUM_LOGITS / of_a_row)))
    return {"train": num_train, "valid": asked, "test": asked}


def shortened(recipe: Recipe, small: Small, few: Mapping[str, int]) -> Recipe:
    """The recipe on few rows and two steps, with the stand-in for its base. All else is as it is."""
    data, train, task = recipe.data, recipe.train, recipe.task
    limits = {name: min(getattr(data.limit, name) or most, most) for name, most in few.items()}
    split = data.split.model_copy(update={"test_sha256": None})
    variants = {label: _without(change, (*SHORT, "global_batch_size")) for label, change in train.variants.items()}
    steps = {**SHORT, "global_batch_size": min(train.global_batch_size, 8)}
    if isinstance(task.options, Generate):
        length = min(task.options.max_new_tokens, NUM_WRITTEN)
        task = TaskChoice.model_validate({task.name: task.options.model_copy(update={"max_new_tokens": length})})
    place = {"path": str(small.folder.absolute()), "hub": None, "revision": None}
    return recipe.model_copy(
        update={
            "model": recipe.model.model_copy(update=place),
            "task": task,
            "data": data.model_copy(update={"limit": Limit(**limits), "split": split}),
            "train": train.model_copy(update={**steps, "variants": variants}),
            # a second thread would only wait: the model is so small
            "machine": recipe.machine.model_copy(update={"threads": 1}),
        }
    )


def _without(change: Change, names: Sequence[str]) -> Change:
    """A variant's change without what it says of these keys."""
    left = {name: value for name, value in change.model_dump(mode="json").items() if name not in names}
    return type(change).model_validate(left)


class Tried:
    """The run, stage by stage, so that an error says where it came up."""

    def __init__(self, recipe: Recipe, folder: Path, ctx: Context) -> None:
        self.recipe = recipe
        self.folder = folder
        self.say = ctx.progress.say
        self.ctx = replace(ctx, machine=recipe.machine, progress=Quiet(), cache_dir=folder / "cache")
        self.passed: list[Passed] = []

    def stages(self) -> list[Passed]:
        """Run them all and export a model of each method."""
        for stage, found_of in FOUND.items():
            with self.timed(stage) as found:
                result = run(self.recipe, runs_dir=self.folder / "runs", until=stage, ctx=self.ctx)
                found += found_of(result)
        methods = {each.method.name: each.label for each in reversed(self.recipe.variants)}
        for label in reversed(methods.values()):
            arm = next(each.name for each in _evaluated(result).arms if each.model == label)
            with self.timed(f"export {label}") as found:
                export_model(result.run_dir, self.folder / f"export-{label}", arm=arm, ctx=self.ctx)
                found.append("one folder; in a fresh process it answers as it was scored")
        return self.passed

    @contextmanager
    def timed(self, stage: str) -> Iterator[list[str]]:
        self.say(f"smoke run: {stage}")
        began, found = time.monotonic(), list[str]()
        try:
            yield found
        except (StoppedError, InterruptedRunError):
            raise
        except FtkitError as error:
            error.args = ("\n".join(f"smoke run, {stage}: {line}" for line in str(error).splitlines()),)
            raise
        self.passed.append(Passed(stage, found, time.monotonic() - began))


def _prepared(result: Result) -> list[str]:
    rows = Prepared(result.artifacts["prepare"].path).summary.rows
    return [", ".join(f"{name} {count:,}" for name, count in rows.items()) + " rows"]


def _searched(result: Result) -> list[str]:
    statuses = [each.status for each in Baseline(result.artifacts["baseline"].path).candidates]
    return [f"{counted(statuses.count(each), 'prompt')} {each}" for each in dict.fromkeys(statuses)]


def _trained(result: Result) -> list[str]:
    trainings = [Trained(each.path).training for name, each in result.artifacts.items() if name.startswith(TRAIN)]
    return [
        f"{each.variant}: {counted(each.num_steps, 'step')} of {each.method}, {each.num_target_tokens:,} tokens learned"
        for each in trainings
    ]


def _evaluated(result: Result) -> Evaluated:
    return Evaluated(result.artifacts["evaluate"].path)


def _scored(result: Result) -> list[str]:
    found = _evaluated(result)
    return [f"{counted(len(found.arms), 'arm')} answered {counted(len(found.predictions) // len(found.arms), 'row')}"]


def _compared(result: Result) -> list[str]:
    failed = [each for each in Compared(result.artifacts["compare"].path).verdict.guards if each.status == "failed"]
    if failed:
        raise DataError("\n".join(f"the verdict would be invalid: {each.name}: {each.detail}" for each in failed))
    return ["verdict and report written"]


FOUND: dict[Until, Callable[[Result], list[str]]] = {
    "prepare": _prepared,
    "baseline": _searched,
    "train": _trained,
    "evaluate": _scored,
    "compare": _compared,
}


def rendered(smoke: Smoke) -> Iterator[Text]:
    """What check found, and the smoke run, for people: what was not tried is yellow."""
    from rich.text import Text

    yield from findings_rendered(smoke.findings)
    yield Text(f"\nsmoke run: {smoke.base}")
    for each in smoke.passed:
        for line in each.found:
            yield Text(f"  {each.stage}: {line}")
    for note in smoke.notes:
        yield Text(f"  {note}", style="yellow")
    yield Text(f"  nothing went wrong, in {sum(each.seconds for each in smoke.passed):.0f} s")
    yield Text("\nthe whole run, estimated from counts of weights and tokens:")
    yield from map(Text, as_lines(smoke.estimate))
