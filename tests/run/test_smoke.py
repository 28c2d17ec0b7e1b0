"""`ftkit check --smoke`: what a run would meet on a GPU box, met here, with config and tokenizer of the base alone."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from commands import Done, ftkit, ftkit_apart
from families import TREE
from forked import SHARED
from hub_standin import environment, files_of, serving
from small_runs import RECIPE, make_rows
from tiny_models import byte_level, config_of
from tokenizers import normalizers
from transformers import AutoModelForCausalLM

from ftkit.contracts import Context
from ftkit.engine.shrinking import Small, random_model
from ftkit.errors import DataError
from ftkit.recipe.schema import load_recipe
from ftkit.run.smoke import Tried, shortened

NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
NO_END = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}{% endfor %}"
NO_END += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
RIGHT = (
    "task.classify.labels=[delivery, login, refund, returns]",
    "train.method=qlora",
    "machine={device: cuda, attention: flash_attention_2}",
    "model.precision=bfloat16",
)
LARGER = {"num_hidden_layers": 6, "hidden_size": 256, "head_dim": 64, "intermediate_size": 512}
GENERATE = ("task={generate: {max_new_tokens: 8}}", "data.clean=[]", "baseline.instructions=[Answer.]")
CHAT = ("data.source={jsonl: {path: chats.jsonl}}", "data.split.group=null")


@dataclass(frozen=True)
class Mistake:
    """Overrides of a recipe that is right, and how `check --smoke` answers."""

    overrides: Sequence[str]
    error: str
    code: int = 3


def of(error: str, *overrides: str, code: int = 3) -> Mistake:
    return Mistake(overrides, error, code)


MISTAKES = {
    "wrong column": of("data.source: input: source has no column 'txt'", "data.source.jsonl.input=txt"),
    "no such file of test rows": of("tests.jsonl: no such file", "data.split.test={jsonl: {path: tests.jsonl}}"),
    "empty targets": of("R000: the target is empty", "data.source.jsonl.path=empty.jsonl", "data.clean=[]"),
    "label that is none of the recipe's": of("'refund'", "task.classify.labels=[delivery, login]"),
    "test rows that are the valid rows": of(
        "are the same rows",
        "data.split={valid: {jsonl: {path: more.jsonl}}, test: {jsonl: {path: more.jsonl}}}",
    ),
    "template that refuses system turns": of(
        "refuses these messages (roles: system, user", "model.hub=me/no-system", *CHAT
    ),
    "rows longer than the context": of(
        "the model takes 256. Shorten the row (clean: length), or set train.too_long",
        "train.too_long=error",
        "data.source.jsonl.path=long.jsonl",
    ),
    "context too short for the answer": of("max_new_tokens 9,999", *GENERATE, "task.generate.max_new_tokens=9999"),
    "instruction longer than the context": of(
        "baseline.instructions: the shortest", f"baseline.instructions=['{'late ' * 300}']"
    ),
    "unknown target module": of(
        "['no_proj'] does not fit this model; its layers are", "train.method.lora.target_modules=[no_proj]", code=2
    ),
    "head that is tied": of(
        "'lm_head' shares its weights with another layer",
        "model.hub=me/tied",
        "train.method.lora.target_modules=[lm_head]",
        code=2,
    ),
    "metric that finds no number": of(
        "numeric_match compares numbers, and the reference", *GENERATE, "evaluate.metrics=[numeric_match]"
    ),
    "extractor that finds nothing": of(
        "the extractor finds no answer in the target", *GENERATE, "task.generate.extract=last_number"
    ),
    "unknown placeholder": of("{lables}", "baseline.instructions=['One of {lables}.']", code=2),
    "no prompt has demonstrations enough": of(
        "baseline: no prompt could be scored",
        "baseline.prompts=[{few_shot: {k: 5000}}]",
        "train.wording={instruction: {text: Sort.}}",
    ),
    "nothing ends an answer": of("nothing ends the answer", "model.hub=me/no-end"),
    "token that the model does not know": of("has the id", "model.hub=me/narrow"),
    "label that the tokenizer changes": of(
        "changes the answer", "model.hub=me/lower", "data.source.jsonl.path=upper.jsonl"
    ),
    "unknown revision": of("the repository has no such revision; check model.revision", "model.revision=v9", code=4),
    "unknown repository": of("model.hub: me/tinny: no such repository", "model.hub=me/tinny", code=4),
    "gated repository": of("the repository is gated", "model.hub=me/gated", code=4),
    "weights that are pickled": of(
        "model.hub: me/pickled: pytorch_model.bin: pickled weights are refused", "model.hub=me/pickled", code=4
    ),
    "config that computes no number": of(
        "smoke run, baseline: the base model broken gives scores that are not finite", "model.hub=me/broken", code=7
    ),
    "unknown architecture": of("does not recognize this architecture", "model.hub=me/odd", code=4),
    "unknown key": of("train.learning_rat: unknown key", "train.learning_rat=1e-4", code=2),
}


def base(**changes: Any) -> dict[str, bytes]:
    """The repository of a base without weights: config, tokenizer and template."""
    tokenizer = changes.pop("tokenizer", None) or byte_level()
    config = config_of("llama", len(tokenizer))
    config.update({**LARGER, "architectures": ["LlamaForCausalLM"], **changes})
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        config.save_pretrained(folder)
        return files_of(Path(folder))


def repositories() -> dict[str, dict[str, bytes]]:
    refusing, endless, lower = byte_level(), byte_level(), byte_level()
    refusing.chat_template = NO_SYSTEM + refusing.chat_template
    endless.chat_template, endless.eos_token = NO_END, None
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    wide = byte_level()
    wide.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    wide.chat_template = "<|turn|>" + wide.chat_template
    plain = base()
    odd = {**plain, "config.json": plain["config.json"].replace(b'"llama"', b'"lama"')}
    return {
        "models/me/tiny": plain,
        "models/me/gated": plain,
        "models/me/odd": odd,
        "models/me/pickled": {**plain, "pytorch_model.bin": b"pickle"},
        "models/me/broken": base(rms_norm_eps=-10.0),
        "models/me/tied": base(tie_word_embeddings=True),
        "models/me/narrow": base(tokenizer=wide, vocab_size=len(wide) - 1),
        "models/me/no-system": base(tokenizer=refusing),
        "models/me/no-end": base(tokenizer=endless, eos_token_id=None),
        "models/me/lower": base(tokenizer=lower),
    }


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def chat(row: Mapping[str, str]) -> dict[str, Any]:
    said = {"system": "Be brief.", "user": row["text"], "assistant": row["label"]}
    return {"id": row["id"], "messages": [{"role": role, "content": text} for role, text in said.items()]}


@pytest.fixture(scope="module")
def answers() -> dict[str, Done]:
    """What `check --smoke` says of the recipe as it is ("right") and with each mistake. One worker asks for all."""
    folder = Path(os.environ[SHARED], "smoke")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            said = {name: asdict(done) for name, done in asked_in(folder).items()}
            (folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
    said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
    return {name: Done(**done) for name, done in said.items()}


def asked_in(folder: Path) -> dict[str, Done]:
    rows = make_rows()[:120]
    write(folder / "rows.jsonl", rows)
    write(folder / "more.jsonl", [{**row, "id": f"M{row['id']}", "text": f"more {row['text']}"} for row in rows[:20]])
    write(folder / "empty.jsonl", [{**row, "label": ""} for row in rows])
    write(folder / "long.jsonl", [{**row, "text": row["text"] + " late" * 150} for row in rows])
    write(folder / "upper.jsonl", [{**row, "label": row["label"].upper()} for row in rows])
    write(folder / "chats.jsonl", [chat(row) for row in rows])
    (folder / "recipe.yaml").write_text(RECIPE.replace("{path: base}", "{hub: me/tiny}"), encoding="utf-8")
    with serving(repositories(), gated=frozenset({"models/me/gated"})) as hub:
        calls = {"right": ("--smoke", "--json", *sets(RIGHT)), "fast": ("--fast",)}
        calls |= {name: ("--smoke", *sets(each.overrides)) for name, each in MISTAKES.items()}
        done = ftkit_apart(
            [("check", "recipe.yaml", *call) for call in calls.values()],
            cwd=folder,
            env={**environment(hub.endpoint, folder / "home"), "OMP_NUM_THREADS": "1"},
        )
        assert not any("safetensors" in name for name in hub.downloaded)
    return dict(zip(calls, done, strict=True))


def sets(overrides: Sequence[str]) -> list[str]:
    return [word for each in overrides for word in ("--set", each)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_with_its_place_where_only_config_and_tokenizer_are(
    name: str, answers: dict[str, Done]
) -> None:
    mistake, done = MISTAKES[name], answers[name]
    said = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.code, done.out) == (mistake.code, ""), done
    assert any(mistake.error in line for line in said), said
    assert "Traceback" not in done.err


def test_all_stages_are_tried_by_their_own_code_on_a_few_rows(answers: dict[str, Done]) -> None:
    done = answers["right"]
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [each["stage"] for each in found["passed"]] == [
        *("prepare", "baseline", "train", "evaluate", "compare", "export qlora")
    ]
    said = {each["stage"]: each["found"] for each in found["passed"]}
    assert said["prepare"] == ["train 20, valid 10, test 10 rows"]
    assert said["baseline"] == ["4 prompts scored"]
    assert said["evaluate"] == ["7 arms answered 10 rows"]
    assert found["base"] == "2 of 6 layers, 128 of 256 wide, random weights, on the CPU in float32"
    assert found["notes"] == [
        "machine.device cuda: not tried; all was done on the CPU",
        "model.precision bfloat16: not tried; all was done in float32",
        "machine.attention flash_attention_2: not tried",
    ]
    never = "train has no row with the label 'returns': may be chosen, is never learned (task.classify.labels)"
    assert never in found["findings"]["notes"]


def test_the_estimate_is_of_the_base_itself(answers: dict[str, Done]) -> None:
    found = json.loads(answers["right"].out)["estimate"]
    with torch.device("meta"):
        config = config_of("llama", len(byte_level()))
        config.update(LARGER)
        model: Any = AutoModelForCausalLM.from_config(config)
    num_weights = sum(each.numel() for each in model.parameters())
    assert (found["num_parameters"], found["precision"]) == (num_weights, "bfloat16")
    (qlora,) = found["memory"]
    layers = [part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and name != "lm_head"]
    rank_16 = sum(16 * (each.in_features + each.out_features) for each in layers)
    num_quantised = sum(each.weight.numel() for each in layers)
    assert qlora["num_trainable"] == rank_16
    assert qlora["trained_gib"] == pytest.approx(16 * rank_16 / 2**30)
    in_4_bits = 2 * (num_weights - num_quantised) + 0.56 * num_quantised
    assert qlora["weights_gib"] == pytest.approx(in_4_bits / 2**30, rel=1e-6)
    parts = ["search of the prompt", "training qlora", "scoring test"]
    assert [each["part"] for each in found["works"]] == parts


@pytest.mark.parametrize("family", ["Gemma3Text", "Qwen3Moe", "DeepseekV3", "GPT2"])
def test_a_stand_in_has_two_layers_and_its_family(family: str) -> None:
    config = getattr(transformers, f"{family}Config")(**{**TREE[family], "vocab_size": 300})
    small = random_model(config)
    kinds = getattr(config, "layer_types", None) or []
    assert small.config.num_hidden_layers == 2
    assert type(small) is type(AutoModelForCausalLM.from_config(config))
    assert set(getattr(small.config, "layer_types", None) or []) == set(kinds)
    assert small.config.vocab_size == 300


def test_what_is_tried_is_the_recipe_but_for_its_size(place: Path) -> None:
    recipe = load_recipe(
        "recipe.yaml",
        overrides=[
            "data.source={jsonl: {path: rows.jsonl, shape: {messages: {turns: every}}}}",
            "data.limit={train: 5000, valid: 4}",
            "train.variants={a: {epochs: 9, num_rows: 30, weight_decay: 0.1}, b: {method: full, learning_rate: 1e-9}}",
        ],
    )
    small = Small(place / "small", (6, 2), (256, 128), 300)
    tried = shortened(recipe, small, {"train": 20, "valid": 10, "test": 10})
    assert tried.model.path == str(place / "small")
    assert tried.data.limit.model_dump() == {"train": 20, "valid": 4, "test": 10}
    shape = tried.data.source[0].options.shape
    assert shape.options.model_fields_set == {"turns"}  # a default that is written out would be asked for
    a, b = tried.variants
    assert (a.label, a.num_rows, a.method.name, b.method.name) == ("a", 30, "lora", "full")
    assert a.train.weight_decay == 0.1
    steps = [(each.train.epochs, each.train.max_steps, each.train.learning_rate) for each in (a, b)]
    assert steps == [(1, 2, 1e-2), (1, 2, 1e-2)]


def test_an_error_of_the_smoke_run_says_its_stage(place: Path) -> None:
    with pytest.raises(DataError, match=r"^smoke run, compare: no row\nsmoke run, compare: no arm$"):
        with Tried(load_recipe("recipe.yaml"), place, Context()).timed("compare"):
            raise DataError("no row\nno arm")


# --- check --fast


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("model.path=bse", "model.path: bse: no such folder; give one with config.json, safetensors and tokenizer"),
        ("model.path=.", "config.json is missing; a model folder as transformers saves it is expected"),
        ("model.path=no-weights", "no-weights: no weights: model.safetensors is missing"),
        (
            "model.path=one-of-two",
            "one-of-two: b.safetensors is missing, 1 of 2 files of weights; fetch",
        ),
        ("model.path=no-tokenizer", "no-tokenizer: no tokenizer: tokenizer.json is missing"),
        ("evaluate.metrics=[accuracy, {evaluate: {path: bleu.py}}]", "evaluate.metrics: bleu.py: cannot be read"),
    ],
)
def test_a_fast_check_looks_whether_files_of_model_and_metrics_exist(override: str, error: str, place: Path) -> None:
    folders = {"no-weights": "*.safetensors", "no-tokenizer": "tokenizer.json", "one-of-two": "README.md"}
    for name, gone in folders.items():
        for path in Path(shutil.copytree("base", name)).glob(gone):
            path.unlink()
    index = {"weight_map": {"first": "model.safetensors", "second": "b.safetensors"}}
    Path("one-of-two/model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    done = ftkit("check", "recipe.yaml", "--fast", "--set", override)
    assert (done.code, done.out) == (4, "")
    assert error in done.err


def test_a_fast_check_says_what_of_a_model_is_not_in_the_cache(place: Path, answers: dict[str, Done]) -> None:
    weights = "model.hub: me/tiny: its weights are not in the cache: a run downloads them"
    assert answers["fast"] == Done(0, f"recipe.yaml: schema, columns and files are fine; {weights}\n", "")
    done = ftkit("check", "recipe.yaml", "--fast", "--set", "model.hub=me/nowhere")
    assert (done.code, done.err) == (0, "")
    missing = "model.hub: me/nowhere is not in the cache: a run downloads it"
    assert done.out == f"recipe.yaml: schema, columns and files are fine; {missing}\n"
    offline = ftkit("check", "recipe.yaml", "--fast", "--offline", "--set", "model.hub=me/nowhere")
    assert (offline.code, "offline, and it is not in the cache; download it first" in offline.err) == (4, True)


def test_fast_and_smoke_are_not_asked_for_at_once(place: Path) -> None:
    done = ftkit("check", "recipe.yaml", "--fast", "--smoke")
    assert (done.code, "take one of them" in done.err) == (2, True)
