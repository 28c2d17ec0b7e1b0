"""The trainer from Python, as the README shows it."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import byte_level, context, model_of, save_base

from ftkit import Trainer
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context
from ftkit.engine.load import ModelSpec, load
from ftkit.engine.local import LocalModel
from ftkit.errors import ArtifactError, BusyError, DataError, RecipeError, StoppedError
from ftkit.recipe.schema import load_data_recipe
from ftkit.recipe.train_block import Train
from ftkit.records import read_jsonl, write_jsonl
from ftkit.run.artifacts import Prepared
from ftkit.run.pipeline import prepare_rows
from ftkit.store import locked
from ftkit.training.rows import examples_of, training_rows
from ftkit.training.trainer import TrainOptions

ROWS = [{"input": f"message number {k}", "target": ("card", "cash?")[k % 2]} for k in range(12)]
QUICK: Any = {"epochs": 2, "global_batch_size": 4, "learning_rate": 1e-2, "precision": "float32"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    save_base(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return context(tmp_path)


@pytest.mark.parametrize("method", ["lora", {"qlora": {"rank": 4}}, "full"])
def test_fit_gives_the_folder_and_the_step_log(method: Any, base: Path, ctx: Context, tmp_path: Path) -> None:
    result = Trainer(str(base), method, ROWS, output_dir=tmp_path / "out", ctx=ctx, **QUICK).fit()
    assert [step["step"] for step in result.steps] == [1, 2, 3, 4, 5, 6]
    assert result.loss == result.steps[-1]["loss"] < result.steps[0]["loss"]
    assert result.weights_dir == tmp_path / "out" / ("model" if method == "full" else "adapter")
    assert (result.weights_dir / "ftkit.json").is_file() and (result.weights_dir / "tokenizer.json").is_file()
    if method == "full":
        with pytest.raises(AttributeError, match="weights_dir"):
            _ = result.adapter_dir
    else:
        assert result.adapter_dir == result.weights_dir


def test_a_dataset_gives_the_bytes_that_a_list_gives(base: Path, ctx: Context, tmp_path: Path) -> None:
    from datasets import Dataset

    for name, rows in (("list", ROWS), ("dataset", Dataset.from_list(ROWS))):
        Trainer(base, "lora", rows, output_dir=tmp_path / name, ctx=ctx, **QUICK).fit()
    for name in ("steps.jsonl", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        assert (tmp_path / "list" / name).read_bytes() == (tmp_path / "dataset" / name).read_bytes()


def test_a_model_in_memory_is_trained_too(ctx: Context, tmp_path: Path) -> None:
    tokenizer = byte_level()
    model = model_of(vocabulary=len(tokenizer))
    result = Trainer(model, "lora", ROWS, tokenizer=tokenizer, output_dir=tmp_path / "out", ctx=ctx, **QUICK).fit()
    assert result.adapter_dir.is_dir()
    with pytest.raises(RecipeError, match="needs its tokenizer"):
        Trainer(model, "lora", ROWS, output_dir=tmp_path / "out", ctx=ctx).fit()
    with pytest.raises(RecipeError, match="qlora needs a base with quantisation nf4"):
        Trainer(model, "qlora", ROWS, tokenizer=tokenizer, output_dir=tmp_path / "out", ctx=ctx).fit()


def test_valid_rows_choose_the_weights(base: Path, ctx: Context, tmp_path: Path) -> None:
    rows = [*ROWS[:4]] * 3
    result = Trainer(
        base,
        "full",
        rows,
        valid_rows=ROWS[6:8],
        output_dir=tmp_path / "out",
        ctx=ctx,
        **{**QUICK, "epochs": 8},
    ).fit()
    evaluations = {step["step"]: step["valid_loss"] for step in result.steps if "valid_loss" in step and step["step"]}
    assert result.best_step == min(evaluations, key=lambda step: evaluations[step])


def learned(base: Path, row: dict[str, Any], ctx: Context, *, instruction: str = "") -> tuple[str, str, float]:
    """What a row is as the model sees it, what of it is learned, and its weight."""
    model = LocalModel(load(ModelSpec(path=base, hub=None, revision=None, precision="float32"), ctx))
    prompter = Prompter(label="rows", instruction=instruction)
    (made,) = training_rows(model, prompter, examples_of([row], "rows"), too_long="error", where="rows", ctx=ctx).rows
    decode = model.renderer.tokenizer.decode
    target = [id for id, counts in zip(made.ids, made.target_mask, strict=True) if counts]
    return decode(made.ids), decode(target), made.weight


def turns(*contents: Any) -> list[dict[str, Any]]:
    """A conversation, the user's turn first."""
    return [{"role": ("user", "assistant")[place % 2], "content": each} for place, each in enumerate(contents)]


