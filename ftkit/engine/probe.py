"""Logits of a model folder as transformers alone sees it: `python -m ftkit.engine.probe FOLDER`.

Run as a process of its own, it reads a JSON list of id lists from stdin and writes the logits behind the last id of
each to stdout. Knows token ids only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ftkit.errors import ArtifactError


def logits_in_fresh_process(folder: Path, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Logits (rows, vocabulary) behind the last id of each row, float32. Raises ArtifactError where loading fails."""
    done = subprocess.run(
        [sys.executable, "-m", "ftkit.engine.probe", str(folder)],
        input=json.dumps([list(row) for row in rows]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ArtifactError(
            f"{folder}: cannot be loaded in a fresh process: {(done.stderr.strip() or '?').splitlines()[-1]}"
        )
    return torch.tensor(json.loads(done.stdout))


def last_logits(model: torch.nn.Module, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Logits (rows, vocabulary) behind the last id of each row, row by row, in float32 on the CPU."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        logits = [model(input_ids=torch.tensor([list(row)], device=device)).logits[0, -1] for row in rows]
    return torch.stack(logits).float().cpu()


def _main() -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], use_safetensors=True)
    model.eval()
    print(json.dumps(last_logits(model, json.load(sys.stdin)).tolist()))


if __name__ == "__main__":
    _main()
