"""Loading and saving: what is missing is said, what was saved is what is loaded, nothing foreign gets in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from tiny_models import byte_level, context, loaded_of, model_of, save_base, spec_of
from transformers import AutoModelForCausalLM, Phi3Config

from ftkit.contracts import Context, Trainable
from ftkit.engine.load import (
    ModelSpec,
    identify,
    load,
    load_plain,
    load_renderer,
    load_tuned,
    resolve_precision,
    save_tuned,
    wrap,
)
from ftkit.errors import ArtifactError, MachineError
from ftkit.training.methods.full import Full
from ftkit.training.methods.full import build as build_full
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora
from ftkit.training.methods.qlora import Qlora
from ftkit.training.methods.qlora import build as build_qlora

IDS = torch.tensor([[5, 6, 7, 8, 9]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


def changed(trainable: Trainable) -> Trainable:
    """The trainable as if it had been trained."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in trainable.model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    trainable.model.eval()
    return trainable


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return save_base(tmp_path / "base")


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return context(tmp_path)


@pytest.fixture
def adapter(spec: ModelSpec, ctx: Context, tmp_path: Path) -> tuple[Path, torch.Tensor]:
    base = load(spec, ctx)
    trainable = changed(build_lora(Lora(rank=4), base))
    save_tuned(trainable, base, tmp_path / "adapter")
    return tmp_path / "adapter", logits(trainable.model)


def test_a_base_is_loaded_with_its_identity_and_context_length(spec: ModelSpec, ctx: Context) -> None:
    loaded = load(spec, ctx)
    assert (loaded.precision, loaded.device, loaded.context_length) == ("float32", "cpu", 256)
    assert loaded.identity["repository"] == "base"
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(loaded.identity["files"])
    assert loaded.identity == identify(spec, ctx)
    assert torch.equal(logits(loaded.model), logits(model_of(vocabulary=len(byte_level()))))


def test_bfloat16_on_a_cpu_is_taken_where_it_has_units_for_it_and_auto_is_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for unit in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, unit, lambda: False)
    with pytest.raises(MachineError, match="cpu has no bfloat16; use auto or float32"):
        resolve_precision("bfloat16", "cpu")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert resolve_precision("bfloat16", "cpu") == "bfloat16"
    assert resolve_precision("auto", "cpu") == "float32"


# --- what is missing ------------------------------------------------------------------------------


def test_models_that_cannot_be_loaded_are_refused_with_what_to_do(tmp_path: Path, ctx: Context) -> None:
    with pytest.raises(MachineError, match=r"no-such.*no such folder"):
        load(spec_of(tmp_path / "no-such"), ctx)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MachineError, match=r"config.json is missing"):
        load(spec_of(empty), ctx)
    model_of().config.save_pretrained(empty)
    with pytest.raises(MachineError, match=r"no weights: model.safetensors is missing"):
        load(spec_of(empty), ctx)
    torch.save({}, empty / "pytorch_model.bin")
    with pytest.raises(MachineError, match=r"pickled weights are refused; convert to safetensors"):
        load(spec_of(empty), ctx)


def test_a_base_whose_weights_are_cut_or_incomplete_is_refused(spec: ModelSpec, ctx: Context, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "base" / "model.safetensors"
    whole = load_file(path)
    save_file(
        {name: value for name, value in whole.items() if "layers.1" not in name},
        path,
        metadata={"format": "pt"},
    )
    with pytest.raises(MachineError, match=r"weights are missing, model.layers.1"):
        load(spec, ctx)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MachineError, match="cannot be loaded"):
        load(spec, ctx)


def test_a_folder_without_a_tokenizer_is_refused(ctx: Context, tmp_path: Path) -> None:
    model_of().save_pretrained(tmp_path / "bare")
    with pytest.raises(MachineError, match="tokenizer cannot be loaded"):
        load(spec_of(tmp_path / "bare"), ctx)


def test_a_tokenizer_is_loaded_without_any_weights(spec: ModelSpec, ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "base" / "model.safetensors").unlink()
    assert load_renderer(spec, ctx).has_template


def test_remote_code_needs_a_pinned_revision(spec: ModelSpec, ctx: Context) -> None:
    with pytest.raises(MachineError, match="full commit"):
        load(replace(spec, path=None, hub="me/tiny", revision="main"), replace(ctx, trust_remote_code=True))


def test_trust_in_a_metrics_code_does_not_keep_a_local_model_from_loading(spec: ModelSpec, ctx: Context) -> None:
    assert load_renderer(spec, replace(ctx, trust_remote_code=True)).has_template


