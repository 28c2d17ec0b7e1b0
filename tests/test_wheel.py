"""What is installed is whole: ftkit from its wheel, away from the checkout, goes from rows to a verdict."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from small_runs import SetUp, make_set_up

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "ftkit")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: a build leaves folders behind, and would take up what an old one left."""
    root, folder = Path(__file__).parents[1], tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(root / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, source)
    (made,) = folder.iterdir()
    return made


def test_every_file_of_the_package_is_in_the_wheel(source: Path, wheel: Path) -> None:
    ours = {path.relative_to(source).as_posix() for path in source.glob("ftkit/**/*") if path.is_file()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("ftkit/")}
    assert packed == ours
    assert {name for name in ours if not name.endswith(".py")} == {
        "ftkit/py.typed",
        "ftkit/report/templates/page.html.j2",
    }


def test_a_recipe_reaches_its_verdict_with_the_installed_wheel_and_says_nothing_that_is_not_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    """Libraries warn of what no user of ftkit can change; in a process of its own, as their first words come once."""
    installed, place = tmp_path / "installed", make_set_up(tmp_path / "place")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", installed, wheel)
    where = python(["-c", "import ftkit; print(ftkit.__file__)"], installed, place)
    assert where.stdout == f"{installed}/ftkit/__init__.py\n"
    done = python(["-m", "ftkit", "run", "recipe.yaml", "--set", "train.method=qlora"], installed, place)
    (report,) = place.folder.glob("runs/small/compare-*/report.html")
    assert done.stdout.endswith(f"report: {report.relative_to(place.folder)}\n")
    own = re.compile(
        r"(prepare|baseline|train-qlora|evaluate|compare): (started|done, )|source: |[a-z_]+: \d+ rows, |rows: |"
        r"\d+ prompts, |best (zero|few)_shot: |arms frozen on valid: |  |next:$"
    )
    assert [line for line in done.stderr.splitlines() if not own.match(line)] == []


def pip(*args: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def python(args: list[str], installed: Path, place: SetUp) -> subprocess.CompletedProcess[str]:
    """A new process that runs in a folder of its own and finds ftkit where it was installed."""
    env = {**os.environ, "PYTHONPATH": str(installed), "HOME": str(place.folder), "PYTHONWARNINGS": ""}
    command = [sys.executable, *args]
    done = subprocess.run(command, cwd=place.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done
