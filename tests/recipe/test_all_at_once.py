"""All mistakes of a recipe come in one list: those of single keys, those between keys, and those of --set."""

# ruff: noqa: E501  a message is on one line
from __future__ import annotations

import pytest

from ftkit.errors import RecipeError
from ftkit.recipe.across import CHECKS
from ftkit.recipe.schema import Recipe, parse_recipe

MINIMAL = """\
name: tickets
model: {path: base}
task: classify
data:
  source: {jsonl: {path: rows.jsonl, input: text, target: label}}
"""
FOUR_ROUNDS = """\
name: tickets
sed: 3
model: {path: base, revision: v1, precison: auto}
task: generate
data:
  source: {jsonl: {pth: rows.jsonl}}
  split: {valid: 0.6, test: 0.4, by: time}
baseline: {prompts: [few_shot], normalise: [sum]}
train: {lr: 1e-3, method: [lora, full], variants: {a: {}}}
evaluate: {metrics: [exact_match]}
compare: {primary: token_f1, margin: 2}
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, name="r.yaml", overrides=overrides)
    return list(caught.value.problems)


def test_mistakes_of_keys_and_between_keys_come_in_one_list() -> None:
    assert problems(FOUR_ROUNDS, "nonsense", "=1") == [
        "--set nonsense: expected key.path=value",
        "--set =1: expected key.path=value",
        "r.yaml:2:1: sed: unknown key; did you mean 'seed'?",
        "r.yaml:3:21: model.revision: belongs to hub; a path has none",
        "r.yaml:3:35: model.precison: unknown key; did you mean 'precision'?",
        "r.yaml:6:12: data.source.jsonl.path: is missing",
        "r.yaml:6:20: data.source.jsonl.pth: unknown key; did you mean 'path'?",
        "r.yaml:7:3: data.split: by: time needs to know when a row was made; name that column as split.time",
        "r.yaml:7:3: data.split: valid and test are 1 together: nothing is left for train",
        "r.yaml:8:12: baseline.prompts: zero_shot must be among them, since training uses its wording; or give train.wording: {instruction: {text: …}}",
        "r.yaml:8:33: baseline.normalise: unknown key; did you mean 'normalize'?",
        "r.yaml:9:9: train.lr: unknown key; here it is train.learning_rate (lr: PyTorch)",
        "r.yaml:9:19: train.method: a list of methods and variants are two ways to train several; take one of them",
        "r.yaml:11:11: compare.primary: 'token_f1' is not among evaluate.metrics; known: exact_match",
        "r.yaml:11:30: compare.margin: input should be less than 1, found 2",
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model={path: base, hub: me/base}", "model: give either path or hub"),
        ("model.revision=v1", "model.revision: belongs to hub; a path has none"),
        ("data.split.by=time", "data.split: by: time needs to know when a row was made; name that column as split.time"),
        ("data.split={by: {kfold: {folds: 3, fold: 1}}, test: {csv: {path: a}}}",
         "data.split: by: kfold deals the test rows; leave out test, which names rows of its own"),
        ("data.clean=[{near_dedup: {keep: newest}}]",
         "data.clean.0: near_dedup: keep: newest needs to know when a row was made; name that column as data.split.time"),
        ("data.split={valid: 0.5, test: 0.5}",
         "data.split: valid and test are 1 together: nothing is left for train"),
        ("train={method: [lora, full], variants: {a: {}}}",
         "train.method: a list of methods and variants are two ways to train several; take one of them"),
        ("baseline.prompts=[few_shot]", "baseline.prompts: zero_shot must be among them, since training uses its "
         "wording; or give train.wording: {instruction: {text: …}}"),
        ("compare.primary=acuracy", "compare.primary: 'acuracy' is not among evaluate.metrics; did you mean 'accuracy'?"),
    ],
)  # fmt: skip
def test_a_mistake_between_keys_is_not_hidden_by_one_elsewhere(override: str, problem: str) -> None:
    (alone,) = problems(MINIMAL, override)
    assert alone.endswith(problem)
    found = problems(MINIMAL, override, "seed=x", "machine.thread=2", "name=", "machine.device=tpu")
    assert sorted(found) == sorted(
        [
            alone,
            "--set: seed: input should be a valid integer, found 'x'",
            "--set: machine.thread: unknown key; did you mean 'threads'?",
            "--set: name: input should be a valid string, found None",
            "--set: machine.device: input should be 'auto', 'cpu', 'cuda' or 'mps', found 'tpu'",
        ],
    )


def test_labels_in_a_generating_recipe_are_found_in_all_wordings_at_once() -> None:
    text = MINIMAL.replace("classify", "generate") + "baseline: {instructions: ['One of {labels}.']}\nsede: 3\n"
    wording = "train={wording: {instruction: {text: '{labels}?'}}, variants: {a: {wording: {instruction: {text: '{labels}'}}}}}"
    assert problems(text, wording) == [
        "--set train: train.wording: {labels} needs task: classify",
        "--set train: train.variants.a: {labels} needs task: classify",
        "r.yaml:6:12: baseline.instructions: {labels} needs task: classify",
        "r.yaml:7:1: sede: unknown key; did you mean 'seed'?",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("evaluate: {metric: [token_f1]}\ncompare: {primary: token_f1}",
         "r.yaml:6:12: evaluate.metric: unknown key; here it is evaluate.metrics (metric: many tools)"),
        ("evaluate: {metrics: [tokn_f1]}\ncompare: {primary: tokn_f1}",
         "r.yaml:6:22: evaluate.metrics.0: unknown name 'tokn_f1'; did you mean 'token_f1'?"),
        ("metrics: [token_f1]\ncompare: {primary: token_f1}",
         "r.yaml:6:1: metrics: unknown key; here it is evaluate.metrics"),
        ("train: {wordng: {instruction: {text: x}}}\nbaseline: {prompts: [few_shot]}",
         "r.yaml:6:9: train.wordng: unknown key; did you mean 'wording'?"),
    ],
)  # fmt: skip
def test_what_a_mistake_may_explain_is_not_said_as_another(line: str, problem: str) -> None:
    assert problems(f"{MINIMAL}{line}\n") == [problem]


def test_a_model_under_a_wrong_key_is_one_mistake() -> None:
    assert problems(MINIMAL.replace("path: base", "model_name_or_path: base"), "seed=x") == [
        "--set: seed: input should be a valid integer, found 'x'",
        "r.yaml:2:9: model.model_name_or_path: unknown key; here it is model, at the top of the recipe: {hub: owner/name}, or {path: a folder} (model_name_or_path: TRL, LLaMA-Factory)",
    ]


def test_each_check_reads_keys_that_there_are() -> None:
    for check in CHECKS:
        for block, *key in check.reads:
            info = Recipe.model_fields[block]
            for name in key:
                info = info.annotation.model_fields[name]  # type: ignore[union-attr]
