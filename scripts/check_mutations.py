"""Meet 500 recipes, 500 model folders and 500 run directories that are wrong somewhere, as the command line does.

No traceback, no case over 2 s of processor time, every message names the file or the key. Each case is known by its
number: `check_mutations.py model 17` shows one. Cases run in a process forked from one that has imported.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {
    "PYTHONPATH": str(ROOT),
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}
LIMIT_S, KILLED_AFTER_S, MEMORY = 2.0, 60, 6 << 30


def cases_of(kind: str, numbers: Sequence[int], sound: Path, scratch: Path, out: int) -> None:
    """Meet the cases one after another; a line of JSON for each goes to `out`."""
    from commands import ftkit
    from mutations import copied, problem

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in numbers:
        folder = scratch / f"{kind}-{number}"
        mutation = copied(sound, kind, number, folder)
        os.chdir(folder)
        signal.alarm(KILLED_AFTER_S)
        begun = time.process_time()
        done = ftkit(*mutation.command)
        seconds = time.process_time() - begun
        signal.alarm(0)
        found = {"number": number, "what": str(mutation), "code": done.code, "seconds": seconds}
        found |= {
            "problem": problem(mutation, done),
            "said": (done.out[-300:] if not done.code else "") + done.err[-3000:],
        }
        os.write(out, (json.dumps(found) + "\n").encode())
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


def met(kind: str, numbers: Sequence[int], sound: Path, scratch: Path) -> Iterator[dict[str, object]]:
    """The findings, case by case. A case that ends its process is found too, and the next ones get another."""
    left = list(numbers)
    while left:
        read, write = os.pipe()
        if os.fork() == 0:
            cases_of(kind, left, sound, scratch, write)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                left.pop(0)
                yield json.loads(line)
        _, status = os.wait()
        if left and status:
            yield {
                "number": left.pop(0),
                "what": "",
                "code": -1,
                "seconds": 0.0,
                "problem": f"ended: {status}",
                "said": "",
            }


def main() -> None:
    """Print what is wrong, then the figures of each kind. What makes stages anew may take as long as a run does."""
    import peft  # noqa: F401
    from small_runs import make_set_up, run_here

    kinds = sys.argv[1:2] if sys.argv[1:] else ["recipe", "model", "run"]
    numbers = [int(sys.argv[2])] if sys.argv[2:] else range(500)
    bad = 0
    with tempfile.TemporaryDirectory(prefix="ftkit-mutations-") as name:
        sound = Path(name, "sound")
        if os.fork() == 0:
            run_here(make_set_up(sound), sound / "runs")
            (sound / "seconds").write_text(str(time.process_time()), encoding="ascii")
            os._exit(0)
        os.wait()
        os.environ["XDG_CACHE_HOME"] = name
        for kind in kinds:
            found = []
            for each in met(kind, numbers, sound, Path(name)):
                found.append(each)
                of_a_run = float((sound / "seconds").read_text(encoding="ascii"))
                slow = each["seconds"] > LIMIT_S + of_a_run * ("('run'" in each["what"])  # type: ignore[operator]
                if each["problem"] or slow or len(numbers) == 1:
                    bad += 1
                    what = f"{each['problem'] or 'slow' * slow} {each['what']} {each['seconds']:.1f} s"
                    print(f"{kind} {each['number']}: {what}", flush=True)
                if len(numbers) == 1:
                    print(each["said"])
            codes = Counter(each["code"] for each in found)
            times = sorted(each["seconds"] for each in found)
            print(
                f"{kind}: {len(found)} cases, exit codes {dict(sorted(codes.items()))}, "
                f"median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s"
            )
    sys.exit(bool(bad) and len(numbers) > 1)


if __name__ == "__main__":
    main()
