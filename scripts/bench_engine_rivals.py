"""The rivals of the engine's benchmarks, served by the Pythons of their own environments.

    python scripts/bench_engine_rivals.py trl        answers jobs of bench_train
    python scripts/bench_engine_rivals.py lm-eval    answers jobs of bench_scoring

Knows nothing of ftkit. Token ids come ready, reading models and data is not counted. Each is used as its
documentation shows, with what it takes by default where a job does not say otherwise.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_sides import Facts, clock, peak_gib, serve

RANK = 16


def trl_train(job: Facts) -> Facts:
    """Seconds of SFTTrainer from the beginning of training to the end of its last step, and the first step's loss.

    Activations are not recomputed, which is its default and only makes it slower, unless the job asks for it.
    """
    from datasets import Dataset, disable_progress_bars
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    device, losses, times = job["device"], [], []

    class Clocked(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times.append(clock(device))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(clock(device))

    class Heard(SFTTrainer):
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            losses.append(loss)
            return loss

    rows = json.loads(Path(job["rows"]).read_text())[: job["num_rows"]]
    model_options: Facts = {"dtype": job["dtype"]}
    if job["method"] == "qlora":
        from transformers import BitsAndBytesConfig

        model_options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=job["dtype"],
        )
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "output_dir": folder,
            "num_train_epochs": 1,
            "per_device_train_batch_size": job["batch"],
            "learning_rate": 2e-5 if job["method"] == "full" else 2e-4,
            "bf16": job["dtype"] == "bfloat16",
            "use_cpu": device == "cpu",
            "max_length": None,
            "completion_only_loss": True,
            "gradient_checkpointing": False,
            "model_init_kwargs": model_options,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": device == "cuda",
            **job["options"],
        }
        trainer = Heard(
            job["model"],
            args=SFTConfig(**options),
            train_dataset=Dataset.from_dict(
                {"input_ids": [row["ids"] for row in rows], "completion_mask": [row["mask"] for row in rows]}
            ),
            peft_config=None
            if job["method"] == "full"
            else LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
            callbacks=[Clocked()],
        )
        trainer.train()
    return {
        "seconds": times[-1] - times[0],
        "loss": float(losses[0]),
        "num_steps": len(losses),
        "gib": peak_gib(device),
        "versions": _versions("trl", "transformers", "torch"),
    }


def _versions(*names: str) -> dict[str, str]:
    return {f"rival's {name}" if name != names[0] else name: importlib.metadata.version(name) for name in names}


WORKS = {"trl": {"train": trl_train}, "lm-eval": {}}

if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    serve(WORKS[sys.argv[1]])
