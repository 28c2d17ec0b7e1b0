"""What is exported says through transformers alone what the arm said, and what could not is refused before training."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import ftkit
from small_runs import SetUp
from tiny_models import byte_level, context, model_of, save_base, spec_of
from transformers import AutoModelForCausalLM, AutoTokenizer

from ftkit.contracts import Context
from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import LoadedModel, load, load_plain, load_renderer, load_tuned, save_tuned
from ftkit.engine.score import Request, score
from ftkit.engine.shipping import write_model
from ftkit.errors import ArtifactError, MachineError
from ftkit.records import Message
from ftkit.registry import choice_of, find, names
from ftkit.run.exporting import require_as_scored, write_checked
from ftkit.run.finished import open_run
from ftkit.run.reanswering import Reanswered

MESSAGES: list[list[Message]] = [
    [{"role": "user", "content": f"Where is card {number}?"}]
    if number % 2
    else [
        {"role": "user", "content": "Sort.\n\nmy card"},
        {"role": "assistant", "content": "card_arrival"},
        {"role": "user", "content": f"payment {number}\nreturned"},
    ]
    for number in range(10)
]
LABELS = ["card_arrival", "lost_or_stolen_card", "7"]
SAMPLED = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.5, "eos_token_id": 0}
THINKING = "{% if enable_thinking is not defined or enable_thinking %}THINK{% endif %}{{ tone }}"


def make_base(folder: Path, *, chat: bool) -> None:
    """A base with weights tied, whose makers want it sampled, and whose template thinks unless it is told not to."""
    tokenizer = byte_level(chat=chat)
    if chat:
        tokenizer.chat_template = THINKING + tokenizer.chat_template
    save_base(folder, tokenizer=tokenizer)
    model = model_of(vocabulary=len(tokenizer))
    model.config.tie_word_embeddings = True
    model.tie_weights()
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "Ċ"])
    with torch.no_grad():
        model.lm_head.weight[ends] *= 2.5  # so that a turn ends now and then
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(SAMPLED), encoding="utf-8")


def trained(method: str, folder: Path, *, chat: bool, ctx: Context) -> tuple[LoadedModel, LoadedModel]:
    """A model as it is scored after a training, and as it is written to be shipped."""
    make_base(folder / "base", chat=chat)
    quantize = sys.modules[find("methods", method).function.__module__].QUANTIZE
    spec = spec_of(folder / "base", quantize=quantize, chat_template_kwargs={"tone": "it's\n"} if chat else {})
    base = load(spec, ctx)
    built = choice_of("methods").model_validate(method)(base)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in built.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    save_tuned(built, base, folder / "tuned")
    scored = load_tuned(spec, folder / "tuned", built.kind, ctx)
    return scored, scored if built.kind == "model" else load_plain(spec, folder / "tuned", ctx)


@pytest.mark.parametrize("chat", [True, False], ids=["chat", "plain"])
@pytest.mark.parametrize("method", names("methods"))
def test_transformers_says_of_an_export_what_was_scored(method: str, chat: bool, tmp_path: Path) -> None:
    ctx = context(tmp_path)
    scored, shipped = trained(method, tmp_path, chat=chat, ctx=ctx)
    write_model(shipped, tmp_path / "out", max_new_tokens=12)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    asked = [scored.renderer.render(each).context_ids for each in MESSAGES]
    answers = [each.ids for each in generate(scored, asked, Writing(12), ctx=ctx)]
    for messages, ids, answer in zip(MESSAGES, asked, answers, strict=True):
        inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        assert inputs["input_ids"].tolist() == [ids]
        with torch.no_grad():
            written = model.generate(**inputs)[0, len(ids) :].tolist()
        assert written == answer
        text = tokenizer.decode(written, skip_special_tokens=True)
        assert chat is False or text == scored.renderer.decode(answer)
    assert any(len(answer) < 12 for answer in answers), "some end before the limit"
    choices = [each.target_ids for each in scored.renderer.render_each(MESSAGES[0], LABELS)]
    (found,) = score(scored, [Request(asked[0], choices)], ctx=ctx)
    with torch.no_grad():
        for target, ours in zip(choices, found, strict=True):
            logits = model(torch.tensor([asked[0] + target])).logits[0, len(asked[0]) - 1 : -1].log_softmax(-1)
            theirs = logits[range(len(target)), target].sum().item()
            assert ours.sum == pytest.approx(theirs, rel=1e-4)


def test_an_export_with_the_plain_template_is_a_base_like_the_one_it_was_made_of(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    save_base(tmp_path / "base", tokenizer=byte_level(chat=False))
    base = load(spec_of(tmp_path / "base"), ctx)
    write_model(base, tmp_path / "out", max_new_tokens=4)
    again = load_renderer(spec_of(tmp_path / "out"), ctx)
    assert again.eos_ids == base.renderer.eos_ids
    assert not again.has_template
    assert again.render(MESSAGES[1], "two\nlines") == base.renderer.render(MESSAGES[1], "two\nlines")


# --- of a run


@pytest.fixture
def copied(ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SetUp:
    """The finished run, in the folder that the command line runs in."""
    set_up = SetUp(shutil.copytree(ran.folder, tmp_path / "place"))
    monkeypatch.chdir(set_up.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return set_up


@pytest.mark.parametrize("arm", ["base+zero_shot", "lora+zero_shot"])
def test_a_base_that_changed_since_it_was_scored_is_refused(arm: str, copied: SetUp) -> None:
    save_base(copied.folder / "base", seed=1)
    for args in (("predict", "runs/small", "rows.jsonl"), ("export", "runs/small", "--out", "out")):
        done = ftkit(*args, "--arm", arm)
        assert (done.code, done.out) == (7, "")
        assert f"base: not the base that {arm} was scored on; files that differ: model.safetensors; bring" in done.err
    assert not Path("out").exists()


def test_the_linear_model_needs_no_base(copied: SetUp) -> None:
    shutil.rmtree(copied.folder / "base")
    assert ftkit("predict", "runs/small", "rows.jsonl", "--arm", "linear").code == 0
    assert ftkit("export", "runs/small", "--out", "out", "--arm", "linear").code == 0


def test_what_answers_otherwise_than_was_scored_is_refused_beyond_the_margin(ran: SetUp) -> None:
    run = open_run(ran.folder / "runs" / "small")
    arm = run.arm("lora+zero_shot")
    scored = [row for row in run.evaluated.predictions if row.arm == arm.name]
    right = sum(row.parsed == row.reference for row in scored)
    same = Reanswered(scored, torch.zeros(0))
    assert require_as_scored(run, arm, same, Path("out")) == (
        f"36 test rows answered anew in a fresh process: 0 otherwise than scored; accuracy {right / 36:.4f}, "
        f"scored {right / 36:.4f}, difference +0.0000"
    )
    place = next(place for place, row in enumerate(scored) if row.parsed == row.reference)
    wrong = [replace(row, parsed="else") if index == place else row for index, row in enumerate(scored)]
    with pytest.raises(
        ArtifactError, match=r"out: 36 test rows .*: 1 otherwise .*, difference -0\.0278, beyond the margin of 0\.02:"
    ):
        require_as_scored(run, arm, Reanswered(wrong, torch.zeros(0)), Path("out"))


def test_an_arm_is_not_exported_in_another_precision_than_it_was_scored_in(ran: SetUp, tmp_path: Path) -> None:
    run, ctx = open_run(ran.folder / "runs" / "small"), ran.context()
    arm = run.arm("base+zero_shot")
    model = replace(run.model(arm, ctx), precision="bfloat16")
    with pytest.raises(MachineError, match="scored in float32, this machine computes in bfloat16"):
        write_checked(run, arm, model, tmp_path / "out", ctx)


@pytest.mark.parametrize("command", [("check",), ("run", "--until", "prepare")])
@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ("[q_proj, lm_head]", "'lm_head' shares its weights with another layer of this model (model.embed_tokens, lm_"),
        ("[no_proj]", "['no_proj'] does not fit this model; its layers are "),
    ],
)
def test_what_could_not_be_trained_or_exported_is_refused_before_anything_is_paid(
    layers: str, error: str, command: tuple[str, ...], place: Path
) -> None:
    shutil.rmtree(place / "base")
    make_base(place / "base", chat=True)
    done = ftkit(*command, "recipe.yaml", "--set", f"train.method={{lora: {{target_modules: {layers}}}}}")
    assert (done.code, done.out) == (2, "")
    assert f"train.method target_modules: {error}" in done.err
    assert not list(place.glob("runs/small/prepare*"))