def test_conversations_train_their_last_turn_only(base: Path, ctx: Context) -> None:
    text, target, _ = learned(base, {"messages": turns("a", "b", "c", "d")}, ctx, instruction="Do it.")
    assert target == "d<|im_end|>"
    assert text.startswith("<|im_start|>user\nDo it.\n\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>")


def test_a_call_without_content_is_learned_as_the_call(base: Path, ctx: Context) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    _, target, _ = learned(base, {"messages": [*turns("where?"), call]}, ctx)
    assert target == '[{"name": "look", "arguments": {}}]<|im_end|>'


def test_parts_of_a_content_are_joined(base: Path, ctx: Context) -> None:
    parts = [{"type": "text", "text": "on the "}, {"type": "text", "text": "way"}]
    _, target, _ = learned(base, {"messages": turns("where?", parts)}, ctx)
    assert target == "on the way<|im_end|>"


def test_history_and_weight_of_prepared_rows_count(base: Path, ctx: Context) -> None:
    row = {"input": "c", "target": "d", "history": turns("a", "b"), "weight": 0.25}
    text, target, weight = learned(base, row, ctx)
    assert text == learned(base, {"messages": turns("a", "b", "c", "d")}, ctx)[0]
    assert (target, weight) == ("d<|im_end|>", 0.25)


def test_the_trainer_learns_what_a_recipe_learns_of_a_row(base: Path, ctx: Context) -> None:
    """Every shape of a source is one of the Trainer's rows."""
    plain = learned(base, {"input": "a", "target": "b"}, ctx)
    assert learned(base, {"prompt": "a", "completion": "b"}, ctx) == plain
    assert (
        learned(base, {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ctx) == plain
    )


def test_alpaca_rows_are_their_instruction_and_input(base: Path, ctx: Context) -> None:
    row = {"instruction": "Add.", "input": "1 and 2", "output": "3", "history": [["a", "b"]], "weight": 2}
    text, target, weight = learned(base, row, ctx)
    assert text == learned(base, {"messages": turns("a", "b", "Add.\n\n1 and 2", "3")}, ctx)[0]
    assert (target, weight) == ("3<|im_end|>", 2.0)


def test_rows_of_several_shapes_keep_their_order() -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"input": "c", "target": "d"}, {"prompt": "e", "completion": "f"}]
    assert [(each.input, each.target) for each in examples_of(rows, "rows")] == [("a", "b"), ("c", "d"), ("e", "f")]


PREPARED = """
name: rows
task: {generate: {}}
data:
  source:
    - {jsonl: {path: chats.jsonl, weight: much, share: 1}}
    - {jsonl: {path: plain.jsonl, id: id, input: "{a}: {b}", target: c, share: 1}}
    - {jsonl: {path: pairs.jsonl, share: 1}}
    - {jsonl: {path: texts.jsonl, share: 1}}
  clean: []
  split: {valid: 0.1, test: 0.1, by: random}
"""


