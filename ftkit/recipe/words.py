"""Words of other tools, and where a recipe has what they mean: one table, and where a key of ours stands.

Knows the schema it is given and no text of a recipe. In a place, * is the name of a component: that of the recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ftkit.recipe.places import Place, keys_of
from ftkit.recipe.yaml_tree import YamlValue
from ftkit.registry import Config

AXOLOTL, FACTORY, TRL, PEFT = "Axolotl", "LLaMA-Factory", "TRL", "PEFT"
UNSLOTH, OPENAI, TORCH = "Unsloth", "OpenAI", "PyTorch"
TRANSFORMERS, DEEPSPEED, MANY = "transformers", "DeepSpeed", "many tools"
MOST_PLACES = 3

MODEL = "{hub: owner/name}, or {path: a folder}"
SOURCES = "one of the formats of `ftkit list sources`, as {jsonl: {path: rows.jsonl}}"
EVALS = "how many, evenly spaced over the training"
PRECISION = "auto, bfloat16 or float32; auto takes bfloat16 on a GPU that has it"
METHODS = "lora, qlora or full"
NF4 = "qlora loads the base in 4 bits"
SCHEDULES = "cosine, linear or constant"
ONE_OF_DATA = "a share of the rows, or a source of its own"
AT_A_TIME = "rows of one forward pass; those of an optimizer step are train.global_batch_size"
OF_A_STEP = "rows of one optimizer step; those of a forward pass are machine.micro_batch"
SUMMED = "give train.global_batch_size and machine.micro_batch; the number of parts follows from them"
STEP_KEPT = "the step that is best on valid is always the one kept"
SUPERVISED = "training is supervised; train.method is lora, qlora or full"
ADAMW = "the optimizer is AdamW, set by train.learning_rate and train.weight_decay"
FORMAT = "the chat template of the model's own tokenizer is used"
OUTPUT = "runs go to runs/<name>; another folder is --runs-dir of the command"
LOGS = "every run writes run.log and its report; no service is told"
MASKED = "the loss is always of the target alone"
PACKED = "rows of like length are computed together; there is nothing to set"
LENGTH = "what becomes of rows that do not fit the model's context, which is the only limit"
RESUMED = "the same command resumes; --fresh makes all anew"
ONE_DEVICE = "a run computes on one device, machine.device"


@dataclass(frozen=True)
class Word:
    """What another tool calls something: where that stands here ('' where nowhere), and what is to be known."""

    tools: str
    place: str
    note: str = ""


_TABLE: list[tuple[str, str, str, str]] = [  # words, who says so, place, what is to be known
    ("base_model", AXOLOTL, "model", MODEL),
    ("model_name_or_path", f"{TRL}, {FACTORY}", "model", MODEL),
    ("model_name", UNSLOTH, "model", MODEL),
    ("model_id", "Hugging Face", "model", MODEL),
    ("model_revision", TRL, "model.revision", "beside hub"),
    ("revision_of_model", AXOLOTL, "model.revision", "beside hub"),
    ("bf16 fp16", f"{TRL}, {AXOLOTL}, {FACTORY}", "model.precision", PRECISION),
    ("dtype torch_dtype", f"{TRL}, {UNSLOTH}", "model.precision", PRECISION),
    ("chat_template", f"{AXOLOTL}, {TRL}, {UNSLOTH}", "", FORMAT),
    ("template", FACTORY, "", FORMAT),
    ("trust_remote_code", f"{TRL}, {AXOLOTL}, {FACTORY}", "", "say --trust-remote-code to the command"),
    ("hyperparameters", OPENAI, "train", ""),
    ("training_args training_arguments", TRANSFORMERS, "train", ""),
    ("lora_config peft_config", f"{PEFT}, {TRL}", "train.method", "as {lora: {rank: 16, alpha: 32}}"),
    ("stage sft do_train", FACTORY, "", SUPERVISED),
    ("supervised", OPENAI, "", SUPERVISED),
    ("lr", TORCH, "train.learning_rate", ""),
    ("learning_rate_multiplier", OPENAI, "train.learning_rate", "the rate itself; left out: that of the method"),
    ("num_epochs", AXOLOTL, "train.epochs", ""),
    ("num_train_epochs", f"{TRL}, {FACTORY}", "train.epochs", ""),
    ("n_epochs", OPENAI, "train.epochs", ""),
    ("lr_scheduler_type", f"{TRL}, {FACTORY}", "train.schedule", SCHEDULES),
    ("lr_scheduler", AXOLOTL, "train.schedule", SCHEDULES),
    ("scheduler", TORCH, "train.schedule", SCHEDULES),
    ("warmup_ratio", f"{TRL}, {AXOLOTL}, {FACTORY}", "train.warmup", "a share of the steps"),
    ("warmup_steps", f"{TRL}, {AXOLOTL}, {FACTORY}", "train.warmup", "a share of the steps, not their number"),
    ("gradient_accumulation_steps", f"{TRL}, {AXOLOTL}, {FACTORY}", "", SUMMED),
    ("batch_size", OPENAI, "train.global_batch_size", OF_A_STEP),
    ("train_batch_size", DEEPSPEED, "train.global_batch_size", OF_A_STEP),
    ("per_device_train_batch_size", f"{TRL}, {FACTORY}", "machine.micro_batch", AT_A_TIME),
    ("micro_batch_size", AXOLOTL, "machine.micro_batch", AT_A_TIME),
    ("per_device_eval_batch_size", f"{TRL}, {FACTORY}", "machine.micro_batch", ""),
    ("eval_batch_size", AXOLOTL, "machine.micro_batch", ""),
    ("use_gradient_checkpointing", UNSLOTH, "train.gradient_checkpointing", "true or false"),
    ("gradient_clipping", DEEPSPEED, "train.max_grad_norm", ""),
    ("early_stopping_patience", AXOLOTL, "train.patience", "evaluations without improvement"),
    ("early_stopping", MANY, "train.patience", "evaluations without improvement"),
    ("eval_steps eval_strategy", f"{TRL}, {AXOLOTL}, {FACTORY}", "train.num_evals", EVALS),
    ("evals_per_epoch", AXOLOTL, "train.num_evals", EVALS),
    ("save_steps save_strategy", f"{TRL}, {AXOLOTL}, {FACTORY}", "train.checkpoint_steps", "optimizer steps"),
    ("saves_per_epoch", AXOLOTL, "train.checkpoint_steps", "optimizer steps"),
    ("load_best_model_at_end metric_for_best_model", TRL, "", STEP_KEPT),
    ("save_total_limit", f"{TRL}, {AXOLOTL}, {FACTORY}", "", STEP_KEPT),
    ("optim", f"{TRL}, {FACTORY}", "", ADAMW),
    ("optimizer", AXOLOTL, "", ADAMW),
    ("adam_beta1 adam_beta2 adam_epsilon", f"{TRL}, {AXOLOTL}", "", ADAMW),
    ("train_on_inputs", AXOLOTL, "", MASKED),
    ("train_on_prompt mask_history", FACTORY, "", MASKED),
    ("completion_only_loss assistant_only_loss", TRL, "", MASKED),
    ("sequence_len", AXOLOTL, "train.too_long", LENGTH),
    ("cutoff_len", FACTORY, "train.too_long", LENGTH),
    ("max_seq_length", f"{UNSLOTH}, {TRL}", "train.too_long", LENGTH),
    ("max_length", TRL, "train.too_long", LENGTH),
    ("sample_packing", AXOLOTL, "", PACKED),
    ("packing", f"{TRL}, {FACTORY}, {UNSLOTH}", "", PACKED),
    ("group_by_length", f"{TRL}, {AXOLOTL}", "", PACKED),
    ("finetuning_type", FACTORY, "train.method", METHODS),
    ("adapter", AXOLOTL, "train.method", METHODS),
    ("use_peft", TRL, "train.method", METHODS),
    ("full_finetuning", UNSLOTH, "train.method", METHODS),
    ("load_in_4bit", f"{UNSLOTH}, {AXOLOTL}, {TRL}", "train.method", NF4),
    ("load_in_8bit", f"{UNSLOTH}, {AXOLOTL}, {TRL}", "", "8 bits are not offered; 4 are, as train.method: qlora"),
    ("quantization_bit", FACTORY, "train.method", NF4),
    ("lora_r", f"{AXOLOTL}, {TRL}", "train.method.*.rank", ""),
    ("lora_rank", FACTORY, "train.method.*.rank", ""),
    ("r", f"{PEFT}, {UNSLOTH}", "train.method.*.rank", ""),
    ("lora_alpha", f"{PEFT}, {AXOLOTL}, {TRL}, {FACTORY}", "train.method.*.alpha", ""),
    ("lora_dropout", f"{PEFT}, {AXOLOTL}, {TRL}, {FACTORY}", "train.method.*.dropout", ""),
    ("lora_target", FACTORY, "train.method.*.target_modules", ""),
    ("lora_target_modules", f"{AXOLOTL}, {TRL}", "train.method.*.target_modules", ""),
    ("lora_target_linear", AXOLOTL, "train.method.*.target_modules", "all-linear"),
    ("use_rslora", f"{PEFT}, {FACTORY}", "", "the update is scaled by alpha / rank; choose alpha"),
    ("random_state", UNSLOTH, "seed", ""),
    ("data_seed", TRL, "seed", "one for all"),
    ("random_seed", MANY, "seed", ""),
    ("datasets", AXOLOTL, "data.source", SOURCES),
    ("dataset", FACTORY, "data.source", SOURCES),
    ("dataset_name", TRL, "data.source", SOURCES),
    ("training_file", OPENAI, "data.source", SOURCES),
    ("train_file", TRANSFORMERS, "data.source", SOURCES),
    ("test_datasets", AXOLOTL, "data.split.test", ONE_OF_DATA),
    ("test_file", TRANSFORMERS, "data.split.test", ONE_OF_DATA),
    ("validation_file", f"{OPENAI}, {TRANSFORMERS}", "data.split.valid", ONE_OF_DATA),
    ("eval_dataset", f"{FACTORY}, {TRL}", "data.split.valid", ONE_OF_DATA),
    ("val_set_size", AXOLOTL, "data.split.valid", ONE_OF_DATA),
    ("val_size", FACTORY, "data.split.valid", ONE_OF_DATA),
    ("test_size", "scikit-learn", "data.split.test", ONE_OF_DATA),
    ("max_samples", FACTORY, "data.limit.train", ""),
    ("max_train_samples", TRANSFORMERS, "data.limit.train", ""),
    ("dataset_text_field", TRL, "data.source.*.input", "target stands beside it"),
    ("text_column input_column", MANY, "data.source.*.input", ""),
    ("label_column target_column", MANY, "data.source.*.target", ""),
    ("max_tokens max_completion_tokens", OPENAI, "task.*.max_new_tokens", ""),
    ("compute_metrics", TRANSFORMERS, "evaluate.metrics", ""),
    ("metric", MANY, "evaluate.metrics", ""),
    ("run_name", TRL, "name", ""),
    ("suffix", OPENAI, "name", ""),
    ("output_dir", f"{TRL}, {AXOLOTL}, {FACTORY}", "", OUTPUT),
    ("overwrite_output_dir resume_from_checkpoint", f"{TRL}, {AXOLOTL}, {FACTORY}", "", RESUMED),
    ("logging_steps", f"{TRL}, {AXOLOTL}, {FACTORY}", "", LOGS),
    ("report_to", f"{TRL}, {FACTORY}", "", LOGS),
    ("wandb_project", AXOLOTL, "", LOGS),
    ("use_cpu", TRL, "machine.device", "cpu"),
    ("attn_implementation", TRANSFORMERS, "machine.attention", ""),
    ("flash_attention", AXOLOTL, "machine.attention", "flash_attention_2"),
    ("flash_attn", FACTORY, "machine.attention", "flash_attention_2"),
    ("dataloader_num_workers", TRL, "machine.threads", ""),
    ("preprocessing_num_workers", FACTORY, "machine.threads", ""),
    ("deepspeed fsdp", f"{TRL}, {AXOLOTL}, {FACTORY}", "", ONE_DEVICE),
]
WORDS = {word: Word(tools, place, note) for words, tools, place, note in _TABLE for word in words.split()}


@dataclass(frozen=True)
class Answer:
    """What is to be said of a word, and the place that it means, where there is one."""

    text: str
    place: Place = ()


def answer(
    key: str, path: Sequence[str | int], known: Sequence[str], value: YamlValue, schema: type[Config]
) -> Answer | None:
    """What to say of an unknown `key` that would stand at `path` beside the `known` ones; None where it is no word.

    It is another tool's, or the key of another place of the `schema`. `value` is the whole recipe's.
    """
    said = key.strip().lower().replace("-", "_")
    word = WORDS.get(said)
    if word is None:
        patterns = _by_pattern(schema).get(said, {})
        certain = {pattern: places for pattern, places in patterns.items() if "*" not in pattern} or patterns
        places = [_written(each, path, known, value) for each in certain.values()]
        here = " or ".join(_shown(place) for place in places)
        return Answer(f"; here it is {here}", places[0]) if 0 < len(places) <= MOST_PLACES else None
    says = f"({key}: {word.tools})"
    if not word.place:
        return Answer(f"; not a key here: {word.note} {says}")
    place = _written(_by_pattern(schema)[word.place.rpartition(".")[2]][word.place], path, known, value)
    return Answer(f"; here it is {_shown(place)}{': ' if word.note else ''}{word.note} {says}", place)


def _shown(place: Place) -> str:
    return ".".join(place) + (", at the top of the recipe" if len(place) == 1 else "")


def _written(places: Sequence[Place], path: Sequence[str | int], known: Sequence[str], value: YamlValue) -> Place:
    """Of places that differ in components, the one that the recipe names; beside the key where it may stand there."""
    if places[0][-1] in known:
        return (*map(str, path), places[0][-1])
    return max(places, key=lambda place: _depth(place, value))


def _depth(place: Place, value: YamlValue) -> int:
    """How much of a place the recipe has."""
    if isinstance(value, list):
        return max((_depth(place, item) for item in value), default=0)
    if not place:
        return 0
    if isinstance(value, dict) and place[0] in value:
        return 1 + _depth(place[1:], value[place[0]])
    return int(value == place[0])


@cache
def _by_pattern(schema: type[Config]) -> dict[str, dict[str, list[Place]]]:
    """Of each key of a schema its places, those that differ in components under one pattern."""
    found: dict[str, dict[str, list[Place]]] = {}
    for key in keys_of(schema):
        found.setdefault(key.place[-1], {}).setdefault(".".join(key.pattern), []).append(key.place)
    return found
