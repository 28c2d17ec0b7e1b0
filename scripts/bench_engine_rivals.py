"""The rivals of the engine's benchmarks, served by the Pythons of their own environments.

    python scripts/bench_engine_rivals.py trl        answers jobs of bench_train
    python scripts/bench_engine_rivals.py lm-eval    answers jobs of bench_scoring

Knows nothing of ftkit. Token ids come ready, reading models and data is not counted. Each is used as its
documentation shows, with what it takes by default where a job does not say otherwise.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench_sides import Facts, clock, counted, peak_gib, serve


def trl_train(job: Facts) -> Facts:
    """Seconds of SFTTrainer from the beginning of training to the end of its last step, and the first step's loss."""
    from datasets import Dataset, disable_progress_bars
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    gc.collect()  # of the job before
    device, losses, times = job["device"], [], []

    class Clocked(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times.append(clock(device))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(clock(device))

    class Heard(SFTTrainer):
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            losses.append(super().training_step(*args, **kwargs))
            return losses[-1]

    rows = json.loads(Path(job["rows"]).read_text())[: job["num_rows"]]
    columns = {"input_ids": [row["ids"] for row in rows], "completion_mask": [row["mask"] for row in rows]}
    is_full = job["method"] == "full"
    adapter = None if is_full else LoraConfig(r=job["rank"], lora_alpha=2 * job["rank"], target_modules="all-linear")
    with tempfile.TemporaryDirectory() as folder:
        trainer = Heard(
            job["model"],
            args=SFTConfig(output_dir=folder, **_options_of(job)),
            train_dataset=Dataset.from_dict(columns),
            peft_config=adapter,
            callbacks=[Clocked()],
        )
        trainer.train()
    facts = {"seconds": times[-1] - times[0], "loss": float(losses[0]), "gib": peak_gib(device)}
    return facts | {"versions": _versions("trl")}


def _options_of(job: Facts) -> Facts:
    """Of SFTConfig; the job's own `options` come last."""
    model_options: Facts = {"dtype": "float32" if job["method"] == "full" else job["dtype"]}
    if job["method"] == "qlora":
        from transformers import BitsAndBytesConfig

        nf4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": job["dtype"]}
        model_options["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, **nf4)
    if job["device"] == "cuda":
        model_options["attn_implementation"] = "flash_attention_2"
    return {
        "num_train_epochs": 1,
        "per_device_train_batch_size": job["batch"],
        "learning_rate": 2e-5 if job["method"] == "full" else 2e-4,
        "bf16": job["dtype"] == "bfloat16",
        "use_cpu": job["device"] == "cpu",
        "max_length": None,
        "completion_only_loss": True,
        "model_init_kwargs": model_options,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": job["device"] == "cuda",
        **job["options"],
    }


def lm_score(job: Facts) -> Facts:
    """Seconds of loglikelihood requests, the sums of each, and how many tokens the model was given."""
    model = _lm(job)
    asked = json.loads(Path(job["requests"]).read_text())[: job["num_rows"]]
    requests = [(("", ""), each["context"], ids) for each in asked for ids in each["continuations"]]
    with counted(model.model if job["backend"] == "hf" else None) as tokens:
        begun = clock(job["device"])
        found = iter(model._loglikelihood_tokens(requests, disable_tqdm=True))
        seconds = clock(job["device"]) - begun
    sums = [[next(found)[0] for _ in each["continuations"]] for each in asked]
    return {"seconds": seconds, "sums": sums, "tokens": sum(tokens), "versions": _versions("lm_eval")}


def lm_generate(job: Facts) -> Facts:
    """Seconds of generate_until requests, and the texts."""
    from lm_eval.api.instance import Instance

    model = _lm(job)
    texts = json.loads(Path(job["requests"]).read_text())[: job["num_rows"]]
    options = {"until": [], "max_gen_toks": job["num_new"], "do_sample": False}
    requests = [Instance("generate_until", {}, (text, options), number) for number, text in enumerate(texts)]
    begun = clock(job["device"])
    found = model.generate_until(requests, disable_tqdm=True)
    return {"seconds": clock(job["device"]) - begun, "texts": found, "versions": _versions("lm_eval")}


@lru_cache(maxsize=1)
def _opened(backend: str, model: str, device: str, dtype: str, batch: int) -> Any:
    if backend == "vllm":
        from lm_eval.models.vllm_causallms import VLLM

        return VLLM(pretrained=model, dtype=dtype, batch_size="auto", enable_prefix_caching=True)
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model, device=device, dtype=dtype, batch_size=batch)


def _lm(job: Facts) -> Any:
    return _opened(job["backend"], job["model"], job["device"], job["dtype"], job["batch"])


def _versions(name: str) -> dict[str, str]:
    names = {name: name, "rival's torch": "torch", "rival's transformers": "transformers"}
    return {word: importlib.metadata.version(package) for word, package in names.items()}


WORKS = {"trl": {"train": trl_train}, "lm-eval": {"score": lm_score, "generate": lm_generate}}

if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    serve(WORKS[sys.argv[1]])
