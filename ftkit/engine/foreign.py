"""Files of models that others made, looked at before a library opens them: what they are, and what they would load.

Knows the names that transformers and peft read; no tensor. Errors name file and key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftkit.errors import ArtifactError, FtkitError, MachineError
from ftkit.store import read_json

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
LARGEST = 2**40  # of whole numbers in a config: beyond it sizes overflow
READ_FIRST = ("config.json", "generation_config.json", "tokenizer_config.json")
NO_PATTERNS = (  # of an adapter: regular expressions, and what loads more than its own weights
    *("exclude_modules", "modules_to_save", "layers_pattern", "layers_to_transform", "rank_pattern", "alpha_pattern"),
    *("target_parameters", "trainable_token_indices", "auto_mapping", "megatron_config", "eva_config", "corda_config"),
    *("loftq_config", "layer_replication", "revision"),
)
_MISSHAPEN = "size mismatch: config.json does not fit the weights"


def check_model_files(folder: Path, *, weights: bool) -> None:
    """Raise MachineError for what no model folder holds: pipes, links in a ring, no JSON, foreign code, vast sizes."""
    for path in folder.iterdir():
        if path.suffix in (".json", ".jinja", ".safetensors", ".model", ".txt") and not path.is_file():
            raise MachineError(f"{path}: is not a file that can be read; fetch the model anew")
    for name in READ_FIRST:
        if (folder / name).is_file():
            _check_values(folder / name, read_object(folder / name))
    if weights and (folder / "adapter_config.json").is_file():
        path = folder / "adapter_config.json"
        raise MachineError(f"{path}: the folder holds an adapter, no whole model; merge it onto its base first")
    if weights:
        _check_layers(folder)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file of a model. Raises MachineError where it is not a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MachineError(f"{path}: not valid JSON: {reason_of(error)}") from None
    if not isinstance(value, dict):
        raise MachineError(f"{path}: expected a JSON object")
    return value


@contextmanager
def explained(place: Path | Callable[[], Path], what: str, kind: type[FtkitError] = MachineError) -> Iterator[None]:
    """Turn what a library raises over a file of others into one line about it. Too little memory is not its fault."""
    try:
        yield
    except (FtkitError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # tokenizers raises Exception itself, transformers and huggingface_hub whatever they meet
        if type(error).__name__ == "OutOfMemoryError":
            raise
        where = place if isinstance(place, Path) else place()
        raise kind(f"{where}: {what}: {reason_of(error)}") from None


def tokenizer_file(folder: Path) -> Path:
    """Which of a tokenizer's files is to blame where it cannot be loaded."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        return folder
    try:
        Tokenizer.from_file(str(path))
    except Exception:  # it raises Exception itself
        return path
    return folder / "tokenizer_config.json"


def weights_file(folder: Path) -> Path:
    """Which file of weights is damaged, by its header; the config where none is."""
    return next((path for path in sorted(folder.glob("*.safetensors")) if _names(path) is None), folder / "config.json")


def check_adapter(folder: Path) -> None:
    """Raise ArtifactError where an adapter's config holds more than ftkit writes: a pattern may never end."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        raise ArtifactError(f"{path}: is missing; train again")
    config = read_json(path)
    if not isinstance(config, dict):
        raise ArtifactError(f"{path}: expected a JSON object")
    names = config.get("target_modules")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ArtifactError(f"{path}: target_modules: expected a list of names, no pattern; train again")
    for key in NO_PATTERNS:
        if config.get(key):
            raise ArtifactError(f"{path}: {key}: ftkit writes none, and takes none from others; train again")
    if config.get("peft_type") != "LORA" or config.get("task_type") != "CAUSAL_LM":
        raise ArtifactError(f"{path}: peft_type: expected LORA for CAUSAL_LM; train again")


def reason_of(error: BaseException) -> str:
    """What an error says, in one line of bounded length: of a library's advice the part that names what is wrong."""
    lines = [line.strip() for line in (str(error).strip() or type(error).__name__).splitlines()]
    text = next((line for line in lines if line.startswith(("TypeError", "ValueError"))), lines[0])
    text = text.replace("You set `ignore_mismatched_sizes` to `False`, thus raising an error.", _MISSHAPEN)
    return text if len(text) <= 300 else text[:299] + "…"


def _check_values(path: Path, value: Any, key: str = "", depth: int = 0) -> None:
    if isinstance(value, dict) and depth < 20:
        for name, each in value.items():
            _check_values(path, each, f"{key}.{name}" if key else name, depth + 1)
        return
    if isinstance(value, int) and abs(value) > LARGEST and not key.endswith("model_max_length"):
        raise MachineError(f"{path}: {key}: the number is beyond all sizes; fetch the model anew")
    if key.endswith("_implementation") and isinstance(value, str) and "/" in value:
        raise MachineError(f"{path}: {key}: {value!r} would load code of others, which is never run; take the key out")


def _check_layers(folder: Path) -> None:
    """Raise MachineError where the config asks for more layers than there are tensors: to build them takes for ever."""
    config = read_object(folder / "config.json")
    inner = config.get("text_config")
    num_layers = [
        (key, part[key]) for part in (config, inner) if isinstance(part, dict) for key in LAYERS if key in part
    ]
    known = [_names(path) for path in sorted(folder.glob("*.safetensors"))]
    num_tensors = sum(len(names) for names in known if names is not None)
    for key, number in num_layers:
        if None not in known and isinstance(number, int) and number > num_tensors:
            raise MachineError(
                f"{folder / 'config.json'}: {key}: asks for {number:,} layers, and the weights are {num_tensors:,} "
                "tensors; fetch the model anew"
            )


def _names(path: Path) -> list[str] | None:
    """Names of the tensors of a file; None where its header is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="np") as file:
            return list(file.keys())
    except (SafetensorError, OSError, ValueError):
        return None