def test_prepared_rows_train_the_ids_that_the_stage_trains(base: Path, ctx: Context, tmp_path: Path) -> None:
    tools = [{"name": "look"}]
    said = [{"role": "system", "content": "Short."}, *turns("a", "b")]
    chats = [{"messages": [*said, *turns(f"d{k}", f"e{k}")], "tools": tools, "much": 0.5 + k} for k in range(10)]
    files = {
        "chats": chats,
        "plain": [{"id": f"own {k}", "a": f"f{k}", "b": k, "c": f"g{k}"} for k in range(10)],
        "pairs": [{"prompt": f"h{k}", "chosen": f"i{k}", "rejected": f"j{k}"} for k in range(10)],
        "texts": [{"text": f"k{k}"} for k in range(10)],
    }
    for name, rows in files.items():
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    (tmp_path / "rows.yaml").write_text(PREPARED, encoding="utf-8")
    here = dataclasses.replace(ctx, base_dir=tmp_path)
    made = prepare_rows(load_data_recipe(tmp_path / "rows.yaml"), runs_dir=tmp_path / "runs", ctx=here)
    prepared = Prepared(made.artifacts["prepare"].path)
    model = LocalModel(load(ModelSpec(path=base, hub=None, revision=None, precision="float32"), ctx))
    prompter = Prompter(label="rows", instruction="Do it.")
    of_the_stage = training_rows(model, prompter, prepared.split("train"), too_long="error", where="train", ctx=ctx)
    rows = list(read_jsonl(prepared.path / "train.jsonl"))
    of_the_trainer = training_rows(model, prompter, examples_of(rows, "rows"), too_long="error", where="rows", ctx=ctx)
    assert len(of_the_stage.rows) > 20
    assert of_the_trainer == of_the_stage
    ids_apart = [(row.id, row.group) for row in prepared.split("train")]
    assert [
        dataclasses.replace(row, id=name, group=group)
        for row, (name, group) in zip(examples_of(rows, "rows"), ids_apart, strict=True)
    ] == prepared.split("train")


def test_rows_that_do_not_fit_are_cut_dropped_or_refused_and_counted(base: Path, ctx: Context, tmp_path: Path) -> None:
    rows = [*ROWS, {"input": "long " * 300, "target": "x"}]
    counts = {}
    for too_long in ("cut", "drop"):
        trainer = Trainer(base, "lora", rows, output_dir=tmp_path / too_long, ctx=ctx, too_long=too_long, **QUICK)
        result = trainer.fit()
        counts[too_long] = (result.num_cut, result.num_dropped)
    assert counts == {"cut": (1, 0), "drop": (0, 1)}
    with pytest.raises(
        DataError, match=r"^rows\[12\]: prompt rows needs 1,218 tokens, 2 of them .*the model takes 256"
    ):
        Trainer(base, "lora", rows, output_dir=tmp_path / "out", ctx=ctx, too_long="error", **QUICK).fit()


