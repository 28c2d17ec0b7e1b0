"""How fast, how right and how large prepare is: near duplicates beside four rivals, and the whole default chain.

    python scripts/bench_prepare.py --setup            make the rivals' environments (2 GB, once)
    python scripts/bench_prepare.py --quick            about three minutes
    python scripts/bench_prepare.py                    all figures, up to a million rows
    python scripts/bench_prepare.py --rows 10000000    only how near-dedup grows to so many rows
    python scripts/bench_prepare.py --whole 11500000   only the memory of the whole stage: 5.2 GB of JSONL
    python scripts/bench_prepare.py --tune             only the time of near-dedup by sizes of its windows and chunks

Ends with one JSON line a figure; `ratio` is ours / rival. Each run is a process of its own, ours and a rival's in
turn. Rates count a whole step: ours from rows in a file to events, with exact duplicates, normalising and verifying;
the rivals' from normalised texts in memory to what they drop. Recall: of the pairs of different texts with a true
Jaccard similarity >= 0.8, how many lose a text; precision: of the dropped texts, how many are that near to another.
The truth comes from scipy, all pairs of 5,000 rows. Corpus: see bench_corpus.

What did not win, on texts of 400 characters: rensa 0.5 for the inner loop (0.05 ns a shingle and permutation, where
numpy takes 0.15, but its digests reach Python as lists, which takes 0.1 to 0.3 more); 64-bit hashes of two
multiplications (1.3 ns); distinct shingles before signing (7 ns a shingle to spare 1); one pass over the texts for
digests and another for signatures (1.33 s for 50,000 rows on one thread; 1.25 s with one pass). Of the chain: batches
of 4,000 rows (more to do for each); lines of JSON made in threads (0.14 s instead of 0.06 for 35,000); four stretches
of eight bytes compared before a part is hashed (three quarters of the time of that search alone).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from bench_corpus import SHARED_ROWS, Corpus, say, tables_of, write_corpus

from ftkit.contracts import Bar, Quiet

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path("~/.cache/ftkit/bench-rivals").expanduser()
PACKAGES = {  # text-dedup wants packages of its own age
    "rensa": ("main", "rensa"),
    "datasketch": ("main", "datasketch"),
    "datatrove": ("main", "datatrove spacy regex tokenizers orjson xxhash<4"),
    "text-dedup": ("text-dedup", "text-dedup==0.4.0"),
}
THRESHOLD = 0.8
OWN_VERSIONS = {"python": platform.python_version()} | {name: version(name) for name in ("numpy", "polars")}
TRUTH_ROWS = 5_000
WARM_UP_ROWS = 200
STRETCHES = {  # of the whole stage, and what of it does not count
    "chain from repair to write": ("read_seconds", "report_seconds"),
    "chain with reading": ("report_seconds",),
    "chain with reading and the data report": (),
}
MEMORY_GIB = 3e9 / 2**30  # what 5 GB of JSONL may take


@dataclass
class Figures:
    """Lines to print at the end."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, figure: str, ours: float, rival: float, unit: str, **versions: str) -> None:
        """One figure."""
        ratio = round(ours / rival, 4) if rival else 0.0
        line = {"figure": figure, "ours": round(ours, 4), "rival": round(rival, 4), "ratio": ratio, "unit": unit}
        self.lines.append({**line, "versions": {**OWN_VERSIONS, **versions}})
        say(f"{figure}: ours {ours:,.4g}, rival {rival:,.4g} {unit}, ratio {ratio:,.3g}")


def main() -> None:
    """Measure, and print a JSON line a figure."""
    options = _options()
    if options.child:
        print(json.dumps(CHILDREN[options.child](Path(options.path), options.threads)))
        return
    if options.setup:
        set_up()
        return
    figures = Figures()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.tune:
            say(json.dumps(child("tune", write_corpus(options.data, folder, 50_000), options)))
        elif options.rows:
            growth(figures, options, folder, options.rows)
        elif options.whole:
            memory_of_all(figures, options, folder, options.whole)
        else:
            num_rows, repeats, grown = (10_000, 1, 100_000) if options.quick else (50_000, 3, 1_000_000)
            correctness(figures, options, folder)
            rates(figures, options, folder, num_rows=num_rows, repeats=repeats)
            growth(figures, options, folder, grown)
    for line in figures.lines:
        print(json.dumps(line))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setup", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the public sets")
    parser.add_argument("--rows", type=int, default=0, help="only how near-dedup grows from 50,000 to so many rows")
    parser.add_argument("--whole", type=int, default=0, help="only the memory of the whole stage on so many rows")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rivals", default=",".join(PACKAGES), help="some of them")
    parser.add_argument("--folder", type=Path, help="for the corpora; as large as the rows, twice")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    return parser.parse_args()


