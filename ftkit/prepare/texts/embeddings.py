"""Texts to vectors by an embedding model in a local folder: static embeddings, or any model of sentence-transformers.

Knows no row and no step. Static embeddings (model2vec, or StaticEmbedding of sentence-transformers) are a table of
token vectors: they are read here, so that neither library is needed. Safetensors only; code in a folder is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.errors import MachineError
from ftkit.store import cached_file_digest, digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Vectors: TypeAlias = "NDArray[np.float32]"
    """Shape (texts, width); rows have any length, and length 0 where no token of a text is known."""

Embed: TypeAlias = "Callable[[Sequence[str]], Vectors]"
TEXTS_AT_ONCE = 1024
_PICKLED = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}


def load_embedder(folder: Path, *, device: str | None = None) -> Embed:
    """The model of a folder as a function. Raises MachineError where something is missing, damaged, or would run code.

    `device` is for models of sentence-transformers; None takes what there is.
    """
    if not folder.is_dir():
        raise MachineError(f"{folder}: no such folder; give one as model2vec or sentence-transformers saves it")
    static = _static_parts(folder)
    return _static(*static) if static else _sentence_transformer(folder, device)


def folder_id(folder: Path, *, cache_path: Path, elsewhere: str = "") -> str:
    """SHA-256 over the names and bytes of the folder's files, README and hidden ones left out."""
    if not folder.is_dir():
        hint = "give one as model2vec or sentence-transformers saves it"
        raise MachineError(f"{folder}: no such folder{elsewhere}; {hint}")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    names = {path.relative_to(folder): path for path in files}
    plain = {name.as_posix(): path for name, path in names.items() if not any(part[0] == "." for part in name.parts)}
    return digest({name: cached_file_digest(path, cache_path) for name, path in plain.items()})


@dataclass(frozen=True)
class _Static:
    """Vectors of tokens. `rows` and `weights` have one entry a token, where the model has them."""

    tokenizer: Tokenizer
    unknown: int | None
    vectors: Vectors
    rows: NDArray[np.int64] | None
    weights: Vectors | None

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Mean of the token vectors of each text. All tokens count, where model2vec by default stops at 512."""
        import numpy as np

        batches = [self._mean(texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)]
        return np.concatenate(batches) if batches else np.empty((0, self.vectors.shape[1]), np.float32)

    def _mean(self, texts: Sequence[str]) -> Vectors:
        import numpy as np
        from scipy.sparse import csr_array

        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        tokens = [np.array(each.ids, np.int64) for each in encoded]
        known = [ids if self.unknown is None else ids[ids != self.unknown] for ids in tokens]
        counts = np.array([len(ids) for ids in known])
        flat = np.concatenate(known)
        weights = np.ones(len(flat), np.float32) if self.weights is None else self.weights[flat]
        columns = flat if self.rows is None else self.rows[flat]
        shape = (len(known), len(self.vectors))
        tally = csr_array((weights, columns, np.concatenate([[0], np.cumsum(counts)])), shape=shape)
        mean: Vectors = (tally @ self.vectors) / np.maximum(counts, 1)[:, None].astype(np.float32)
        return mean


def _static_parts(folder: Path) -> tuple[Path, str] | None:
    """The file of static embeddings and the name of its tensor; None where the folder holds another model."""
    for path in (folder / "model.safetensors", folder / "0_StaticEmbedding" / "model.safetensors"):
        if path.is_file() and (path.parent / "tokenizer.json").is_file():
            names = _tensors(path, ())[0]
            for name in ("embeddings", "embedding.weight"):
                if name in names:
                    return path, name
    return None


def _static(path: Path, name: str) -> Embed:
    import numpy as np

    names, tensors = _tensors(path, (name, "mapping", "weights"))
    vectors, mapping, weights = tensors[name], tensors.get("mapping"), tensors.get("weights")
    rows = None if mapping is None else mapping.astype(np.int64)
    tokenizer, unknown = _tokenizer(path.parent / "tokenizer.json")
    num_tokens = max(tokenizer.get_vocab().values(), default=-1) + 1
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise MachineError(f"{path}: tensor {name!r} is no table of finite numbers; download the model again")
    fitting = num_tokens <= len(vectors) if rows is None else num_tokens <= len(rows) and rows.max() < len(vectors)
    if not fitting or (weights is not None and num_tokens > len(weights)):
        raise MachineError(
            f"{path}: fewer vectors than the {num_tokens:,} tokens of its tokenizer.json; tensors {names}"
        )
    plain = None if weights is None else weights.astype(np.float32)
    # sentence-transformers gives the unknown token its vector, model2vec leaves it out
    return _Static(tokenizer, unknown if name == "embeddings" else None, vectors.astype(np.float32), rows, plain)


def _tensors(path: Path, wanted: Sequence[str]) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """Names of all tensors, and those of the wanted ones that are there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names: list[str] = list(file.keys())
            return names, {name: file.get_tensor(name) for name in wanted if name in names}
    except SafetensorError as error:
        raise MachineError(f"{path}: damaged: {error}; download the model again") from None
    except TypeError as error:  # numpy has no bfloat16
        raise MachineError(f"{path}: {error}; save the model in float32 or float16") from None


def _tokenizer(path: Path) -> tuple[Tokenizer, int | None]:
    """The tokenizer without truncation and padding, and the id of its unknown token."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise MachineError(f"{path}: cannot be read: {error}; download the model again") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model"]
    word: str | None = model.get("unk_token")
    unknown: int | None = model.get("unk_id")
    return tokenizer, unknown if word is None else tokenizer.token_to_id(word)


def _sentence_transformer(folder: Path, device: str | None) -> Embed:
    _refuse_code(folder)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MachineError(
            f"{folder}: needs sentence-transformers, which is not installed: pip install 'ftkit[semantic]', "
            "or give static embeddings of model2vec"
        ) from None
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise MachineError(f"{folder}: the model cannot be loaded: {str(error).splitlines()[0]}") from None

    def embed(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False).astype("float32")
        return vectors

    return embed


def _refuse_code(folder: Path) -> None:
    """Stop before sentence-transformers loads pickled weights, or (before 6.0) imports any module a folder names."""
    path = folder / "modules.json"
    try:
        kinds = [str(module["type"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise MachineError(
            f"{folder}: neither static embeddings (model.safetensors with a tensor 'embeddings', tokenizer.json) nor "
            "a folder of sentence-transformers (modules.json)"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise MachineError(f"{path}: not a list of modules with a type; download the model again") from None
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            raise MachineError(
                f"{path}: module {kind!r} is code from elsewhere; only sentence_transformers' own are run"
            )
    for pickled in sorted(path for path in folder.rglob("*") if path.suffix in _PICKLED):
        if not any(pickled.parent.glob("*.safetensors")):
            raise MachineError(f"{pickled}: pickled weights are refused; convert to safetensors")