def test_a_stopped_training_continues_to_the_same_bytes(base: Path, ctx: Context, tmp_path: Path) -> None:
    checks = iter(range(100))

    def stop_at_the_fourth() -> None:
        if next(checks) == 3:
            raise StoppedError("stopped")

    stopping = dataclasses.replace(ctx, check_stop=stop_at_the_fourth)
    with pytest.raises(StoppedError):
        Trainer(base, "lora", ROWS, output_dir=tmp_path / "one", ctx=stopping, **QUICK).fit()
    for name in ("one", "two"):
        Trainer(base, "lora", ROWS, output_dir=tmp_path / name, ctx=ctx, **QUICK).fit()
    for name in ("steps.jsonl", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_seed_gives_other_weights(base: Path, ctx: Context, tmp_path: Path) -> None:
    logs = [
        Trainer(base, "lora", ROWS, output_dir=tmp_path / str(seed), seed=seed, ctx=ctx, **QUICK).fit().steps
        for seed in (17, 18)
    ]
    assert logs[0] != logs[1]


def test_the_random_numbers_of_the_caller_are_left_alone(base: Path, ctx: Context, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Trainer(base, {"lora": {"dropout": 0.1}}, ROWS, output_dir=tmp_path / "out", ctx=ctx, **QUICK).fit()
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], "rows is empty"),
        (["a"], r"rows\[0\]: is a str; expected a dict"),
        ([ROWS[0], {"input": "a"}], r"^rows\[1\]: 'target' is missing; keys are \['input'\]$"),
        ([{"target": "a"}], r"^rows\[0\]: 'input' is missing; keys are \['target'\]$"),
        ([{"mail": "a"}], r"^rows\[0\]: the rows have no known shape \(columns: mail\)"),
        (
            [{"instruction": "a", "output": "b"}, {"instruction": "a"}],
            r"^rows\[1\]: 'output' is null; expected a string",
        ),
        ([ROWS[0], {"input": "a", "target": " "}], r"^rows\[1\]: the target is empty"),
        ([{"messages": turns("a", "")}], r"^rows\[0\]: the target is empty"),
        ([ROWS[0], {**ROWS[0], "sent": date(2026, 1, 1)}], r"^rows\[1\]: not a row of plain JSON values: .* date"),
        ([{**ROWS[0], "_json": "a"}], r"^rows\[0\]: the key '_json' is ftkit's own"),
        ([{**ROWS[0], "id": "R7", "target": {"a": 4}}], r"^rows\[0\] \(id 'R7'\): 'target' is "),
        ([{**ROWS[0], "history": [{"role": "user"}]}], r"^rows\[0\]: message 1 of 'history' has no content"),
        (
            [ROWS[0], {"input": "a", "target": None}],
            r"rows\[1\]: 'target' is null; expected a string; keys are \['input'",
        ),
        ([ROWS[0], {"messages": [{"role": "user", "content": "a"}]}], r"rows\[1\]: 'messages' has no assistant turn"),
        ([{"messages": [{"role": "user"}]}], r"rows\[0\]: message 1 of 'messages' has no content"),
        ([{"input": "a", "target": "long " * 300}], r"rows\[0\]: prompt rows needs .* A target is never cut"),
    ],
)
def test_rows_that_cannot_be_trained_are_named(
    rows: list[Any], found: str, base: Path, ctx: Context, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=found):
        Trainer(base, "lora", rows, output_dir=tmp_path / "out", ctx=ctx).fit()


@pytest.mark.parametrize(
    "weight", [[1], {"a": 1}, "much", float("nan"), float("inf"), pytest.param(10**400, id="huge"), 0, -1, True]
)
def test_a_weight_that_is_no_number_above_0_is_named(weight: Any) -> None:
    with pytest.raises(DataError) as raised:
        examples_of([ROWS[0], {**ROWS[1], "weight": weight}], "rows")
    assert str(raised.value) == f"rows[1]: 'weight' is {weight!r}; expected a number above 0"


