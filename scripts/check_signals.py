"""SIGTERM and SIGINT at 40 moments of a real command line run: whether each ends it with 75 or 130, and how soon.

    .venv/bin/python scripts/check_signals.py [--num 40]

Every other run is that of 100,000 rows. The first moments are those at which ftkit's own first modules are looked for,
told by an import hook; the others are spread over the processor time that the whole run takes. A signal that comes in
Python's own beginning or behind the end is none of ftkit's, and is not counted. Printed is the processor time from the
signal to the end, which must be below 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from small_runs import WORDS, make_set_up  # noqa: E402  the tests' folder is on the path from here on

LIMIT_S = 5.0
FIRST = ("ftkit.stop", "select", "ftkit.errors", "ftkit.cli", "typer", "torch", "ftkit.run.pipeline")
HOOK = """
import os, sys
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("AT_IMPORT"):
            open(os.environ["MOMENT"], "w").close()
            os.kill(os.getpid(), int(os.environ["NUMBER"]))
sys.meta_path.insert(0, Hook())
"""
CODES = {signal.SIGTERM: 75, signal.SIGINT: 130}
TICKS = os.sysconf("SC_CLK_TCK")
MANY = (
    *("data.source.jsonl.path=many.jsonl", "data.clean=[exact_dedup]", "data.limit={valid: 300, test: 300}"),
    *("train.max_steps=4", "train.checkpoint_steps=2"),
)


@dataclass(frozen=True)
class Ended:
    """How a run ended, and the processor seconds between the signal and its end."""

    code: int
    cpu_s: float
    output: str


def cpu_s_of(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def started(place: Path, runs_dir: Path, overrides: tuple[str, ...], **environment: str) -> subprocess.Popen[bytes]:
    """The command line, as a user has it."""
    sets = [part for each in overrides for part in ("--set", each)]
    command = [sys.executable, "-m", "ftkit", "run", "recipe.yaml", *sets, "--runs-dir", str(runs_dir)]
    env = {**os.environ, "HOME": str(place), "PYTHONPATH": f"{place / 'hook'}:{ROOT}", "HF_HUB_OFFLINE": "1"}
    with Path(place, "output").open("wb") as output:
        return subprocess.Popen(command, cwd=place, env={**env, **environment}, stdout=output, stderr=output)


def finished(process: subprocess.Popen[bytes], place: Path, at_cpu_s: float) -> Ended:
    """Wait for the end."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    output = Path(place, "output").read_text(encoding="utf-8", errors="replace")
    return Ended(process.returncode, used.ru_utime + used.ru_stime - at_cpu_s, output)


def stopped_at_import(place: Path, runs_dir: Path, number: int, name: str) -> Ended:
    """Stop a run when a module is looked for."""
    moment = {"AT_IMPORT": name, "MOMENT": str(place / "moment"), "NUMBER": str(int(number))}
    return finished(started(place, runs_dir, (), **moment), place, 0.0)


def stopped_after(place: Path, runs_dir: Path, number: int, cpu_s: float, overrides: tuple[str, ...]) -> Ended | None:
    """Stop a run once it has used so much processor time; None where it ended before."""
    process = started(place, runs_dir, overrides)
    while process.poll() is None:
        if (used_s := cpu_s_of(process.pid)) >= cpu_s:
            process.send_signal(number)
            return finished(process, place, used_s)
        time.sleep(0.01)
    return None


def make_place(folder: Path) -> Path:
    """A set-up with 126 rows and one with 100,000, and the import hook."""
    place = make_set_up(folder / "set-up").folder
    (place / "hook").mkdir()
    (place / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    rng = random.Random(3)
    with (place / "many.jsonl").open("w", encoding="utf-8") as file:
        for row in range(100_000):
            label = sorted(WORDS)[row % 3]
            text = " ".join([*rng.sample(WORDS[label], 4), str(rng.randrange(10**9))])
            fields = {"id": f"R{row}", "text": text, "label": label, "customer": f"C{row}"}
            file.write(json.dumps(fields) + "\n")
    return place


def main() -> None:
    """Print a line for each moment, and the sum."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--num", type=int, default=40)
    options = parser.parse_args()
    num_wrong, slowest_s = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = make_place(Path(folder))
        whole: dict[tuple[str, ...], float] = {}
        for overrides in ((), MANY):
            ended = finished(started(place, Path(folder, f"whole-{len(whole)}"), overrides), place, 0.0)
            whole[overrides] = ended.cpu_s
            print(f"the whole run: {ended.cpu_s:.1f} s of processor time, code {ended.code}", flush=True)
            if ended.code != 0:
                sys.exit(ended.output)
        for count in range(options.num):
            number = (signal.SIGTERM, signal.SIGINT)[count // 2 % 2]
            overrides, runs_dir = ((), MANY)[count % 2], Path(folder, f"runs-{count}")
            if count < len(FIRST):
                where, ended_or_none = FIRST[count], stopped_at_import(place, runs_dir, number, FIRST[count])
            else:
                share = (count - len(FIRST) + 0.5) / (options.num - len(FIRST))
                cpu_s = 0.3 + share * (whole[overrides] - 0.5)
                where = f"{cpu_s:.1f} s, {'100,000' if overrides else '126'} rows"
                ended_or_none = stopped_after(place, runs_dir, number, cpu_s, overrides)
            if ended_or_none is None:
                print(f"{number.name} at {where}: the run had ended before", flush=True)
                continue
            code, cpu_s, output = ended_or_none.code, ended_or_none.cpu_s, ended_or_none.output
            is_wrong = code != CODES[number] or cpu_s > LIMIT_S or "Traceback" in output or "bug in" in output
            num_wrong += is_wrong
            slowest_s = max(slowest_s, cpu_s if count >= len(FIRST) else 0.0)
            print(f"{number.name} at {where}: {code} after {cpu_s:.2f} s{' WRONG' * is_wrong}", flush=True)
            if is_wrong:
                print(output[-600:], flush=True)
    print(f"{options.num} moments, {num_wrong} wrong, the slowest {slowest_s:.2f} s")
    sys.exit(bool(num_wrong))


if __name__ == "__main__":
    main()
