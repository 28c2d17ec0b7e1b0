"""What every test may use. Public data is read in place; tests that need it skip where it is absent."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forked import SHARED, forks
from hypothesis import settings

if TYPE_CHECKING:
    from small_runs import SetUp

ROOT = Path(__file__).parents[1]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of tiny models a second thread has nothing to do
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # and where there is one, it waits without taking a core
settings.register_profile("tests", deadline=None)  # a busy machine is no failure
settings.load_profile("tests")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker for each of a few cores. None for one file, whose imports would be paid more than once, or on a GPU."""
    from ftkit.contracts import num_cpus

    one_file = len(config.args) == 1 and Path(config.args[0].split("::")[0]).is_file()
    on_gpu = "not gpu" not in config.option.markexpr
    return 0 if one_file or on_gpu or num_cpus() == 1 else min(num_cpus(), 4)


def pytest_configure(config: pytest.Config) -> None:
    """What all workers share lives as long as the process that starts them."""
    if not hasattr(config, "workerinput"):
        stack = ExitStack()
        stack.enter_context(forks())
        config.add_cleanup(stack.close)


@pytest.fixture
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture
def shared_data() -> Path:
    """The folder of public data beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data is not here")
    return folder


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small inputs beside the repository that once went wrong."""
    folder = ROOT.parent / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the cases are not here")
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """A folder to copy: base model, rows, recipe."""
    from small_runs import make_set_up  # loads torch, which most tests need not

    return make_set_up(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def ran(made: SetUp) -> SetUp:
    """A folder to copy: what `made` holds, and its finished run in runs/small. The first worker makes it for all."""
    from small_runs import SetUp, run_here

    folder = Path(os.environ[SHARED], "ran")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = shutil.copytree(made.folder, folder.with_suffix(".partial"))
            run_here(SetUp(partial), partial / "runs")
            partial.rename(folder)
    return SetUp(folder)


@pytest.fixture
def place(made: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command line runs in."""
    folder = tmp_path / "place"
    shutil.copytree(made.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder
