"""Models into memory: base models, tuned ones, and merged ones.

Knows files, devices and precisions; no row, no task and no training.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from ftkit.contracts import Context, Machine, Trainable
from ftkit.engine.adapters import compute_at_once
from ftkit.engine.files import ModelSpec, changed_files, fetch, identify, runs_own_code
from ftkit.engine.foreign import check_adapter, explained, read_object, tokenizer_file, weights_file
from ftkit.engine.render import Renderer
from ftkit.errors import ArtifactError, DataError, MachineError
from ftkit.store import JsonRecord, digest, file_digest, read_record, write_json

__all__ = [
    "LoadedModel",
    "ModelSpec",
    "context_length",
    "fetch",
    "identify",
    "load",
    "load_plain",
    "load_renderer",
    "load_skeleton",
    "load_tuned",
    "resolve_device",
    "resolve_precision",
    "save_tuned",
    "wrap",
]

Precision = Literal["float32", "bfloat16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FACTS = "ftkit.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass
class LoadedModel:
    """A model in memory with its renderer. `context_length` is in tokens, `identity` as `identify` gives it.

    `precision` is what it computes in. `way` is found out on first use: how sequences that share tokens are computed.
    """

    model: Any
    renderer: Renderer
    precision: Precision
    device: str
    context_length: int
    identity: dict[str, Any]
    quantize: Literal["none", "nf4"] = "none"
    way: Literal["tree", "masked", "plain"] | None = None


def resolve_device(machine: Machine) -> str:
    """The device to compute on; auto takes CUDA where there is one. Raises MachineError for a missing one."""
    if machine.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise MachineError("machine.device: cuda is asked for, but torch finds no CUDA device; use auto or cpu")
    if machine.device == "mps" and not torch.backends.mps.is_available():
        raise MachineError("machine.device: mps is asked for, but torch finds none; use auto or cpu")
    return machine.device


def resolve_precision(precision: Literal["auto", "float32", "bfloat16"], device: str) -> Precision:
    """What to compute in: auto is bfloat16 on CUDA with bfloat16 units, else float32.

    Raises MachineError where bfloat16 is asked for on a device without such units.
    """
    if device == "cuda":
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bf16 = device == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if precision == "bfloat16" and not has_bf16:
        raise MachineError(f"model.precision: bfloat16 is asked for, but {device} has no bfloat16; use auto or float32")
    if precision == "auto":
        return "bfloat16" if has_bf16 and device == "cuda" else "float32"
    return precision


def load_renderer(spec: ModelSpec, ctx: Context) -> Renderer:
    """The model's tokenizer and chat template; no weights are read or downloaded."""
    from transformers import AutoTokenizer

    folder = fetch(spec, ctx, weights=False)
    eos_ids = {*_eos_ids(folder / "generation_config.json"), *_eos_ids(folder / "config.json")}
    num_ids = getattr(_config(spec, ctx), "vocab_size", None)
    with explained(lambda: tokenizer_file(folder), "the tokenizer cannot be loaded"):
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=runs_own_code(spec, ctx))
        tokenizer.init_kwargs.pop("local_files_only", None)  # says whether we are offline, and would be saved
        try:
            return Renderer(tokenizer, eos_ids=eos_ids, chat_template_kwargs=spec.chat_template_kwargs, num_ids=num_ids)
        except DataError as error:
            raise DataError(f"{spec.name}: {error}") from None


def load(spec: ModelSpec, ctx: Context) -> LoadedModel:
    """A base model with its renderer, in evaluation mode. Raises MachineError for all that can go wrong."""
    quiet_libraries()
    device = resolve_device(ctx.machine)
    precision = resolve_precision(spec.precision, device)
    if ctx.machine.threads != "auto":
        torch.set_num_threads(ctx.machine.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    folder = fetch(spec, ctx)
    renderer = load_renderer(spec, ctx)
    identity = identify(spec, ctx, cache_path=ctx.cache_dir / "digests.json")
    model = _load_weights(folder, spec, DTYPES[precision], device, ctx)
    return LoadedModel(model, renderer, precision, device, _context_length(model.config), identity, spec.quantize)


def wrap(model: Any, tokenizer: Any, *, chat_template_kwargs: Mapping[str, Any] | None = None) -> LoadedModel:
    """A model that is in memory already, with its tokenizer. Its identity is the hash of its weights."""
    quiet_libraries()
    parameter = next(model.parameters())
    eos = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    eos_ids = [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
    num_ids = model.get_input_embeddings().num_embeddings
    renderer = Renderer(tokenizer, eos_ids=eos_ids, chat_template_kwargs=chat_template_kwargs, num_ids=num_ids)
    files = {"state": digest([[name, _tensor_digest(value)] for name, value in sorted(model.state_dict().items())])}
    identity = {"repository": type(model).__name__, "commit": "", "files": files}
    precision: Precision = "bfloat16" if parameter.dtype == torch.bfloat16 else "float32"
    quantize: Literal["none", "nf4"] = "nf4" if getattr(model, "is_loaded_in_4bit", False) else "none"
    model.eval()
    return LoadedModel(
        model, renderer, precision, parameter.device.type, _context_length(model.config), identity, quantize
    )


def save_tuned(trainable: Trainable, base: LoadedModel, folder: Path) -> None:
    """Write trained weights, tokenizer, chat template (the plain one too) and `ftkit.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    trainable.save(folder)
    base.renderer.tokenizer.save_pretrained(folder)
    hashes = {path.name: file_digest(path) for path in sorted(folder.glob("*.safetensors"))}
    write_json(folder / FACTS, {"kind": trainable.kind, "base": base.identity, "weights": hashes})


def load_tuned(spec: ModelSpec, folder: Path, kind: Literal["adapter", "model"], ctx: Context) -> LoadedModel:
    """The base with the adapter of `folder` on it, or the tuned model that `folder` holds.

    Raises ArtifactError where the folder is damaged or its adapter was trained on another base.
    """
    facts = _verified_facts(folder, kind)
    if kind == "model":
        whole = replace(spec, path=folder.absolute(), hub=None, revision=None, quantize="none")
        return load(whole, ctx)
    base = load(spec, ctx)
    _check_base(folder, facts, base)
    return replace(base, model=_with_adapter(base.model, folder, base.device))


def load_plain(spec: ModelSpec, adapter: Path | None, ctx: Context) -> LoadedModel:
    """The base, with the adapter of a folder merged into it, as one model of plain weights, to be shipped.

    A quantised base takes the values that its weights stand for, which are those that it was scored with. Merging is
    done in float32; then the weights take the precision of `spec`. Raises ArtifactError as `load_tuned` does.
    """
    if adapter is None and spec.quantize == "none":
        return load(spec, ctx)
    facts = None if adapter is None else _verified_facts(adapter, "adapter")
    precision = resolve_precision(spec.precision, resolve_device(ctx.machine))
    base = load(spec if spec.quantize != "none" else replace(spec, precision="float32"), ctx)
    model = base.model if spec.quantize == "none" else base.model.dequantize()
    if adapter is not None and facts is not None:
        _check_base(adapter, facts, base)
        model = _with_adapter(model.float(), adapter, base.device).merge_and_unload()
    return replace(base, model=model.to(DTYPES[precision]), precision=precision, quantize="none")


def load_skeleton(spec: ModelSpec, ctx: Context) -> LoadedModel:
    """The model without its weights, to ask what can be trained of it; it computes nothing.

    Raises MachineError where its config is none that transformers knows.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = fetch(spec, ctx, weights=False)
    remote = runs_own_code(spec, ctx)
    with explained(folder, "its config.json gives no model"), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=remote)
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=remote)
    identity = {"repository": spec.name, "commit": "", "files": {}}
    renderer = load_renderer(spec, ctx)
    return LoadedModel(model, renderer, "float32", "meta", _context_length(config), identity, spec.quantize)


def quiet_libraries() -> None:
    """The terminal belongs to ctx.progress: no bars of transformers, no word on kernels bitsandbytes can do without.

    Nor on the type that weights take which are quantised no longer.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in ("bitsandbytes", "transformers.integrations.bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _load_weights(folder: Path, spec: ModelSpec, dtype: torch.dtype, device: str, ctx: Context) -> Any:
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    if ctx.machine.attention != "auto":
        options["attn_implementation"] = ctx.machine.attention
    if spec.quantize == "nf4":
        options["quantization_config"] = _nf4(dtype)
        options["device_map"] = {"": device}
    remote = runs_own_code(spec, ctx)
    try:
        with explained(lambda: weights_file(folder), "the model cannot be loaded"):
            loaded: Any = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=remote, **options)
            model, info = loaded
            if spec.quantize == "none":
                model.to(device)
    except torch.OutOfMemoryError:
        raise MachineError(
            f"{folder}: the model does not fit the memory of {device}; use a smaller one, or qlora"
        ) from None
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise MachineError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them; fetch the model anew"
        )
    if spec.quantize == "nf4":
        _stay_in_float32(model)
    model.eval()
    return model


def _stay_in_float32(model: Any) -> None:
    """Keep bitsandbytes from repacking weights to bfloat16 on a CPU that has it.

    It would do so in the first evaluation, for good: later training steps then get no gradient through these
    layers.
    """
    for part in model.modules():
        if hasattr(part, "support_avx512bf16_for_cpu"):
            part.support_avx512bf16_for_cpu = False


def _nf4(dtype: torch.dtype) -> Any:
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise MachineError("qlora needs bitsandbytes, which is not installed: pip install bitsandbytes, or use lora")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def context_length(spec: ModelSpec, ctx: Context) -> int:
    """Tokens the model takes, from its config; no weights are read."""
    return _context_length(_config(spec, ctx))


def _config(spec: ModelSpec, ctx: Context) -> Any:
    """The config of the language model."""
    from transformers import AutoConfig

    folder = fetch(spec, ctx, weights=False)
    with explained(folder / "config.json", "cannot be read"):
        return AutoConfig.from_pretrained(folder, trust_remote_code=runs_own_code(spec, ctx)).get_text_config()


def _context_length(config: Any) -> int:
    """Tokens up to which a token's position means the same, whatever else is read with it.

    "longrope" turns all positions otherwise once a longer text is among those read: that is where it ends.
    """
    config = config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    parts = [rope, *(each for each in rope.values() if isinstance(each, dict))]
    name = "original_max_position_embeddings"
    changes = [each[name] for each in parts if each.get("rope_type") == "longrope" and name in each]
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            least: int = min([value, *changes])
            return least
    return 2**20  # a family without positions has no limit of its own


def _eos_ids(path: Path) -> list[int]:
    if not path.is_file():
        return []
    value = read_object(path).get("eos_token_id")
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in ids):
        raise MachineError(f"{path}: eos_token_id: is {value!r}; expected the id of a token, or a list of them")
    return ids


class _Identity(JsonRecord):
    """Which model, as `identify` gives it."""

    repository: str
    commit: str
    files: dict[str, str]


class _Facts(JsonRecord):
    """ftkit.json."""

    kind: Literal["adapter", "model"] = Field(description="what the folder holds")
    base: _Identity = Field(description="the model that was tuned")
    weights: dict[str, str] = Field(min_length=1, description="SHA-256 of each file of weights")


def _verified_facts(folder: Path, kind: str) -> _Facts:
    """What `save_tuned` wrote of a folder. Raises ArtifactError where it is not so, or names what is no safetensors."""
    path = folder / FACTS
    if not path.is_file():
        raise ArtifactError(f"{folder}: {FACTS} is missing: not a folder of tuned weights that ftkit wrote")
    facts = read_record(path, _Facts)
    if facts.kind != kind:
        raise ArtifactError(f"{path}: kind: holds {facts.kind!r}, expected {kind!r}")
    for name, expected in facts.weights.items():
        weights = folder / name
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ArtifactError(f"{path}: weights: {name!r} is no safetensors file of this folder; train again")
        if not weights.is_file() or file_digest(weights) != expected:
            raise ArtifactError(f"{weights}: missing, or its bytes are not those that were saved; train again")
    if kind == "adapter":
        if list(facts.weights) != [ADAPTER_WEIGHTS]:  # peft would look for a pickle then
            raise ArtifactError(f"{path}: weights: expected {ADAPTER_WEIGHTS}, found {', '.join(facts.weights)}")
        check_adapter(folder)
    return facts


def _check_base(folder: Path, facts: _Facts, base: LoadedModel) -> None:
    wrong = changed_files(facts.base.model_dump(), base.identity)
    if wrong:
        raise ArtifactError(
            f"{folder}: the adapter was trained on another base ({facts.base.repository} "
            f"{facts.base.commit}); files that differ: {', '.join(wrong)}; "
            "give the model it was trained on"
        )


def _with_adapter(model: Any, folder: Path, device: str) -> Any:
    from peft import PeftModel

    place = folder / "adapter_config.json"
    with explained(place, "the adapter cannot be loaded", ArtifactError), warnings.catch_warnings():
        # peft 0.21 asks transformers 5 under a name that goes away; nothing a user could do about it
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        tuned = PeftModel.from_pretrained(model, folder, torch_device=device)
    compute_at_once(tuned)
    tuned.eval()
    return tuned


def _tensor_digest(tensor: torch.Tensor) -> str:
    import hashlib

    flat = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()