def set_up() -> None:
    """Install the rivals, each into its environment."""
    for name, (environment, packages) in PACKAGES.items():
        folder = ENVIRONMENTS / environment
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages.split()]
        done = subprocess.run(command)
        say(f"{name}: {'ready' if not done.returncode else 'pip failed; it is left out'}")


def correctness(figures: Figures, options: argparse.Namespace, folder: Path) -> None:
    """Recall and precision against all pairs, on corpora of 5,000 rows."""
    corpus = write_corpus(options.data, folder, TRUTH_ROWS)
    texts = [json.loads(line)["text"] for line in corpus.jsonl.read_text().splitlines()]
    truth = true_pairs(texts)
    ours = child("pairs", corpus, options)
    found = {(left, right) for left, right, _ in ours["pairs"]}
    wrong = [pair for pair in ours["pairs"] if abs(truth.get((pair[0], pair[1]), 0) - pair[2]) > 1e-12]
    different = {pair for pair in truth if texts[pair[0]] != texts[pair[1]]}
    high = {pair for pair in different if truth[pair] >= THRESHOLD + 0.05}
    say(f"  {len(different):,} pairs of different texts, {len(high):,} of them at 0.85 or more")
    figures.add("pairs >= 0.8 found, of all pairs", len(found & different) / len(different), 1, "share")
    figures.add("pairs >= 0.85 found, of all pairs", len(found & high) / len(high), 1, "share")
    figures.add("pairs found that are as near as said", 1 - len(wrong) / len(found), 1, "share")
    dropped = {"ftkit": set(child("near", corpus, options)["dropped"])}
    versions = {}
    for name in rivals(options):
        facts = rival(name, corpus)
        dropped[name], versions[name] = set(facts["dropped"]), facts["version"]
    near = {row for pair in truth for row in pair}
    recall = {name: sum(bool(gone & {*pair}) for pair in different) / len(different) for name, gone in dropped.items()}
    for name, its_version in versions.items():
        figures.add(f"recall of near duplicates, {name}", recall["ftkit"], recall[name], "share", **{name: its_version})
        precisions = [len(gone & near) / len(gone) for gone in (dropped["ftkit"], dropped[name])]
        figures.add(f"precision, {name}", *precisions, "share", **{name: its_version})


def true_pairs(texts: list[str]) -> dict[tuple[int, int], float]:
    """Similarity of all pairs of texts that have THRESHOLD or more, by position; texts are normalised."""
    import numpy as np
    from scipy.sparse import csr_array

    sets = [{text[start : start + 5] for start in range(max(len(text) - 4, 1))} for text in texts]
    number = {shingle: place for place, shingle in enumerate(sorted(set().union(*sets)))}
    columns = [number[shingle] for shingles in sets for shingle in shingles]
    sizes = np.array([len(shingles) for shingles in sets])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    matrix = csr_array((np.ones(len(columns), np.int32), columns, ends), shape=(len(texts), len(number)))
    truth = {}
    for begin in range(0, len(texts), 500):
        shared = (matrix[begin : begin + 500] @ matrix.T).tocoo()
        left, right = shared.row + begin, shared.col
        similarity = shared.data / (sizes[left] + sizes[right] - shared.data)
        some = (similarity >= THRESHOLD) & (left < right)
        pairs = zip(left[some].tolist(), right[some].tolist(), similarity[some].tolist(), strict=True)
        truth.update({(one, other): value for one, other, value in pairs})
    return truth


