"""How fast the engine scores labels and generates, beside lm-evaluation-harness on its Hugging Face backend.

    python scripts/bench_scoring.py --setup                make its environment (2 GB, once)
    python scripts/bench_scoring.py --quick                about three minutes
    python scripts/bench_scoring.py                        all figures, on as many rows as the goals speak of
    python scripts/bench_scoring.py --figure generate-64   one of them
    python scripts/bench_scoring.py --device cuda          models of 0.6 B to 8 B, beside vLLM; no GPU has run it yet

Ends with one JSON line a figure; `ratio` is ours / rival, `spread` its least and greatest from run to run. Each side is
a process of its own with one thread; they take turns. Seconds are those of the processor, of scoring or writing alone.
Both get the same requests for the same model with random weights: prompts of banking77 with demonstrations, and every
label with an end as a continuation. `token_ratio`: tokens that the rival's model is given / tokens that ours is.
`of_matrix_rate`: the share of what plain matrix products of the model's shapes reach that ftkit reaches in FLOPs that
are needed: no token padded, repeated or read for nothing. All log-likelihoods must be equal to 1e-4, and the texts of
nineteen rows in twenty: batches of another width round a near tie to the other side now and then.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from bench_models import SIZES, Texts, Work, read_texts, tokenizer_of, work_of, write_model
from bench_sides import (
    Facts,
    Figures,
    Side,
    alternated,
    clock,
    counted,
    matrix_rate,
    options_of,
    rivals_python,
    rivals_side,
    say,
    serve,
    set_up,
)

PACKAGES = ["lm-eval[hf]==0.4.13", "peft"]
BATCH = 4  # of the rival's requests: with 1, 8, 16 or 32 no figure was faster, and some took 1.3 times as long
WRITING_BATCH = 16  # and of rows that it continues: 4, 8 and 32 took 1.2, 1.1 and 1.5 times as long
TOLERANCE = 1e-4
NUM_NEW = 64
SHARED, OWN = 884, 70  # tokens of the prompts that are continued


@dataclass(frozen=True)
class Labelling:
    """Rows of banking77 with some of its labels, behind demonstrations."""

    labels: int
    shots: int
    num_rows: int
    num_quick: int
    goal: str


LABELLINGS = {
    "77-labels-5-shot": Labelling(77, 5, 100, 3, ">= 65"),
    "2-labels-5-shot": Labelling(2, 5, 200, 24, ">= 10"),
    "20-labels-64-shot": Labelling(20, 64, 20, 2, ">= 0.8 of the token ratio"),
}
FIGURES = [*LABELLINGS, "generate-64"]
GENERATED = (64, 8)  # rows, and rows of --quick


def main() -> None:
    """Measure, and print a JSON line a figure."""
    options = options_of(__doc__, FIGURES)
    if options.serve:
        serve({"score": score_requests, "generate": continue_texts, "rate": matrix_rate})
        return
    if options.setup:
        packages = [*PACKAGES, *(["vllm"] if options.device == "cuda" else [])]
        set_up(options.rivals, "lm-eval", packages, device=options.device)
        return
    figures = Figures()
    sizes = ["S"] if options.device == "cpu" else ["0.6B", "1B", "8B"]
    with tempfile.TemporaryDirectory() as name:
        for size in sizes:
            measure(figures, size, options, Path(name))
    figures.finish()


def measure(figures: Figures, size: str, options: argparse.Namespace, folder: Path) -> None:
    """All figures of a model."""
    rivals_python(options.rivals, "lm-eval")
    texts = read_texts(options.data)
    dtype = "float32" if options.device == "cpu" else "bfloat16"
    model_dir = write_model(options.rivals / "models", size, texts, dtype=dtype, device=options.device)
    job: Facts = {"model": str(model_dir), "dtype": dtype, "device": options.device, "num_new": NUM_NEW}
    job |= {"backend": "hf" if options.device == "cpu" else "vllm", "requests": str(folder / "requests.json")}
    with ExitStack() as stack:
        ours = Side([sys.executable, __file__, "--serve"], folder / "ours.log")
        sides = {"ours": stack.enter_context(ours)}
        sides["lm-eval"] = stack.enter_context(rivals_side(options.rivals, "lm-eval", folder / "rival.log"))
        prefix = "" if options.device == "cpu" else f"{size} "
        for name in [options.figure] if options.figure else FIGURES:
            say(prefix + name)
            if name in LABELLINGS:
                labelling(figures, name, sides, job, texts, options)
            else:
                generation(figures, name, sides, job, texts, options)


def labelling(
    figures: Figures, name: str, sides: dict[str, Side], job: Facts, texts: Texts, options: argparse.Namespace
) -> None:
    """Rows per second of scoring all labels, and whether the log-likelihoods are those of the rival."""
    work = LABELLINGS[name]
    num_rows = options.rows or (work.num_quick if options.quick else work.num_rows)
    requests = requests_of(tokenizer_of(Path(job["model"])), texts, work, num_rows)
    Path(job["requests"]).write_text(json.dumps(requests))
    say(f"  {num_rows} rows, contexts of {statistics.mean(len(each['context']) for each in requests):.0f} tokens")
    job = {**job, "work": "score", "num_rows": num_rows, "batch": BATCH}
    ours, rival = _in_turn(sides, job, options.repeats)
    pairs = zip(chain(*ours[0]["sums"]), chain(*rival[0]["sums"]), strict=True)
    figures.require(f"{name}, log-likelihoods", [abs(one - two) for one, two in pairs], TOLERANCE)
    more: Facts = {"goal": work.goal, **_share(sides["ours"], job, needed_work(requests), ours)}
    if rival[0]["tokens"]:
        more["token_ratio"] = round(rival[0]["tokens"] / ours[0]["tokens"], 2)
    figures.rates(name, ours, rival, num_rows, "rows/s", **more)


def _in_turn(sides: dict[str, Side], job: Facts, repeats: int) -> tuple[list[Facts], list[Facts]]:
    """What both say of a job, after one row each that is not counted."""
    for side in sides.values():
        side.ask({**job, "num_rows": 1})
    found = alternated(sides, dict.fromkeys(sides, job), repeats)
    return found["ours"], found["lm-eval"]


def _share(side: Side, job: Facts, work: Work, ours: list[Facts]) -> Facts:
    """The share of the matrix rate that the needed work took."""
    size = SIZES[Path(job["model"]).name.split("-")[0]]
    rate_job = {"work": "rate", "dtype": job["dtype"], "device": job["device"], "shapes": size.shapes[:7]}
    rate = side.ask(rate_job)["flops_per_s"]
    share = work.flops(size) / statistics.median(facts["seconds"] for facts in ours) / rate
    return {"of_matrix_rate": round(share, 3), "matrix_gflops": round(rate / 1e9, 1)}


def needed_work(requests: list[Facts]) -> Work:
    """What scoring the requests needs."""
    sequences, wanted = [], []
    for each in requests:
        for ids in each["continuations"]:
            sequences.append([*each["context"], *ids[:-1]])
            wanted.append(range(len(each["context"]) - 1, len(sequences[-1])))
    return work_of(sequences, wanted)


def requests_of(tokenizer: Any, texts: Texts, work: Labelling, num_rows: int) -> list[Facts]:
    """Contexts that share their demonstrations, each with all labels behind it."""
    labels = sorted({label for _, label in texts.banking})[: work.labels]
    rows = [(text, label) for text, label in texts.banking if label in labels]
    shots = "".join(f"{text}\n{label.replace('_', ' ')}\n\n" for text, label in rows[-work.shots :])
    continuations = [[*tokenizer.encode(label.replace("_", " ")).ids, 0] for label in labels]
    contexts = [tokenizer.encode(f"{shots}{text}\n").ids for text, _ in rows[:num_rows]]
    return [{"context": context, "continuations": continuations} for context in contexts]


def generation(
    figures: Figures, name: str, sides: dict[str, Side], job: Facts, texts: Texts, options: argparse.Namespace
) -> None:
    """Tokens per second of greedy generation, and whether the texts are those of the rival."""
    num_rows = options.rows or GENERATED[1 if options.quick else 0]
    contexts = contexts_of(tokenizer_of(Path(job["model"])), texts, num_rows)
    Path(job["requests"]).write_text(json.dumps(contexts))
    job = {**job, "work": "generate", "num_rows": num_rows, "batch": WRITING_BATCH}
    ours, rival = _in_turn(sides, job, options.repeats)
    equal = [one == two for one, two in zip(ours[0]["texts"], rival[0]["texts"], strict=True)]
    figures.require(f"{name}, share of texts that differ", [1 - sum(equal) / len(equal)], 0.05)
    asked = [{"context": context, "continuations": [ids]} for context, ids in ours[0]["written"]]
    more: Facts = {"goal": ">= 5", **_share(sides["ours"], job, needed_work(asked), ours)}
    more["texts_equal"] = f"{sum(equal)} of {len(equal)}"
    figures.rates(name, ours, rival, num_rows * NUM_NEW, "tokens/s", **more)


def contexts_of(tokenizer: Any, texts: Texts, num_rows: int) -> list[str]:
    """Texts of about 70 tokens each behind a text of about 884."""
    ids = tokenizer.encode(" ".join(chain.from_iterable(texts.instructions[:1000]))).ids
    parts = [ids[SHARED + place * OWN : SHARED + (place + 1) * OWN] for place in range(num_rows)]
    return [tokenizer.decode([*ids[:SHARED], *part]) for part in parts]


@lru_cache(maxsize=1)
def _loaded(model: str, device: Any, dtype: Any) -> Any:
    from ftkit.contracts import Context, Machine
    from ftkit.engine.load import ModelSpec, load

    ctx = Context(machine=Machine(device=device, threads=1))
    return load(ModelSpec(path=Path(model), hub=None, revision=None, precision=dtype), ctx), ctx


def score_requests(job: Facts) -> Facts:
    """Seconds of scoring all requests, the sums of each, and how many tokens the model was given."""
    from ftkit.engine.score import Request, score

    loaded, ctx = _loaded(job["model"], job["device"], job["dtype"])
    asked = json.loads(Path(job["requests"]).read_text())[: job["num_rows"]]
    requests = [Request(each["context"], each["continuations"]) for each in asked]
    with counted(loaded.model) as tokens:
        begun = clock(job["device"])
        found = score(loaded, requests, ctx=ctx)
        seconds = clock(job["device"]) - begun
    sums = [[each.sum for each in scores] for scores in found]
    return {"seconds": seconds, "sums": sums, "tokens": sum(tokens), "versions": _versions()}


def continue_texts(job: Facts) -> Facts:
    """Seconds of greedy generation, reading ids from texts and texts from ids included, and the texts."""
    from ftkit.engine.generate import Writing, generate

    loaded, ctx = _loaded(job["model"], job["device"], job["dtype"])
    texts = json.loads(Path(job["requests"]).read_text())[: job["num_rows"]]
    tokenizer = loaded.renderer.tokenizer
    begun = clock(job["device"])
    contexts = [tokenizer(text)["input_ids"] for text in texts]
    found = generate(loaded, contexts, Writing(job["num_new"]), ctx=ctx)
    answers = [tokenizer.decode(each.ids, skip_special_tokens=True) for each in found]
    seconds = clock(job["device"]) - begun
    written = [(context, each.ids) for context, each in zip(contexts, found, strict=True)]
    return {"seconds": seconds, "texts": answers, "written": written, "versions": _versions()}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("ftkit", "torch", "transformers")}


if __name__ == "__main__":
    main()
