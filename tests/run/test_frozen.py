"""Arms are frozen before test is opened: what happens where `arms.json` is another one beside the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from killed_runs import Begun, killed, published
from small_runs import SetUp

from ftkit.contracts import Quiet
from ftkit.run.artifacts import Compared, Evaluated
from ftkit.store import read_json, write_json


@pytest.fixture
def begun(ran: SetUp) -> Begun:
    return Begun(ran, ran.folder / "runs" / "small")


def turn_round(run_dir: Path) -> None:
    """Freeze other arms: the same in another order."""
    (path,) = run_dir.glob("evaluate-*.partial/arms.json")
    arms = read_json(path)
    write_json(path, {**arms, "arms": arms["arms"][::-1]})


@pytest.mark.parametrize(("when", "named"), [("0.json", "the end"), ("arms.json", "base+zero_shot")])
def test_arms_that_change_once_test_is_open_make_the_verdict_invalid(
    when: str, named: str, begun: Begun, tmp_path: Path
) -> None:
    run_dir, turned = begun.copied(tmp_path, before="evaluate"), list[bool]()

    def check_stop() -> None:
        if not turned and any(run_dir.glob(f"evaluate-*.partial/**/{when}")):
            turn_round(run_dir)
            turned.append(True)

    result = begun.run(tmp_path, until="compare", ctx=begun.set_up.context(check_stop=check_stop)).result
    assert turned == [True]
    guards = {each.name: each for each in Evaluated(result.artifacts["evaluate"].path).guards}
    guard = guards.pop("arms_frozen_before_test")
    assert guard.status == "failed" and guard.detail.startswith("arms.json was another at [") and named in guard.detail
    assert "failed" not in {each.status for each in guards.values()}
    assert result.verdict is not None and result.verdict.verdict == "invalid"
    assert Compared(result.artifacts["compare"].path).verdict.ship is None


def test_arms_that_nobody_touched_pass(begun: Begun) -> None:
    (guard,) = [
        each
        for each in Evaluated(next(begun.finished.glob("evaluate-*"))).guards
        if each.name == "arms_frozen_before_test"
    ]
    assert guard.status == "passed" and guard.detail.startswith("arms.json is as it was frozen, ")


def lose_the_arms(run_dir: Path) -> None:
    next(run_dir.glob("evaluate-*.partial/arms.json")).unlink()


def exchange_two_answers(run_dir: Path) -> None:
    (folder,) = run_dir.glob("evaluate-*.partial/answered")
    for ending in ("json", "jsonl"):
        one, other = (folder / f"{index}.{ending}" for index in (0, 1))
        one.rename(folder / "aside")
        other.rename(one)
        (folder / "aside").rename(other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (turn_round, "arms.json: not the arms that are frozen on valid; what was answered beside it is made again"),
        (lose_the_arms, "arms.json: not the arms that are frozen on valid; what was answered beside it is made again"),
        (exchange_two_answers, "0.jsonl: damaged, or beside other arms; made again"),
    ],
)
def test_a_resumed_evaluation_that_finds_answers_beside_other_arms_makes_them_again(
    change: Callable[[Path], None], said: str, begun: Begun, tmp_path: Path
) -> None:
    run_dir = killed(begun, tmp_path, "evaluate", "write */answered/2.jsonl").folder
    change(run_dir)
    progress = Quiet()
    begun.run(tmp_path, until="evaluate", ctx=begun.set_up.context(progress=progress))
    assert any(line.endswith(said) for line in progress.said), progress.said
    assert published(run_dir, until="evaluate") == begun.expected("evaluate")


def test_a_resumed_evaluation_leaves_the_arms_and_the_answers_as_they_are(begun: Begun, tmp_path: Path) -> None:
    run_dir = killed(begun, tmp_path, "evaluate", "write */answered/2.jsonl").folder
    (arms,) = run_dir.glob("evaluate-*.partial/arms.json")
    written = arms.stat().st_mtime_ns
    begun.run(tmp_path, until="evaluate")
    (arms,) = run_dir.glob("evaluate-*/arms.json")
    assert arms.stat().st_mtime_ns == written
    assert published(run_dir, until="evaluate") == begun.expected("evaluate")