# --- the hub, as a server on this machine ---------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """Answers like the hub for repositories that cannot be had."""

    ANSWERS: ClassVar = {
        "gated/model": (403, "GatedRepo"),
        "no/model": (404, "RepoNotFound"),
        "old/model": (404, "RevisionNotFound"),
    }

    def do_GET(self) -> None:
        name = "/".join(self.path.split("/")[3:5])
        status, code = self.ANSWERS.get(name, (500, ""))
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    from huggingface_hub import constants

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def hub_spec(name: str) -> ModelSpec:
    return ModelSpec(path=None, hub=name, revision="main", precision="float32")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gated/model", "is gated; ask for access"),
        ("no/model", "no such repository, or a private one"),
        ("old/model", "no such revision; check model.revision"),
        ("not a name", "not a repository name"),
    ],
)
def test_a_repository_that_cannot_be_had_says_why(name: str, found: str, hub: None, ctx: Context) -> None:
    with pytest.raises(MachineError, match=found) as caught:
        load(hub_spec(name), ctx)
    assert caught.value.exit_code == 4


def test_offline_a_model_that_is_not_cached_says_so(ctx: Context, tmp_path: Path, monkeypatch: Any) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(MachineError, match=r"some/model at main: the network is off \(offline\)"):
        load(hub_spec("some/model"), replace(ctx, offline=True))


def test_a_hub_that_cannot_be_reached_says_so(ctx: Context, tmp_path: Path, monkeypatch: Any) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MachineError, match="the hub cannot be reached and the model is not in the cache"):
        load(hub_spec("some/model"), ctx)


# --- adapters -------------------------------------------------------------------------------------


def test_an_adapter_comes_back_as_it_was_saved(
    adapter: tuple[Path, torch.Tensor], spec: ModelSpec, ctx: Context
) -> None:
    folder, expected = adapter
    tuned = load_tuned(spec, folder, "adapter", ctx)
    plain = logits(load(spec, ctx).model)
    assert torch.equal(logits(tuned.model), expected)
    assert not torch.allclose(expected, plain, atol=1e-3)