def test_options_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train\.epoch: unknown; did you mean 'epochs'\?"):
        Trainer("nowhere", "lora", ROWS, output_dir=tmp_path, epoch=3)  # type: ignore[call-arg]
    with pytest.raises(RecipeError, match=r"train\.epochs: .* found 0"):
        Trainer("nowhere", "lora", ROWS, output_dir=tmp_path, epochs=0)
    with pytest.raises(RecipeError, match=r"method\.loar"):
        Trainer("nowhere", "loar", ROWS, output_dir=tmp_path)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("wording", "train.wording: only a recipe has it; give the text as `instruction`"),
        ("variants", "train.variants: only a recipe has them; a Trainer trains one model"),
        ("wordin", f"train.wordin: unknown; known: {', '.join(TrainOptions.__annotations__)}"),
    ],
)
def test_what_only_a_recipe_has_is_refused(key: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        Trainer("nowhere", "lora", ROWS, output_dir=tmp_path, **{key: {}})  # type: ignore[arg-type]
    assert str(raised.value) == f"Trainer: {sentence}"


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("lr", "here it is learning_rate (lr: PyTorch)"),
        ("num_train_epochs", "here it is epochs (num_train_epochs: TRL, LLaMA-Factory)"),
        ("warmup_ratio", "here it is warmup: a share of the steps (warmup_ratio: TRL, Axolotl, LLaMA-Factory)"),
        ("train_dataset", "here it is rows (train_dataset: TRL, transformers)"),
        ("eval_dataset", "here it is valid_rows (eval_dataset: LLaMA-Factory, TRL)"),
        ("processing_class", "here it is tokenizer (processing_class: TRL, transformers)"),
        ("peft_config", "here it is method (peft_config: PEFT, TRL)"),
        ("lora_r", "here it is an option of the method: method={'lora': {'rank': …}} (lora_r: Axolotl, TRL)"),
        ("bf16", "here it is precision (bf16: TRL, Axolotl, LLaMA-Factory)"),
        (
            "per_device_train_batch_size",
            "here it is ctx=Context(machine=Machine(micro_batch=…)), both of ftkit.contracts "
            "(per_device_train_batch_size: TRL, LLaMA-Factory)",
        ),
        ("compute_metrics", "only a recipe has it, as evaluate.metrics (compute_metrics: transformers)"),
        (
            "optim",
            "not a keyword here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay "
            "(optim: TRL, LLaMA-Factory)",
        ),
    ],
)
def test_keywords_of_other_tools_are_answered_with_ours(keyword: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        Trainer("nowhere", "lora", ROWS, output_dir=tmp_path, **{keyword: 1})  # type: ignore[arg-type]
    assert str(raised.value) == f"Trainer: {keyword}: {said}"


def test_rows_are_checked_before_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^rows\[0\]: 'target' is missing"):
        Trainer("nowhere", "lora", [{"input": "a"}], output_dir=tmp_path).fit()
    with pytest.raises(DataError, match=r"^valid_rows\[0\]: 'target' is missing"):
        Trainer("nowhere", "lora", ROWS, valid_rows=[{"input": "a"}], output_dir=tmp_path).fit()


def test_valid_rows_of_which_none_fits_are_refused_by_name(base: Path, ctx: Context, tmp_path: Path) -> None:
    long = {"input": "a", "target": "long " * 300}
    message = (
        r"^valid_rows\[0\]: prompt rows needs 1,\d{3} tokens even with an empty input, 1,\d{3} of them for the answer; "
        r"the model takes 256\. Shorten or remove such rows: none of valid_rows fits$"
    )
    with pytest.raises(DataError, match=message):
        Trainer(base, "lora", ROWS, valid_rows=[long, long], output_dir=tmp_path / "out", ctx=ctx).fit()


def test_the_options_are_those_of_the_recipe() -> None:
    assert set(TrainOptions.__annotations__) == set(Train.model_fields) - {"method", "variants", "wording"}


def test_an_output_folder_in_use_is_refused(base: Path, ctx: Context, tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(BusyError):
        Trainer(base, "lora", ROWS, output_dir=tmp_path / "out", ctx=ctx, **QUICK).fit()


def test_the_log_holds_no_clock_and_no_path(base: Path, ctx: Context, tmp_path: Path) -> None:
    Trainer(base, "lora", ROWS, output_dir=tmp_path / "out", ctx=ctx, **QUICK).fit()
    keys = {key for line in (tmp_path / "out" / "steps.jsonl").read_text().splitlines() for key in json.loads(line)}
    assert keys == {"step", "epoch", "loss", "learning_rate", "grad_norm", "num_target_tokens"}


@pytest.mark.parametrize("name", ["steps.jsonl", "checkpoints", "adapter"])
def test_nothing_is_written_through_a_link_and_other_links_are_nobodys_business(
    name: str, base: Path, ctx: Context, tmp_path: Path
) -> None:
    (outside := tmp_path / "outside").mkdir()
    (out := tmp_path / "out").mkdir()
    (out / "notes").symlink_to(outside)
    (out / name).symlink_to(outside)
    with pytest.raises(ArtifactError, match=f"out/{name}: is a link"):
        Trainer(base, "lora", ROWS, output_dir=out, ctx=ctx, **QUICK).fit()
    (out / name).unlink()
    Trainer(base, "lora", ROWS, output_dir=out, ctx=ctx, **QUICK).fit()
    assert list(outside.iterdir()) == []
