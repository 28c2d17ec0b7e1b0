"""Adding a component is one product file and one golden example, where its kind has them: nothing else is touched.

Done in a copy of the house, whose own tests then hold what was added to the contract of its kind.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from forked import Forked

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
METRIC, STEP = (
    re.findall(rf'```python\n("""{begin}.*?)```', README, flags=re.DOTALL)[0]
    for begin in ("Share of rows whose answer starts", "Lower-cases inputs")
)
METRIC_EXAMPLE = {
    "about": "The first two letters count.",
    "options": {"letters": 2},
    "predictions": [
        {"parsed": "apricot", "reference": "apple"},
        {"parsed": "avocado", "reference": "apple"},
        {"parsed": None, "reference": "apple"},
    ],
    "expected": [1.0, 0.0, 0.0],
}
STEP_EXAMPLE = json.loads(re.findall(r"```json\n(.*?)```", README[README.index(STEP) :], flags=re.DOTALL)[0])
STRATEGY = '''"""The longest rows of train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftkit.answers.prompt import Prompter, Strategy, shown_turns
from ftkit.contracts import TaskSpec
from ftkit.records import Example, Message
from ftkit.registry import component


class Showing(Prompter):
    shown: dict[str, list[Message]]

    @property
    def train_rows(self) -> Mapping[str, Sequence[Message]]:
        return self.shown

    def earlier_turns(self, example: Example) -> list[Message]:
        return [turn for turns in self.shown.values() for turn in turns]


class Longest(Strategy):
    prompter = Showing

    k: int = 2


@component
def fit(config: Longest, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Prompter]:
    rows = sorted(train, key=lambda row: (-len(row.input), row.id))[: config.k]
    return [Showing(label=f"longest(k={config.k})", shown={row.id: shown_turns(row) for row in rows})]
'''
STRATEGY_EXAMPLE = {
    "about": "A short row is no demonstration.",
    "options": {"k": 1},
    "labels": ["card", "cash"],
    "seed": 17,
    "instruction": "Sort.",
    "train": [
        {"id": "1", "input": "card", "target": "card"},
        {"id": "2", "input": "where is my money", "target": "cash"},
    ],
    "row": {"id": "3", "input": "no card yet", "target": "card"},
    "expected": {
        "longest(k=1)": [
            ["user", "Sort.\n\nwhere is my money"],
            ["assistant", "cash"],
            ["user", "no card yet"],
        ],
    },
}
METHOD = '''"""Only the scales of the norms are trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.contracts import MethodDefaults, Trainable
from ftkit.registry import Config, component

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel

DEFAULTS = MethodDefaults(learning_rate=1e-3, weight_decay=0.0)
QUANTIZE = "none"


class ScalesOnly(Config):
    in_layers: bool = True


@component
def build(config: ScalesOnly, base: LoadedModel) -> Trainable:
    model: Any = base.model
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("norm.weight") and (config.in_layers or "layers" not in name))

    def load(folder: Path) -> None:
        model.load_state_dict(type(model).from_pretrained(folder, use_safetensors=True).state_dict())

    return Trainable(model, "model", model.save_pretrained, load)
'''
ADDED = {
    "answers/metrics/starts_right": (METRIC, METRIC_EXAMPLE),
    "prepare/cleaning/shout": (STEP, STEP_EXAMPLE),
    "answers/prompting/longest": (STRATEGY, STRATEGY_EXAMPLE),
    "training/methods/scales_only": (METHOD, None),
}
FILES = [
    *("test_architecture.py", "test_cli.py", "run/test_stage_keys.py", "prepare/test_golden.py"),
    *("answers/test_golden_answers.py", "training/test_methods.py", "run/test_exporting.py"),
]
HELD = {
    "starts_right": {
        "test_every_metric_gives_a_perfect_answer_all_of_its_score_or_says_why_it_cannot",
        "test_every_metric_scores_its_example_as_the_example_says",
    },
    "shout": {"test_every_step"},
    "longest": {"test_every_prompt_strategy_asks_of_its_example_what_the_example_says"},
    "scales_only": {
        "test_loss_and_gradients_of_any_method_equal_the_oracles",
        "test_training_by_any_method_lowers_the_loss",
        "test_transformers_says_of_an_export_what_was_scored",
        "test_what_a_method_saves_it_loads",
    },
}
OF_ALL = {  # what holds a component of any kind
    "test_a_changed_field_reruns_exactly_the_stages_that_depend_on_it",
    "test_a_file_imports_from_rooms_to_its_left_and_a_component_knows_no_sibling",
    "test_every_component_can_be_shown_without_stray_indents",
    "test_heavy_libraries_are_imported_at_module_level_by_the_engine_only",
    "test_no_file_is_over_400_lines_and_no_function_over_60",
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The house, without what is made in it."""
    for name in ("ftkit", "tests"):
        shutil.copytree(HERE / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "pyproject.toml", tmp_path)
    return tmp_path


def test_adding_a_component_is_one_product_file_and_one_golden_example(copied: Path) -> None:
    for place, (code, example) in ADDED.items():
        (copied / "ftkit" / f"{place}.py").write_text(code, encoding="utf-8")
        if example:
            _, kind, name = place.split("/")
            (copied / "tests" / "golden" / kind / f"{name}.json").write_text(json.dumps(example), encoding="utf-8")
    of_kinds = ["declares_exactly_one", "every_example_is_that", "every_row_of_the_table"]
    wanted, files = " or ".join([*of_kinds, *HELD]), [f"tests/{name}" for name in FILES]
    imported_before = "ignore::pytest.PytestAssertRewriteWarning"  # as it is where a process forks
    args = ["-n0", "-rp", "-W", imported_before, "-k", wanted, *files]
    tests = Forked("pytest", args, cwd=copied, env={"HOME": str(copied), "PYTHONPATH": str(copied), "PATH": ""})
    out, err = tests.communicate()
    assert (tests.returncode, err) == (0, ""), out
    passed = re.findall(r"^PASSED \S+::(\w+)\[(\S*)\]$", out, flags=re.MULTILINE)
    for name, held in HELD.items():
        assert {test for test, case in passed if name in case} == OF_ALL | held