def test_plain_peft_loads_the_adapter_and_transformers_its_tokenizer(
    adapter: tuple[Path, torch.Tensor], spec: ModelSpec
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, expected = adapter
    base = AutoModelForCausalLM.from_pretrained(spec.path)
    with pytest.warns(FutureWarning):  # peft's own, see methods/__init__.py
        tuned = PeftModel.from_pretrained(base, folder)
    assert torch.equal(logits(tuned), expected)
    assert AutoTokenizer.from_pretrained(folder).chat_template == byte_level().chat_template


def test_an_adapter_folder_names_its_base_and_no_path_of_this_machine(
    adapter: tuple[Path, torch.Tensor], spec: ModelSpec, ctx: Context, tmp_path: Path
) -> None:
    folder, _ = adapter
    facts = json.loads((folder / "ftkit.json").read_text())
    assert facts["base"] == identify(spec, ctx)
    assert list(facts["weights"]) == ["adapter_model.safetensors"]
    for path in folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


def test_the_same_training_saves_the_same_bytes(spec: ModelSpec, ctx: Context, tmp_path: Path) -> None:
    for name in ("one", "two"):
        base = load(spec, ctx)
        torch.manual_seed(1)
        save_tuned(changed(build_lora(Lora(rank=4), base)), base, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "adapter_config.json" in names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_an_adapter_refuses_another_base_of_the_same_shape(
    adapter: tuple[Path, torch.Tensor], ctx: Context, tmp_path: Path
) -> None:
    other = save_base(tmp_path / "other", seed=1)
    with pytest.raises(ArtifactError, match=r"trained on another base \(base \).*model.safetensors") as caught:
        load_tuned(other, adapter[0], "adapter", ctx)
    assert caught.value.exit_code == 7


def test_an_adapter_knows_its_base_wherever_it_lies(
    adapter: tuple[Path, torch.Tensor], ctx: Context, tmp_path: Path
) -> None:
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    tuned = load_tuned(spec_of(tmp_path / "elsewhere"), adapter[0], "adapter", ctx)
    assert torch.equal(logits(tuned.model), adapter[1])


@pytest.mark.parametrize("kind", ["flipped", "no facts", "wrong kind", "cut facts"])
def test_a_damaged_or_foreign_adapter_is_refused(
    kind: str, adapter: tuple[Path, torch.Tensor], spec: ModelSpec, ctx: Context
) -> None:
    folder, _ = adapter
    weights, facts = folder / "adapter_model.safetensors", folder / "ftkit.json"
    if kind == "flipped":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    if kind == "no facts":
        facts.unlink()
    if kind == "cut facts":
        facts.write_text(facts.read_text()[:-9])
    with pytest.raises(ArtifactError):
        load_tuned(spec, folder, "model" if kind == "wrong kind" else "adapter", ctx)


def test_merged_weights_equal_base_and_adapter(
    adapter: tuple[Path, torch.Tensor], spec: ModelSpec, ctx: Context
) -> None:
    folder, expected = adapter
    merged = load_plain(spec, folder, ctx)
    torch.testing.assert_close(logits(merged.model), expected, rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name, _ in merged.model.named_parameters())


def test_a_qlora_adapter_merges_onto_the_values_that_the_quantised_base_stands_for(
    spec: ModelSpec, ctx: Context, tmp_path: Path
) -> None:
    quantised = replace(spec, quantize="nf4")
    base = load(quantised, ctx)
    before = logits(base.model)
    trainable = build_qlora(Qlora(rank=4), base)
    assert torch.equal(logits(trainable.model.eval()), before)
    save_tuned(changed(trainable), base, tmp_path / "adapter")
    expected = logits(trainable.model)
    tuned = load_tuned(quantised, tmp_path / "adapter", "adapter", ctx)
    assert torch.equal(logits(tuned.model), expected)
    merged = load_plain(quantised, tmp_path / "adapter", ctx)
    torch.testing.assert_close(logits(merged.model), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits(load_plain(quantised, None, ctx).model), before, rtol=1e-4, atol=1e-4)


def test_evaluating_an_nf4_base_between_two_steps_takes_no_gradient_away(spec: ModelSpec, ctx: Context) -> None:
    """Trap: on a CPU with bfloat16, bitsandbytes repacks weights in an evaluation; the gradient is lost."""
    trainable = changed(build_qlora(Qlora(rank=4), load(replace(spec, quantize="nf4"), ctx)))
    first = next(p for name, p in trainable.model.named_parameters() if "layers.0" in name and p.requires_grad)
    before = torch.autograd.grad(trainable.model.train()(IDS, use_cache=False).logits.sum(), first)[0]
    logits(trainable.model.eval())
    after = torch.autograd.grad(trainable.model.train()(IDS, use_cache=False).logits.sum(), first)[0]
    assert before.abs().max() > 0
    assert torch.equal(before, after)


def test_a_fully_tuned_model_comes_back_as_it_was_saved(spec: ModelSpec, ctx: Context, tmp_path: Path) -> None:
    base = load(spec, ctx)
    trainable = changed(build_full(Full(), base))
    save_tuned(trainable, base, tmp_path / "model")
    tuned = load_tuned(spec, tmp_path / "model", "model", ctx)
    assert torch.equal(logits(tuned.model), logits(trainable.model))
    again = build_full(Full(), load(spec, ctx))
    again.load(tmp_path / "model")
    assert torch.equal(logits(again.model.eval()), logits(trainable.model))


def test_the_plain_template_travels_with_the_adapter(ctx: Context, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    spec = save_base(tmp_path / "base", tokenizer=byte_level(chat=False))
    base = load(spec, ctx)
    save_tuned(build_lora(Lora(rank=4), base), base, tmp_path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "adapter")
    messages = [{"role": "user", "content": "a "}, {"role": "assistant", "content": "b"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "a\nb\n"


def test_a_model_in_memory_is_known_by_its_weights() -> None:
    assert loaded_of().identity == loaded_of().identity
    assert loaded_of("qwen3").identity != loaded_of().identity


def test_a_context_ends_where_longer_texts_would_turn_the_positions_of_all_otherwise() -> None:
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
    lengths = {"max_position_embeddings": 256, "original_max_position_embeddings": 64}
    config = Phi3Config(vocab_size=400, pad_token_id=0, rope_parameters={**rope, "factor": 4.0}, **shape, **lengths)
    model = AutoModelForCausalLM.from_config(config).eval()
    assert wrap(model, byte_level()).context_length == 64
    short, long = torch.arange(5, 25)[None], torch.arange(5, 105)[None]
    with torch.no_grad():
        within = model(torch.cat([short.repeat(1, 5), long])).logits[0, :20]
        assert not torch.allclose(model(short).logits[0], within, atol=1e-3)
