"""A finished run, made by hand, to compare and to report: every stage's files in a folder, with known counts.
Trains nothing and loads no model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftkit.answers.answering import scored
from ftkit.answers.floors import floor_predictions
from ftkit.answers.prompt import Arm, FrozenPrompts, Prompter
from ftkit.answers.prompting.few_shot import Demonstrating, Demonstration
from ftkit.contracts import Context, TaskSpec
from ftkit.recipe.schema import Recipe, parse_recipe
from ftkit.records import Example, Prediction, write_jsonl
from ftkit.report.comparison import Comparison
from ftkit.run.artifacts import Baseline, Evaluated, Prepared, Trained, write_timing
from ftkit.run.stages.compare import CompareConfig, CompareInputs, assemble
from ftkit.store import write_json

RECIPE = """
name: support-tickets
seed: 17
model: {path: data/tiny-base}
task: {classify: {labels: auto}}
data:
  source: {jsonl: {path: data/support_tickets.jsonl}}
compare:
  margin: 0.02
  prices: {gpu_hour: 2.5, input_tokens: 0.4, output_tokens: 1.6}
"""

MESSAGES = (
    (
        "Where is my parcel? The tracking page has not moved since Tuesday and I need it for the weekend.",
        "delivery",
    ),
    ("I was charged twice for the same order, please give me one of the two payments back.", "refund"),
    (
        "The app logs me out each time I open the basket. Phone is new, everything is up to date.",
        "technical fault",
    ),
    ("Please change the street on order 4471, I typed the old one out of habit.", "change of order"),
    ("The kettle came with a crack right through the handle. Photos attached.", "damaged goods"),
    ("How do I stop the newsletter? I clicked the link three times now.", "account"),
    ("Courier says delivered, neighbours say no, porch is empty.", "delivery"),
    ("Still waiting for the money from the return I sent on the 3rd.", "refund"),
    ("Checkout page stays white after I press pay.", "technical fault"),
    ("Can I swap the blue one for the green one before you ship it?", "change of order"),
)
LABELS = ("account", "change of order", "damaged goods", "delivery", "refund", "technical fault")

ZERO_SHOT = Prompter(
    label="zero_shot", family="zero_shot", instruction="What does the customer want?", normalize="calibrated"
)
SHOWN = (
    ("t12", "My parcel has been in the depot for a week.", "delivery"),
    ("t80", "I sent the shoes back, where is my money?", "refund"),
    ("t31", "The page freezes when I enter my card.", "technical fault"),
    ("t77", "Please remove the second lamp from my order.", "change of order"),
)
FEW_SHOT = Demonstrating(
    label="few_shot(k=4, balanced)",
    family="few_shot",
    options={"k": [4], "select": "balanced", "draws": 1},
    instruction="Classify the message.",
    normalize="mean",
    demonstrations=[Demonstration.of(Example(row, text, label, row)) for row, text, label in SHOWN],
)
WORDS = Prompter(label="words", family="zero_shot")
ENVIRONMENT = {
    "ftkit": "0.1.0",
    "python": "3.11.7",
    "processor": "x86_64",
    "threads": 1,
    "machine": {"device": "cpu"},
    "packages": {"torch": "2.13.0", "peft": None},
}
ARMS = (
    Arm("base+zero_shot", "base", "prompting", "float32", ZERO_SHOT),
    Arm("base+few_shot", "base", "prompting", "float32", FEW_SHOT),
    Arm("lora+zero_shot", "lora", "fine_tuned", "float32", ZERO_SHOT),
    Arm("lora+few_shot", "lora", "fine_tuned", "float32", FEW_SHOT),
    Arm("linear", "linear", "simple", "float64", WORDS),
)
CHOSEN = {"prompting": "base+few_shot", "fine_tuned": "lora+zero_shot"}
PROMPT_TOKENS = {ZERO_SHOT.label: 31, FEW_SHOT.label: 148, WORDS.label: 0}
RIGHT = {
    "base+zero_shot": "0123",
    "base+few_shot": "012345",
    "lora+zero_shot": "01234678",
    "lora+few_shot": "0123467",
    "linear": "012",
}
"""Of each ten rows, those answered right. Chosen pair: 5 by both, 3 by lora, 1 by base, 1 by none."""


def recipe(**changes: Any) -> Recipe:
    """The recipe of the run; `changes` are added as `--set` would, with __ for a dot."""
    overrides = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
    return parse_recipe(RECIPE, name="support.yaml", overrides=overrides)


def tests(num_rows: int) -> list[Example]:
    """Test rows, each its own group."""
    rows = []
    for index in range(num_rows):
        text, label = MESSAGES[index % 10]
        rows.append(Example(f"r{index:04}", f"{text} (order {1000 + index})", label, f"g{index}"))
    return rows


def answers(arm: Arm, rows: list[Example], *, right: str) -> list[Prediction]:
    """One arm's answers: `right` holds the last digits of its right rows. Rows 39, 79, … are cut if wrong."""
    return [_answer(arm, row, index=index, right=str(index % 10) in right) for index, row in enumerate(rows)]