def rates(figures: Figures, options: argparse.Namespace, folder: Path, *, num_rows: int, repeats: int) -> None:
    """Rows per second of near-dedup beside each rival, and of the whole chain beside near-dedup."""
    corpus = write_corpus(options.data, folder, num_rows)
    for name in rivals(options):
        ours, theirs = [], []
        for _ in range(repeats if name != "rensa" else 2 * repeats + 1):
            ours.append(num_rows / child("near", corpus, options)["seconds"])
            facts = rival(name, corpus)
            theirs.append(num_rows / facts["seconds"])
            say(f"  ours {ours[-1]:,.0f}, {name} {theirs[-1]:,.0f} rows/s")
        medians = statistics.median(ours), statistics.median(theirs)
        figures.add(f"near-dedup beside {name}", *medians, "rows/s", **{name: facts["version"]})
    rows_per_s: dict[str, list[float]] = {name: [] for name in ("near", *STRETCHES)}
    for _ in range(2 * repeats + 1):
        rows_per_s["near"].append(num_rows / child("near", corpus, options)["seconds"])
        facts = child("chain", corpus, options)
        for name, without in STRETCHES.items():
            rows_per_s[name].append(num_rows / (facts["seconds"] - sum(facts[part] for part in without)))
        say("  " + ", ".join(f"{name} {rates[-1]:,.0f}" for name, rates in rows_per_s.items()) + " rows/s")
    medians = {name: statistics.median(rates) for name, rates in rows_per_s.items()}
    for name in STRETCHES:
        figures.add(f"{name} beside near-dedup alone", medians[name], medians["near"], "rows/s")


def growth(figures: Figures, options: argparse.Namespace, folder: Path, num_rows: int) -> None:
    """Time per row at 50,000 rows and at many, and the memory at many."""
    small, large = (write_corpus(options.data, folder, count) for count in (50_000, num_rows))
    few = statistics.median(child("near", small, options)["seconds"] for _ in range(5))
    many = child("near", large, options)
    microseconds = 1e6 * many["seconds"] / num_rows, 1e6 * few / small.num_rows
    figures.add(f"time per row at {num_rows:,} beside 50,000 (ours)", *microseconds, "microseconds")
    figures.add(f"peak memory at {num_rows:,} rows beside the goal", many["gib"], 2.7, "GiB")
    if num_rows <= SHARED_ROWS and "rensa" in rivals(options):
        facts = rival("rensa", large)
        rows_per_s = num_rows / many["seconds"], num_rows / facts["seconds"]
        figures.add(f"near-dedup at {num_rows:,} rows beside rensa", *rows_per_s, "rows/s", rensa=facts["version"])
        figures.add(f"peak memory at {num_rows:,} rows beside rensa", many["gib"], facts["gib"], "GiB")


def memory_of_all(figures: Figures, options: argparse.Namespace, folder: Path, num_rows: int) -> None:
    """Peak memory of the whole stage, data report and all, on a JSONL file of so many rows."""
    path = folder / "source.jsonl"
    with path.open("w") as lines:
        for table in tables_of(options.data, num_rows):
            table.write_ndjson(lines)
    facts = child("chain", Corpus(path, path, path, num_rows), options)
    say(f"  {path.stat().st_size:,} bytes in {facts['seconds']:,.0f} s")
    figures.add(f"peak memory of the whole stage on {num_rows:,} rows", facts["gib"], MEMORY_GIB, "GiB")


