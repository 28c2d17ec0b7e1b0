"""What a recipe says in the words of other tools is answered in ours: where it stands here, and who calls it so."""

# ruff: noqa: E501  a message is on one line
from __future__ import annotations

import pytest

from ftkit.errors import RecipeError
from ftkit.recipe.schema import parse_recipe
from ftkit.recipe.words import WORDS

MINIMAL = """\
name: tickets
model: {path: data/tiny-base}
task: {classify: {labels: auto}}
data:
  source: {jsonl: {path: rows.jsonl, input: text, target: label}}
train:
  method: qlora
"""
ANSWERS = """\
base_model: here it is model, at the top of the recipe: {hub: owner/name}, or {path: a folder} (base_model: Axolotl)
model_name_or_path: here it is model, at the top of the recipe: {hub: owner/name}, or {path: a folder} (model_name_or_path: TRL, LLaMA-Factory)
model_name: here it is model, at the top of the recipe: {hub: owner/name}, or {path: a folder} (model_name: Unsloth)
model_id: here it is model, at the top of the recipe: {hub: owner/name}, or {path: a folder} (model_id: Hugging Face)
model_revision: here it is model.revision: beside hub (model_revision: TRL)
revision_of_model: here it is model.revision: beside hub (revision_of_model: Axolotl)
bf16: here it is model.precision: auto, bfloat16 or float32; auto takes bfloat16 on a GPU that has it (bf16: TRL, Axolotl, LLaMA-Factory)
fp16: here it is model.precision: auto, bfloat16 or float32; auto takes bfloat16 on a GPU that has it (fp16: TRL, Axolotl, LLaMA-Factory)
dtype: here it is model.precision: auto, bfloat16 or float32; auto takes bfloat16 on a GPU that has it (dtype: TRL, Unsloth)
torch_dtype: here it is model.precision: auto, bfloat16 or float32; auto takes bfloat16 on a GPU that has it (torch_dtype: TRL, Unsloth)
chat_template: not a key here: the chat template of the model's own tokenizer is used (chat_template: Axolotl, TRL, Unsloth)
template: not a key here: the chat template of the model's own tokenizer is used (template: LLaMA-Factory)
trust_remote_code: not a key here: say --trust-remote-code to the command (trust_remote_code: TRL, Axolotl, LLaMA-Factory)
hyperparameters: here it is train, at the top of the recipe (hyperparameters: OpenAI)
training_args: here it is train, at the top of the recipe (training_args: transformers)
training_arguments: here it is train, at the top of the recipe (training_arguments: transformers)
lora_config: here it is train.method: as {lora: {rank: 16, alpha: 32}} (lora_config: PEFT, TRL)
peft_config: here it is train.method: as {lora: {rank: 16, alpha: 32}} (peft_config: PEFT, TRL)
stage: not a key here: training is supervised; train.method is lora, qlora or full (stage: LLaMA-Factory)
sft: not a key here: training is supervised; train.method is lora, qlora or full (sft: LLaMA-Factory)
do_train: not a key here: training is supervised; train.method is lora, qlora or full (do_train: LLaMA-Factory)
supervised: not a key here: training is supervised; train.method is lora, qlora or full (supervised: OpenAI)
lr: here it is train.learning_rate (lr: PyTorch)
learning_rate_multiplier: here it is train.learning_rate: the rate itself; left out: that of the method (learning_rate_multiplier: OpenAI)
num_epochs: here it is train.epochs (num_epochs: Axolotl)
num_train_epochs: here it is train.epochs (num_train_epochs: TRL, LLaMA-Factory)
n_epochs: here it is train.epochs (n_epochs: OpenAI)
lr_scheduler_type: here it is train.schedule: cosine, linear or constant (lr_scheduler_type: TRL, LLaMA-Factory)
lr_scheduler: here it is train.schedule: cosine, linear or constant (lr_scheduler: Axolotl)
scheduler: here it is train.schedule: cosine, linear or constant (scheduler: PyTorch)
warmup_ratio: here it is train.warmup: a share of the steps (warmup_ratio: TRL, Axolotl, LLaMA-Factory)
warmup_steps: here it is train.warmup: a share of the steps, not their number (warmup_steps: TRL, Axolotl, LLaMA-Factory)
gradient_accumulation_steps: not a key here: give train.global_batch_size and machine.micro_batch; the number of parts follows from them (gradient_accumulation_steps: TRL, Axolotl, LLaMA-Factory)
batch_size: here it is train.global_batch_size: rows of one optimizer step; those of a forward pass are machine.micro_batch (batch_size: OpenAI)
train_batch_size: here it is train.global_batch_size: rows of one optimizer step; those of a forward pass are machine.micro_batch (train_batch_size: DeepSpeed)
per_device_train_batch_size: here it is machine.micro_batch: rows of one forward pass; those of an optimizer step are train.global_batch_size (per_device_train_batch_size: TRL, LLaMA-Factory)
micro_batch_size: here it is machine.micro_batch: rows of one forward pass; those of an optimizer step are train.global_batch_size (micro_batch_size: Axolotl)
per_device_eval_batch_size: here it is machine.micro_batch (per_device_eval_batch_size: TRL, LLaMA-Factory)
eval_batch_size: here it is machine.micro_batch (eval_batch_size: Axolotl)
use_gradient_checkpointing: here it is train.gradient_checkpointing: true or false (use_gradient_checkpointing: Unsloth)
gradient_clipping: here it is train.max_grad_norm (gradient_clipping: DeepSpeed)
early_stopping_patience: here it is train.patience: evaluations without improvement (early_stopping_patience: Axolotl)
early_stopping: here it is train.patience: evaluations without improvement (early_stopping: many tools)
eval_steps: here it is train.num_evals: how many, evenly spaced over the training (eval_steps: TRL, Axolotl, LLaMA-Factory)
eval_strategy: here it is train.num_evals: how many, evenly spaced over the training (eval_strategy: TRL, Axolotl, LLaMA-Factory)
evals_per_epoch: here it is train.num_evals: how many, evenly spaced over the training (evals_per_epoch: Axolotl)
save_steps: here it is train.checkpoint_steps: optimizer steps (save_steps: TRL, Axolotl, LLaMA-Factory)
save_strategy: here it is train.checkpoint_steps: optimizer steps (save_strategy: TRL, Axolotl, LLaMA-Factory)
saves_per_epoch: here it is train.checkpoint_steps: optimizer steps (saves_per_epoch: Axolotl)
load_best_model_at_end: not a key here: the step that is best on valid is always the one kept (load_best_model_at_end: TRL)
metric_for_best_model: not a key here: the step that is best on valid is always the one kept (metric_for_best_model: TRL)
save_total_limit: not a key here: the step that is best on valid is always the one kept (save_total_limit: TRL, Axolotl, LLaMA-Factory)
optim: not a key here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay (optim: TRL, LLaMA-Factory)
optimizer: not a key here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay (optimizer: Axolotl)
adam_beta1: not a key here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay (adam_beta1: TRL, Axolotl)
adam_beta2: not a key here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay (adam_beta2: TRL, Axolotl)
adam_epsilon: not a key here: the optimizer is AdamW, set by train.learning_rate and train.weight_decay (adam_epsilon: TRL, Axolotl)
train_on_inputs: not a key here: the loss is always of the target alone (train_on_inputs: Axolotl)
train_on_prompt: not a key here: the loss is always of the target alone (train_on_prompt: LLaMA-Factory)
mask_history: not a key here: the loss is always of the target alone (mask_history: LLaMA-Factory)
completion_only_loss: not a key here: the loss is always of the target alone (completion_only_loss: TRL)
assistant_only_loss: not a key here: the loss is always of the target alone (assistant_only_loss: TRL)
sequence_len: here it is train.too_long: what becomes of rows that do not fit the model's context, which is the only limit (sequence_len: Axolotl)
cutoff_len: here it is train.too_long: what becomes of rows that do not fit the model's context, which is the only limit (cutoff_len: LLaMA-Factory)
max_seq_length: here it is train.too_long: what becomes of rows that do not fit the model's context, which is the only limit (max_seq_length: Unsloth, TRL)
max_length: here it is train.too_long: what becomes of rows that do not fit the model's context, which is the only limit (max_length: TRL)
sample_packing: not a key here: rows of like length are computed together; there is nothing to set (sample_packing: Axolotl)
packing: not a key here: rows of like length are computed together; there is nothing to set (packing: TRL, LLaMA-Factory, Unsloth)
group_by_length: not a key here: rows of like length are computed together; there is nothing to set (group_by_length: TRL, Axolotl)
finetuning_type: here it is train.method: lora, qlora or full (finetuning_type: LLaMA-Factory)
adapter: here it is train.method: lora, qlora or full (adapter: Axolotl)
use_peft: here it is train.method: lora, qlora or full (use_peft: TRL)
full_finetuning: here it is train.method: lora, qlora or full (full_finetuning: Unsloth)
load_in_4bit: here it is train.method: qlora loads the base in 4 bits (load_in_4bit: Unsloth, Axolotl, TRL)
load_in_8bit: not a key here: 8 bits are not offered; 4 are, as train.method: qlora (load_in_8bit: Unsloth, Axolotl, TRL)
quantization_bit: here it is train.method: qlora loads the base in 4 bits (quantization_bit: LLaMA-Factory)
lora_r: here it is train.method.qlora.rank (lora_r: Axolotl, TRL)
lora_rank: here it is train.method.qlora.rank (lora_rank: LLaMA-Factory)
r: here it is train.method.qlora.rank (r: PEFT, Unsloth)
lora_alpha: here it is train.method.qlora.alpha (lora_alpha: PEFT, Axolotl, TRL, LLaMA-Factory)
lora_dropout: here it is train.method.qlora.dropout (lora_dropout: PEFT, Axolotl, TRL, LLaMA-Factory)
lora_target: here it is train.method.qlora.target_modules (lora_target: LLaMA-Factory)
lora_target_modules: here it is train.method.qlora.target_modules (lora_target_modules: Axolotl, TRL)
lora_target_linear: here it is train.method.qlora.target_modules: all-linear (lora_target_linear: Axolotl)
use_rslora: not a key here: the update is scaled by alpha / rank; choose alpha (use_rslora: PEFT, LLaMA-Factory)
random_state: here it is seed, at the top of the recipe (random_state: Unsloth)
data_seed: here it is seed, at the top of the recipe: one for all (data_seed: TRL)
random_seed: here it is seed, at the top of the recipe (random_seed: many tools)
datasets: here it is data.source: one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}} (datasets: Axolotl)
dataset: here it is data.source: one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}} (dataset: LLaMA-Factory)
dataset_name: here it is data.source: one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}} (dataset_name: TRL)
training_file: here it is data.source: one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}} (training_file: OpenAI)
train_file: here it is data.source: one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}} (train_file: transformers)
test_datasets: here it is data.split.test: a share of the rows, or a source of its own (test_datasets: Axolotl)
test_file: here it is data.split.test: a share of the rows, or a source of its own (test_file: transformers)
validation_file: here it is data.split.valid: a share of the rows, or a source of its own (validation_file: OpenAI, transformers)
eval_dataset: here it is data.split.valid: a share of the rows, or a source of its own (eval_dataset: LLaMA-Factory, TRL)
val_set_size: here it is data.split.valid: a share of the rows, or a source of its own (val_set_size: Axolotl)
val_size: here it is data.split.valid: a share of the rows, or a source of its own (val_size: LLaMA-Factory)
test_size: here it is data.split.test: a share of the rows, or a source of its own (test_size: scikit-learn)
max_samples: here it is data.limit.train (max_samples: LLaMA-Factory)
max_train_samples: here it is data.limit.train (max_train_samples: transformers)
dataset_text_field: here it is data.source.jsonl.input: target stands beside it (dataset_text_field: TRL)
text_column: here it is data.source.jsonl.input (text_column: many tools)
input_column: here it is data.source.jsonl.input (input_column: many tools)
label_column: here it is data.source.jsonl.target (label_column: many tools)
target_column: here it is data.source.jsonl.target (target_column: many tools)
max_tokens: here it is task.generate.max_new_tokens (max_tokens: OpenAI)
max_completion_tokens: here it is task.generate.max_new_tokens (max_completion_tokens: OpenAI)
compute_metrics: here it is evaluate.metrics (compute_metrics: transformers)
metric: here it is evaluate.metrics (metric: many tools)
run_name: here it is name, at the top of the recipe (run_name: TRL)
suffix: here it is name, at the top of the recipe (suffix: OpenAI)
output_dir: not a key here: runs go to runs/<name>; another folder is --runs-dir of the command (output_dir: TRL, Axolotl, LLaMA-Factory)
overwrite_output_dir: not a key here: the same command resumes; --fresh makes all anew (overwrite_output_dir: TRL, Axolotl, LLaMA-Factory)
resume_from_checkpoint: not a key here: the same command resumes; --fresh makes all anew (resume_from_checkpoint: TRL, Axolotl, LLaMA-Factory)
logging_steps: not a key here: every run writes run.log and its report; no service is told (logging_steps: TRL, Axolotl, LLaMA-Factory)
report_to: not a key here: every run writes run.log and its report; no service is told (report_to: TRL, LLaMA-Factory)
wandb_project: not a key here: every run writes run.log and its report; no service is told (wandb_project: Axolotl)
use_cpu: here it is machine.device: cpu (use_cpu: TRL)
attn_implementation: here it is machine.attention (attn_implementation: transformers)
flash_attention: here it is machine.attention: flash_attention_2 (flash_attention: Axolotl)
flash_attn: here it is machine.attention: flash_attention_2 (flash_attn: LLaMA-Factory)
dataloader_num_workers: here it is machine.threads (dataloader_num_workers: TRL)
preprocessing_num_workers: here it is machine.threads (preprocessing_num_workers: LLaMA-Factory)
deepspeed: not a key here: a run computes on one device, machine.device (deepspeed: TRL, Axolotl, LLaMA-Factory)
fsdp: not a key here: a run computes on one device, machine.device (fsdp: TRL, Axolotl, LLaMA-Factory)
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, name="r.yaml", overrides=overrides)
    return list(caught.value.problems)


def test_every_word_has_its_answer() -> None:
    answers = [problems(MINIMAL, f"train.{word}=1")[0].removeprefix("--set: train.") for word in WORDS]
    assert "\n".join(answers).replace("unknown key; ", "") == ANSWERS.rstrip()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("  num_epochs: 3", "r.yaml:8:3: train.num_epochs: unknown key; here it is train.epochs (num_epochs: Axolotl)"),
        ("lora-r: 8", "r.yaml:8:1: lora-r: unknown key; here it is train.method.qlora.rank (lora-r: Axolotl, TRL)"),
        ("  variants: {a: {lr: 1e-3}}", "r.yaml:8:18: train.variants.a.lr: unknown key; here it is "
         "train.variants.a.learning_rate (lr: PyTorch)"),
        ("baseline: {prompts: [r]}", "r.yaml:8:22: baseline.prompts.0: unknown name 'r'; here it is "
         "train.method.qlora.rank (r: PEFT, Unsloth)"),
    ],
)  # fmt: skip
def test_a_word_of_another_tool_is_answered_at_any_level(line: str, problem: str) -> None:
    assert problems(f"{MINIMAL}{line}\n") == [problem]


def test_words_within_a_block_of_another_tool_are_answered_too() -> None:
    job = "hyperparameters: {n_epochs: 3, batch_size: auto}\n"
    assert problems(MINIMAL + job) == [
        "r.yaml:8:1: hyperparameters: unknown key; here it is train, at the top of the recipe (hyperparameters: OpenAI)",
        "r.yaml:8:19: hyperparameters.n_epochs: unknown key; here it is train.epochs (n_epochs: OpenAI)",
        "r.yaml:8:32: hyperparameters.batch_size: unknown key; here it is train.global_batch_size: rows of one optimizer step; those of a forward pass are machine.micro_batch (batch_size: OpenAI)",
    ]
    assert problems(MINIMAL.replace("train:", "trian:").replace("method", "epochs")) == [
        "r.yaml:6:1: trian: unknown key; did you mean 'train'?"
    ]


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("train.seed=3", "train.seed: unknown key; here it is seed, at the top of the recipe"),
        ("train.rank=4", "train.rank: unknown key; here it is train.method.qlora.rank"),
        ("learning_rate=1", "learning_rate: unknown key; here it is train.learning_rate"),
        ("data.weight=w", "data.weight: unknown key; here it is data.source.jsonl.weight"),
        ("data.group=w", "data.group: unknown key; here it is data.split.group"),
        ("lora=1", "lora: unknown key; here it is train.method.lora"),
        ("train.metric=f1", "train.metric: unknown key; here it is evaluate.metrics (metric: many tools)"),
        ("train.epoch=3", "train.epoch: unknown key; did you mean 'epochs'?"),
    ],
)
def test_a_key_of_ours_at_the_wrong_level_is_told_its_place(override: str, problem: str) -> None:
    assert problems(MINIMAL, override) == [f"--set: {problem}"]


def test_each_word_is_none_of_ours_there() -> None:
    known = {"data", "model", "name", "seed", "task", "machine"}
    assert not known & WORDS.keys()


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model=Qwen/Qwen3-0.6B", "model: a name alone does not say where the model is; write {hub: Qwen/Qwen3-0.6B}, or "
         "{path: Qwen/Qwen3-0.6B} for a folder, found 'Qwen/Qwen3-0.6B'"),
        ("train.method=lora,full", "train.method: unknown name 'lora,full'; several are written as a list: [lora, full]"),
        ("train.method=lora,ful", "train.method: unknown name 'lora,ful'; did you mean 'lora'?"),
        ("task=classify,generate", "task: unknown name 'classify,generate'; did you mean 'generate'?"),
        ("data.clean=fix_text,length", "data.clean: input should be a valid list, found 'fix_text,length'; write "
         "[fix_text, length]"),
        ("evaluate.metrics=accuracy", "evaluate.metrics: input should be a valid list, found 'accuracy'; write [accuracy]"),
        ("baseline.normalize=sum, mean", "baseline.normalize: input should be a valid list, found 'sum, mean'; write "
         "[sum, mean]"),
    ],
)  # fmt: skip
def test_a_short_form_is_answered_with_the_form_there_is(override: str, problem: str) -> None:
    assert problems(MINIMAL, override) == [f"--set: {problem}"]


HUB = MINIMAL.replace("path: data/tiny-base", "hub: me/base, revision: v1")


@pytest.mark.parametrize(
    ("text", "overrides", "model"),
    [
        (MINIMAL, ["model.hub=me/tiny"], (None, "me/tiny", None)),
        (MINIMAL, ["model.revision=v2", "model.hub=me/tiny"], (None, "me/tiny", "v2")),
        (HUB, ["model.path=base"], ("base", None, None)),
        (HUB, ["model.revision=v2"], (None, "me/base", "v2")),
        (HUB, ["model.path="], (None, "me/base", "v1")),
    ],
)
def test_a_model_named_by_an_override_replaces_the_recipes(
    text: str, overrides: list[str], model: tuple[str | None, ...]
) -> None:
    found = parse_recipe(text, name="r.yaml", overrides=overrides).model
    assert (found.path, found.hub, found.revision) == model


def test_two_overrides_that_name_two_models_are_refused() -> None:
    both = ["model.hub=me/tiny", "model.path=base"]
    assert (
        problems(MINIMAL, *both) == problems(MINIMAL, *reversed(both)) == ["r.yaml:2:1: model: give either path or hub"]
    )