def write_run(
    folder: Path, *, num_rows: int = 240, right: dict[str, str] | None = None, recipe_of: Recipe | None = None
) -> CompareInputs:
    """Write prepare, baseline, train and evaluate into `folder`; what compare takes."""
    rows = tests(num_rows)
    return CompareInputs(
        recipe=recipe_of or recipe(),
        prepared=_write_prepared(folder / "prepare", rows),
        baseline=_write_baseline(folder / "baseline"),
        trained={"lora": _write_trained(folder / "train-lora")},
        evaluated=_write_evaluated(folder / "evaluate", rows, right={**RIGHT, **(right or {})}),
        timings={
            "prepare": {"seconds": {"total": 2.1}},
            "baseline": {"seconds": {"total": 41.7}},
            "train-lora": {"seconds": {"total": 93.4}},
            "evaluate": {
                "seconds": {"total": 30.5},
                "arms": {arm.name: {"seconds": 2.4 + len(arm.prompter.train_rows), "rows": num_rows} for arm in ARMS},
            },
        },
        environments=dict.fromkeys(("prepare", "baseline", "train-lora", "evaluate"), ENVIRONMENT),
    )


def comparison(folder: Path, **options: Any) -> Comparison:
    """The run of `write_run`, compared."""
    inputs = write_run(folder, **options)
    return assemble(CompareConfig.of(options.get("recipe_of") or recipe()), inputs, Context())


def _answer(arm: Arm, row: Example, *, index: int, right: bool) -> Prediction:
    wrong = LABELS[(LABELS.index(row.target) + 1 + index % 2) % len(LABELS)]
    cut = not right and index % 40 == 39
    said = row.target if right else wrong
    return Prediction(
        arm=arm.name,
        id=row.id,
        group=row.group,
        reference=row.target,
        raw=said[:4] if cut else said,
        parsed=None if cut else said,
        scores={"accuracy": float(right)},
        flags=("unparsed", "truncated") if cut else (),
        prompt_tokens=PROMPT_TOKENS[arm.prompter.label] + index % 5,
        completion_tokens=2,
    )


def _write_prepared(folder: Path, rows: list[Example]) -> Prepared:
    folder.mkdir(parents=True)
    counts = {label: sum(row.target == label for row in rows) for label in LABELS}
    funnel = [
        {"step": "fix_text", "rows_in": 3120, "dropped": 0, "changed": 61, "flagged": 0},
        {"step": "length", "rows_in": 3120, "dropped": 24, "changed": 0, "flagged": 0},
        {"step": "exact_dedup", "rows_in": 3096, "dropped": 118, "changed": 0, "flagged": 0},
        {"step": "near_dedup", "rows_in": 2978, "dropped": 203, "changed": 0, "flagged": 0},
        {"step": "label_conflicts", "rows_in": 2775, "dropped": 14, "changed": 0, "flagged": 9},
    ]
    lengths = {"characters_mean": 81.5, "characters_max": 340, "words_mean": 17.0, "words_max": 60}
    summary = {
        "labels": list(LABELS),
        "rows": {"train": 2401, "valid": 120, "test": len(rows)},
        "groups": {"train": 2200, "valid": 120, "test": len(rows)},
        "label_counts": {
            "train": {label: 380 + 8 * index for index, label in enumerate(LABELS)},
            "valid": dict.fromkeys(LABELS, 20),
            "test": counts,
        },
        "lengths": {name: {"input": lengths, "target": lengths} for name in ("train", "valid", "test")},
        "funnel": funnel,
        "stood_in_train": {name: {"identical": 0, "equal": 0} for name in ("valid", "test")},
        "sources": {"data/support_tickets.jsonl": "5f0c" * 16},
        "test_sha256": "9a3e" * 16,
    }
    write_jsonl(folder / "test.jsonl", rows)
    write_json(folder / "summary.json", summary)
    return Prepared(folder)


