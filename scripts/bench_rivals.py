"""One rival's near-duplicate removal on a corpus, run by the Python of the rivals' own environment.

    python scripts/bench_rivals.py rensa corpus.jsonl      {"seconds": …, "dropped": [numbers of rows], "gib": …}

Knows nothing of ftkit. Texts come normalised already, which is not counted. Each is used as its documentation shows,
with a threshold of 0.8 and what it takes by default otherwise; loading packages is not counted, starting processes is.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THRESHOLD = 0.8
NUM_PERMUTATIONS = 128
CHARS = 5


def rensa(texts: list[str], _: Path) -> Callable[[], list[int]]:
    """README, "Keep unique documents"; its tokens are character 5-grams here. Its batch calls were slower."""
    from rensa import RMinHashDeduplicator

    def run() -> list[int]:
        index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=NUM_PERMUTATIONS, use_lsh=True)
        kept = index.add_pairs((str(number), shingles(text)) for number, text in enumerate(texts))
        return [number for number, is_kept in enumerate(kept) if not is_kept]

    return run


def datasketch(texts: list[str], _: Path) -> Callable[[], list[int]]:
    """Documentation, "MinHash LSH": query, and insert what has no match; character 5-grams."""
    from datasketch import MinHash, MinHashLSH

    def run() -> list[int]:
        index = MinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERMUTATIONS)
        dropped = []
        for number, text in enumerate(texts):
            signature = MinHash(num_perm=NUM_PERMUTATIONS)
            signature.update_batch([shingle.encode() for shingle in set(shingles(text))])
            if index.query(signature):
                dropped.append(number)
            else:
                index.insert(number, signature)
        return dropped

    return run


def text_dedup(texts: list[str], folder: Path) -> Callable[[], list[int]]:
    """`python -m text_dedup.minhash` with its default shingles (5 words) and a process for each processor."""
    import datasets
    from text_dedup.minhash import main

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"number": list(range(len(texts))), "text": texts})
    rows.save_to_disk(str(folder / "in"))

    def run() -> list[int]:
        output = str(folder / "out")
        options = ["--path", str(folder / "in"), "--local", "--output", output, "--column", "text"]
        main([*options, "--threshold", str(THRESHOLD)], standalone_mode=False)
        kept = set(datasets.load_from_disk(output)["number"])
        return [number for number in range(len(texts)) if number not in kept]

    return run


def datatrove(texts: list[str], folder: Path) -> Callable[[], list[int]]:
    """examples/minhash_deduplication.py with its default shingles (5 words) and bands, one task for each processor."""
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster
    from datatrove.pipeline.readers import JsonlReader

    config = MinhashConfig()
    num_tasks = os.cpu_count() or 1
    size = -(-len(texts) // num_tasks)
    for task in range(num_tasks):
        lines = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]
        path = folder / "in" / f"{task:05d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines[task * size : (task + 1) * size]) + "\n")

    def stage(name: str, *pipeline: Any, tasks: int, workers: int) -> None:
        LocalPipelineExecutor(
            list(pipeline), tasks=tasks, workers=workers, logging_dir=str(folder / "logs" / name)
        ).run()

    def run() -> list[int]:
        parts = [str(folder / name) for name in ("signatures", "buckets", "removed")]
        reader = JsonlReader(str(folder / "in"))
        stage("1", reader, MinhashDedupSignature(parts[0], config), tasks=num_tasks, workers=num_tasks)
        buckets = MinhashDedupBuckets(parts[0], parts[1], config=config)
        stage("2", buckets, tasks=config.num_buckets, workers=num_tasks)
        stage("3", MinhashDedupCluster(parts[1], parts[2], config=config), tasks=1, workers=1)
        dropped = []
        for path in sorted(Path(parts[2]).glob("*.remove")):
            numbers = struct.iter_unpack("<I", path.read_bytes())
            dropped += [int(path.stem) * size + number for (number,) in numbers]
        return sorted(dropped)

    return run


RIVALS = {"rensa": rensa, "datasketch": datasketch, "text-dedup": text_dedup, "datatrove": datatrove}


def shingles(text: str) -> list[str]:
    """Character 5-grams."""
    return [text[start : start + CHARS] for start in range(max(len(text) - CHARS + 1, 1))]


def main() -> None:
    """Run the rival named by the first argument on the texts of the file named by the second."""
    name, path = sys.argv[1:]
    with open(path, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run = RIVALS[name](texts, Path(folder))
        begun = time.perf_counter()
        dropped = run()
        seconds = time.perf_counter() - begun
    status = Path("/proc/self/status").read_text().split()  # getrusage begins with what the parent had
    own_kib = int(status[status.index("VmHWM:") + 1])
    peak_kib = max(own_kib, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    facts = {"seconds": seconds, "gib": peak_kib / 2**20, "version": importlib.metadata.version(name)}
    print(json.dumps({**facts, "dropped": dropped}))


if __name__ == "__main__":
    main()