def child(what: str, corpus: Corpus, options: argparse.Namespace) -> dict[str, Any]:
    """What one of CHILDREN says, run in a process of its own."""
    path = corpus.source if what == "chain" else corpus.arrow
    command = [sys.executable, __file__, "--child", what, "--path", str(path), "--threads", str(options.threads)]
    environment = {**os.environ, "POLARS_MAX_THREADS": str(options.threads), "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def near_dedup_step(path: Path, threads: int) -> dict[str, Any]:
    """Seconds of the step near_dedup, numbers of the rows it drops, and the peak memory."""
    import polars
    import scipy.sparse.csgraph  # noqa: F401 - loading packages is not counted, with rivals neither

    from ftkit.prepare.cleaning import near_dedup
    from ftkit.prepare.rows import Rows
    from ftkit.prepare.texts import minhash  # noqa: F401

    rows, ctx = Rows.opened(path), _context(threads)
    begun = time.perf_counter()
    marked = near_dedup.apply(near_dedup.NearDedup(threshold=THRESHOLD), rows, ctx)
    seconds = time.perf_counter() - begun
    dropped = marked.events.filter(polars.col("action") == "drop")["id"]
    some = [int(name) for name in dropped] if len(rows) <= TRUTH_ROWS else []
    return {"seconds": seconds, "gib": _peak_gib(), "num_dropped": len(dropped), "dropped": some}


def near_pairs_of(path: Path, threads: int) -> dict[str, Any]:
    """Near pairs of all rows, and their similarity."""
    from ftkit.prepare.rows import Rows
    from ftkit.prepare.texts.similarity import Column, near_pairs

    found = near_pairs(Column(Rows.opened(path), "input"), threshold=THRESHOLD, threads=threads)
    return {"pairs": list(zip(found.left.tolist(), found.right.tolist(), found.similarity.tolist(), strict=True))}


def whole_chain_rate(path: Path, threads: int) -> dict[str, Any]:
    """Seconds of the whole stage with its default steps: read, repair, length, duplicates, conflicts, split, write.

    `read_seconds` of them go to reading, `report_seconds` to the data report. A few rows go first, to load packages.
    """
    from ftkit.run.stages import prepare

    few = path.with_name(f"few-{os.getpid()}.jsonl")
    few.write_text("".join(islice(path.open(encoding="utf-8"), WARM_UP_ROWS)), encoding="utf-8")
    steps = ["fix_text", "length", "exact_dedup", "near_dedup", "label_conflicts"]
    for source_path in (few, path):
        source = {"jsonl": {"path": str(source_path), "input": "input", "target": "target"}}
        data = {"source": source, "clean": steps, "split": {"valid": 0.1, "test": 0.1}}
        task = {"classify": {"labels": "auto"}}
        config = prepare.PrepareConfig.model_validate({"task": task, "data": data, "seed": 17})
        clock = Clock()
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            begun = time.perf_counter()
            prepare.run(config, Path(folder), replace(_context(threads), progress=clock))
            seconds = time.perf_counter() - begun
    few.unlink()
    parts = {"read_seconds": clock.seconds["read source"], "report_seconds": clock.seconds["data report"]}
    return {"seconds": seconds, **parts, "gib": _peak_gib()}


class Clock(Quiet):
    """Measures what a stage shows a bar for."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def bar(self, description: str, total: int, unit: str = "rows", done: int = 0) -> Iterator[Bar]:
        """A bar nobody sees."""
        begun = time.perf_counter()
        with super().bar(description, total, unit, done) as bar:
            yield bar
        self.seconds[description] = time.perf_counter() - begun


def tuned(path: Path, threads: int) -> dict[str, Any]:
    """Median seconds of near-dedup by the logarithm of each size, the others as they are."""
    from ftkit.prepare.texts import minhash, similarity

    sizes: dict[str, tuple[Any, range]] = {
        "WINDOW": (minhash, range(14, 21)),
        "VERIFY_CHARS": (minhash, range(15, 22)),
        "SIGN_BYTES": (minhash, range(17, 24)),
        "BATCH_TEXTS": (similarity, range(8, 15)),
    }
    found: dict[str, Any] = {}
    for name, (module, exponents) in sizes.items():
        usual = getattr(module, name)
        for exponent in exponents:
            setattr(module, name, 1 << exponent)
            found[f"{name} 2**{exponent}"] = round(
                statistics.median(near_dedup_step(path, threads)["seconds"] for _ in range(5)), 3
            )
        setattr(module, name, usual)
    return found


CHILDREN = {"near": near_dedup_step, "pairs": near_pairs_of, "chain": whole_chain_rate, "tune": tuned}


def _context(threads: int) -> Any:
    from ftkit.contracts import Context, Machine

    return Context(machine=Machine(threads=threads))


def _peak_gib() -> float:
    """Not of getrusage, which begins with what the parent had."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 2**20


def rivals(options: argparse.Namespace) -> list[str]:
    """Those that are installed."""
    chosen = []
    for name in options.rivals.split(","):
        python = ENVIRONMENTS / PACKAGES[name][0] / "bin" / "python"
        if python.exists():
            chosen.append(name)
        else:
            say(f"{name} is left out: run --setup first")
    return chosen


def rival(name: str, corpus: Corpus) -> dict[str, Any]:
    """What `bench_rivals` says of a rival."""
    python = ENVIRONMENTS / PACKAGES[name][0] / "bin" / "python"
    command = [str(python), str(Path(__file__).with_name("bench_rivals.py")), name, str(corpus.jsonl)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