def _candidate(index: int, prompt: Prompter, *, values: dict[str, float], **rest: Any) -> dict[str, Any]:
    best = max(values, key=lambda name: values[name]) if values else None
    return {
        "index": index,
        "family": prompt.family,
        "label": prompt.label,
        "instruction": prompt.instruction,
        "num_demonstrations": len(prompt.train_rows),
        "status": "scored",
        "detail": "",
        "values": values,
        "value": values[best] if best else None,
        "normalize": best,
        "prompt_tokens_mean": float(PROMPT_TOKENS.get(prompt.label, 1400)),
        "chosen": False,
        **rest,
    }


def _write_baseline(folder: Path) -> Baseline:
    folder.mkdir(parents=True)
    many = FEW_SHOT.model_copy(update={"label": "few_shot(k=64, balanced)"})
    candidates = [
        _candidate(0, ZERO_SHOT, values={"sum": 0.31, "mean": 0.36, "calibrated": 0.44}, chosen=True),
        _candidate(1, ZERO_SHOT, values={"sum": 0.30, "mean": 0.33, "calibrated": 0.40}, instruction="Sort it."),
        _candidate(2, FEW_SHOT, values={"sum": 0.55, "mean": 0.59, "calibrated": 0.58}, chosen=True),
        _candidate(
            3,
            many,
            values={},
            status="does not fit",
            detail="needs 1,400 of 1,024 tokens",
            num_demonstrations=64,
        ),
        _candidate(4, many, values={}, status="over budget", instruction="Sort it.", num_demonstrations=64),
    ]
    write_jsonl(folder / "candidates.jsonl", candidates)
    write_json(
        folder / "prompt.json", FrozenPrompts((ZERO_SHOT, FEW_SHOT), (FEW_SHOT.label, ZERO_SHOT.label)).as_json()
    )
    return Baseline(folder)


def _write_trained(folder: Path) -> Trained:
    folder.mkdir(parents=True)
    steps: list[dict[str, Any]] = []
    for step in range(1, 226):
        loss = 0.22 + 2.1 * 0.975**step + 0.12 * ((step * 37) % 11 - 5) / 5 * 0.99**step
        rate = 2e-4 * min(step / 22, 1.0) * (1 - step / 240)
        steps.append(
            {
                "step": step,
                "epoch": step / 75,
                "loss": loss,
                "learning_rate": rate,
                "grad_norm": 1.0,
                "num_target_tokens": 64,
            }
        )
        if step % 45 == 0:
            value = {45: 0.61, 90: 0.72, 135: 0.80, 180: 0.81, 225: 0.79}[step]
            steps.append({"step": step, "valid_value": value, "valid_loss": 0.45 + 1.2 * 0.97**step})
    training = {
        "variant": "lora",
        "method": "lora",
        "kind": "adapter",
        "best_step": 180,
        "num_steps": 225,
        "num_rows": 2401,
        "num_cut": 3,
        "num_dropped": 0,
        "num_target_tokens": 14406,
        "num_trainable_parameters": 184_320,
        "num_parameters": 1_234_567,
        "valid_value": 0.81,
        "learning_rate": 2e-4,
        "stopped_early": False,
    }
    write_jsonl(folder / "steps.jsonl", steps)
    write_json(folder / "training.json", training)
    write_json(folder / "guards.json", [{"name": "adapter_changes_logits", "status": "passed", "detail": ""}])
    return Trained(folder)


def _write_evaluated(folder: Path, rows: list[Example], *, right: dict[str, str]) -> Evaluated:
    folder.mkdir(parents=True)
    predictions = [row for arm in ARMS for row in answers(arm, rows, right=right[arm.name])]
    task = TaskSpec("classify", LABELS, 0, lambda text: text)
    train = [Example("t0", "My parcel is late.", "delivery", "t0")]
    guards = [
        {"name": "adapter_changes_logits", "status": "passed", "detail": ""},
        {"name": "no_test_row_in_train", "status": "passed", "detail": ""},
    ]
    write_json(folder / "arms.json", {"arms": [arm.as_json() for arm in ARMS], "chosen": CHOSEN})
    write_jsonl(folder / "predictions.jsonl", predictions)
    write_jsonl(folder / "floors.jsonl", scored(floor_predictions(task, train, rows), recipe().evaluate.metrics))
    write_json(folder / "guards.json", guards)
    write_timing(folder, {"total": 30.5})
    return Evaluated(folder)
