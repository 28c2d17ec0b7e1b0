"""Dealing rows into splits: shares, strata, groups, time, folds, and an order that other rows do not change."""

from __future__ import annotations

import datetime
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import DataError, RecipeError
from ftkit.prepare.splitting import SPLITS, order_keys
from ftkit.prepare.splitting.kfold import KFold
from ftkit.registry import choice_of, find
from ftkit.registry import names as component_names

WAYS = component_names("splitting")
Times = Sequence[str | int | float | None]


def names(count: int, prefix: str = "row") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def order_key(group: str, *, seed: int) -> str:
    """`order_keys` of one group, as the hexadecimal digits of the whole hash."""
    return hashlib.sha256(f"{seed}\0{group}".encode()).hexdigest()


def keys(groups: Sequence[str], strata: Sequence[str] | None = None, times: Times | None = None) -> polars.DataFrame:
    """Rows with ids id0, id1, …; one stratum unless strata are given."""
    strata = [""] * len(groups) if strata is None else strata
    table = polars.DataFrame({"id": names(len(groups), "id"), "group": groups, "stratum": strata})
    return table if times is None else table.with_columns(polars.Series("time", times))


def dealt_by(
    way: str, table: polars.DataFrame, valid: float = 0.1, test: float = 0.2, seed: int = 17, **options: Any
) -> list[str]:
    component = find("splitting", way)
    table = table.with_columns(order=order_keys(table["group"], seed=seed))
    dealt = component.function(component.config_type(**options), table, valid=valid, test=test)
    assert dealt.dtype == polars.Enum(SPLITS)
    return list(dealt.cast(polars.String))


def deal(groups: Sequence[str], strata: Sequence[str], *, valid: float, test: float, seed: int) -> list[str]:
    return dealt_by("stratified", keys(groups, strata), valid, test, seed)


def deal_row_by_row(groups: Sequence[str], strata: Sequence[str], *, valid: float, test: float, seed: int) -> list[str]:
    """The stratified split as the first version of ftkit computed it, in plain Python."""
    sizes = Counter(groups)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata, strict=True):
        counts[group][stratum] += 1
    members: dict[str, list[str]] = defaultdict(list)
    for group, count in counts.items():
        members[min(count, key=lambda stratum: (-count[stratum], stratum))].append(group)
    split_of: dict[str, str] = {}
    for position, stratum in enumerate(sorted(members)):
        ordered = sorted(members[stratum], key=lambda group: (order_key(group, seed=seed), group))
        rounding = (0.5 + position * 0.6180339887498949) % 1
        num_rows = sum(sizes[group] for group in ordered)
        cuts = {"test": int(num_rows * test + rounding), "valid": int(num_rows * (test + valid) + rounding)}
        before = 0
        for group in ordered:
            middle = before + sizes[group] / 2
            split_of[group] = next((split for split, cut in cuts.items() if middle < cut), "train")
            before += sizes[group]
    return [split_of[group] for group in groups]


ROWS = st.lists(st.tuples(st.sampled_from(names(40, "g")), st.sampled_from(["a", "b", "ß", "é", ""])), min_size=30)


@settings(deadline=None)
@given(ROWS, st.sampled_from([(0.1, 0.2), (0.3, 0.3), (0.0, 0.5), (0.45, 0.45)]), st.integers(0, 5))
def test_stratified_deals_as_the_first_version_did(
    rows: list[tuple[str, str]], share: tuple[float, float], seed: int
) -> None:
    groups, strata = zip(*rows, strict=True)
    valid, test = share
    expected = deal_row_by_row(groups, strata, valid=valid, test=test, seed=seed)
    wanted = {"train", "test"} | ({"valid"} if valid else set())
    if set(expected) < wanted:
        with pytest.raises(DataError, match="would be empty"):
            deal(groups, strata, valid=valid, test=test, seed=seed)
    else:
        assert deal(groups, strata, valid=valid, test=test, seed=seed) == expected


def test_stratified_deals_many_labels_as_the_first_version_did() -> None:
    labels = [f"label{number % 201}" for number in range(5000)]
    groups = [f"customer{number * 7919 % 3500}" for number in range(5000)]
    dealt = deal(groups, labels, valid=0.1, test=0.2, seed=17)
    assert dealt == deal_row_by_row(groups, labels, valid=0.1, test=0.2, seed=17)
    # computed with commit 6fb48bf, before the split was columnar
    assert hashlib.sha256(" ".join(dealt).encode()).hexdigest()[:16] == "274f0261c5918572"


@pytest.mark.parametrize("way", ["stratified", "random"])
def test_shares_are_met_exactly_in_one_stratum(way: str) -> None:
    dealt = dealt_by(way, keys(names(1000)), valid=0.1, test=0.2)
    assert Counter(dealt) == {"train": 700, "valid": 100, "test": 200}


def test_random_looks_at_no_label() -> None:
    labels = [f"label{number % 5}" for number in range(300)]
    assert dealt_by("random", keys(names(300), labels)) == dealt_by("random", keys(names(300)))
    assert dealt_by("random", keys(names(300), labels)) != dealt_by("stratified", keys(names(300), labels))


def test_every_label_has_its_share_in_every_split() -> None:
    labels = [f"label{number % 5}" for number in range(1000)]
    dealt = deal(names(1000), labels, valid=0.1, test=0.2, seed=17)
    per_label: dict[str, Counter[str]] = defaultdict(Counter)
    for label, split in zip(labels, dealt, strict=True):
        per_label[label][split] += 1
    for counts in per_label.values():
        assert abs(counts["test"] - 40) <= 1
        assert abs(counts["valid"] - 20) <= 1


def test_shares_of_many_small_strata_add_up() -> None:
    labels = [f"label{number % 200}" for number in range(600)]  # three rows each: 0.3 of a row to valid
    counts = Counter(deal(names(600), labels, valid=0.1, test=0.2, seed=17))
    assert abs(counts["valid"] - 60) <= 3
    assert abs(counts["test"] - 120) <= 3


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rows_of_one_group_are_never_split_apart(way: str, seed: int) -> None:
    dice = random.Random(seed)
    groups = [f"g{dice.randrange(60)}" for _ in range(150)]
    labels = [dice.choice("abc") for _ in groups]
    dealt = dealt_by(way, keys(groups, labels, [dice.randrange(100) for _ in groups]), valid=0.2, test=0.3)
    assert len(set(zip(groups, dealt, strict=True))) == len(set(groups))
    assert set(dealt) == set(SPLITS)


@pytest.mark.parametrize("way", WAYS)
@settings(deadline=None)
@given(order=st.permutations(range(40)))
def test_the_order_of_the_rows_changes_nothing(way: str, order: list[int]) -> None:
    table = keys([f"g{n // 2}" for n in range(40)], [f"l{n % 3}" for n in range(40)], [n // 3 for n in range(40)])
    expected = dealt_by(way, table, valid=0.2, test=0.3, seed=4)
    assert dealt_by(way, table[order], valid=0.2, test=0.3, seed=4) == [expected[n] for n in order]


def test_groups_leave_shares_nearly_met() -> None:
    groups = [f"customer{number % 90}" for number in range(1000)]
    assert abs(Counter(deal(groups, [""] * 1000, valid=0.1, test=0.2, seed=17))["test"] - 200) <= 12


def test_a_group_belongs_to_the_stratum_of_most_of_its_rows() -> None:
    # every customer has two b rows and one a row: 'a' alone has no stratum, so the deal is that of 'b' alone
    groups = [f"customer{number // 3}" for number in range(90)]
    mixed = deal(groups, ["b", "a", "b"] * 30, valid=0.2, test=0.3, seed=5)
    assert mixed == deal(groups, ["b"] * 90, valid=0.2, test=0.3, seed=5)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"time"}))
def test_another_seed_deals_other_rows(way: str) -> None:
    one, other = (dealt_by(way, keys(names(200)), seed=seed) for seed in (1, 2))
    assert one != other


def test_rows_that_leave_move_only_rows_at_the_cuts() -> None:
    labels = [f"label{number % 10}" for number in range(2000)]
    before = dict(zip(names(2000), deal(names(2000), labels, valid=0.1, test=0.2, seed=17), strict=True))
    stay = [number for number in range(2000) if number % 20]  # another cleaning option drops 5 %
    groups = [f"row{number}" for number in stay]
    dealt = deal(groups, [labels[number] for number in stay], valid=0.1, test=0.2, seed=17)
    moved = sum(before[group] != split for group, split in zip(groups, dealt, strict=True))
    assert moved <= 40  # dealt anew, about 46 % of 1,900 rows would be elsewhere


def test_the_order_of_a_group_is_its_own() -> None:
    # printf '17\0row1' | sha256sum
    assert order_keys(polars.Series(["row1"]), seed=17).to_list() == [0x43C1381FB86F53B9]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20), st.integers(-5, 5))
def test_order_keys_are_the_first_digits_of_each_order_key(groups: list[str], seed: int) -> None:
    found = order_keys(polars.Series(groups, dtype=polars.String), seed=seed)
    assert found.dtype == polars.UInt64
    assert [f"{key:016x}" for key in found] == [order_key(group, seed=seed)[:16] for group in groups]


@pytest.mark.parametrize(
    ("num_rows", "valid", "test", "named"),
    [(3, 0.1, 0.2, "valid"), (2, 0.4, 0.4, "train"), (1, 0.0, 0.2, "test")],
)
@pytest.mark.parametrize("way", ["stratified", "random", "time"])
def test_an_empty_split_is_an_error(way: str, num_rows: int, valid: float, test: float, named: str) -> None:
    table = keys(names(num_rows), times=range(num_rows))
    with pytest.raises(DataError, match=f"data.split: {named} would be empty: {num_rows} rows in {num_rows} groups"):
        dealt_by(way, table, valid, test, 1)


@pytest.mark.parametrize(("way", "options"), [("hash", {}), ("kfold", {"fold": 2})])
def test_one_group_is_too_few_for_hashes_or_folds(way: str, options: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"data\.split: \w+ would be empty: 4 rows in 1 groups"):
        dealt_by(way, keys(["only"] * 4), **options)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"kfold"}))
def test_a_share_of_zero_gives_no_rows(way: str) -> None:
    table = keys(names(50), times=range(50))
    assert set(dealt_by(way, table, valid=0.0, test=0.2, seed=1)) == {"train", "test"}
    assert set(dealt_by(way, table, valid=0.2, test=0.0, seed=1)) == {"train", "valid"}


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_by_hash_no_row_moves_when_rows_are_appended(seed: int) -> None:
    dice = random.Random(seed)
    old = [f"g{dice.randrange(500)}" for _ in range(150)]
    new = [f"g{dice.randrange(900)}" for _ in range(dice.randrange(100))]
    before = dealt_by("hash", keys(old), valid=0.2, test=0.3)
    assert dealt_by("hash", keys(old + new), valid=0.2, test=0.3)[: len(old)] == before


def test_by_hash_shares_are_met_on_average() -> None:
    counts = Counter(dealt_by("hash", keys(names(20_000))))
    # a binomial share of 20,000 rows is within 4 standard deviations: 4 * sqrt(n p q) = 226 and 170 rows
    assert abs(counts["test"] - 4000) <= 226
    assert abs(counts["valid"] - 2000) <= 170


def test_by_hash_a_row_goes_where_its_own_hash_says() -> None:
    assert order_key("row1", seed=17)[:4] == "43c1"  # 0x43c1 / 0x10000 = 0.2647
    table = keys([*names(200), "row1"])
    assert dealt_by("hash", table, valid=0.1, test=0.2)[-1] == "valid"
    assert dealt_by("hash", table, valid=0.06, test=0.2)[-1] == "train"
    assert dealt_by("hash", table, valid=0.1, test=0.27)[-1] == "test"


def test_by_time_the_newest_are_test_and_the_oldest_train() -> None:
    days = ["2024-01-05", "2024-01-01", "2024-01-10", "2024-01-02", "2024-01-09", "2024-01-03", "2024-01-04",
            "2024-01-06", "2024-01-07", "2024-01-08"]  # fmt: skip
    dealt = dealt_by("time", keys(names(10), times=days), valid=0.1, test=0.2)
    by_day = dict(sorted(zip(days, dealt, strict=True)))
    assert list(by_day.values()) == ["train"] * 7 + ["valid"] + ["test"] * 2


def test_by_time_rows_of_one_time_stay_together() -> None:
    # two rows of ten are wanted for test; the newest time has three, the next two
    dealt = dealt_by("time", keys(names(10), times=[9, 9, 9, 8, 8, 3, 2, 2, 1, 1]), valid=0.3, test=0.2)
    assert dealt == ["test"] * 3 + ["valid"] * 2 + ["train"] * 5


def test_by_time_a_group_is_as_new_as_its_latest_row() -> None:
    groups = ["ann", "bob", "cy", "dan", "ann"]
    dealt = dealt_by("time", keys(groups, times=[1, 2, 3, 4, 9]), valid=0.2, test=0.4)
    assert dealt == ["test", "train", "train", "valid", "test"]


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_by_time_no_train_row_is_newer_than_a_valid_row_nor_valid_than_test(seed: int) -> None:
    dice = random.Random(seed)
    hours = [dice.randrange(40) for _ in range(80)]
    dealt = dealt_by("time", keys(names(len(hours)), times=hours), valid=0.3, test=0.3)
    span = {split: [hour for hour, own in zip(hours, dealt, strict=True) if own == split] for split in SPLITS}
    assert max(span["train"]) < min(span["valid"]) <= max(span["valid"]) < min(span["test"])


@pytest.mark.parametrize(
    "times",
    [
        [
            "2024-01-01",
            "2024-01-01T00:00:01",
            "2024-01-01 12:00:00.5",
            "2024-01-02T01:00:00+02:00",
            "2024-01-01T23:30Z",
        ],
        ["9", "10", "100", "1000", "10000"],
        ["-1.5", "1e0", "2.5", " 3 ", "1e3"],
        [1.5, 2.0, 2.5, 3.0, 1e18],
        [datetime.date(2024, 1, day) for day in range(1, 6)],
        [datetime.datetime(2024, 1, 1, hour, tzinfo=datetime.UTC) for hour in range(5)],
    ],
    ids=["iso", "integers", "decimals", "numbers", "dates", "instants"],
)
def test_times_are_dates_or_numbers_in_ascending_order_here(times: Times) -> None:
    table = keys(names(5), times=times)
    for place in range(1, 5):  # with a share of n/5 for test, the n newest are test
        dealt = dealt_by("time", table, valid=0, test=(5 - place) / 5)
        assert dealt == ["train"] * place + ["test"] * (5 - place), times


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-01", "yesterday", "2024-01-03"], "id1: time is 'yesterday'; expected a date or time as 2024-05-31"),
        (["2024-01-01", "2024-02-30", "2024-01-03"], "id1: time is '2024-02-30'; expected a date"),
        (["2024-01-01", "2024-01-02", "1704067200"], "id2: time is '1704067200'; expected a date .* or numbers in all"),
        (["1", None, "2"], "id1: has no time; give it one, or drop the row"),
        (["1", "2", " "], "id2: has no time"),
        (["1", "2", "99999999999999999999"], "id2: time is '99999999999999999999'; expected a number of 64 bits"),
        ([None, None, None], "data.split: by: time needs to know when a row was made; name that column as"),
    ],
)
def test_a_time_that_is_none_names_its_row(times: Times, message: str) -> None:
    table = keys(names(3)).with_columns(polars.Series("time", times, polars.String))
    with pytest.raises(DataError, match=message):
        dealt_by("time", table)


def test_by_time_needs_a_column_of_times() -> None:
    with pytest.raises(DataError, match=r"data\.split\.time"):
        dealt_by("time", keys(names(9)))


@settings(deadline=None)
@given(ROWS.filter(lambda rows: len({group for group, _ in rows}) >= 12), st.integers(2, 4), st.integers(0, 3))
def test_each_row_is_test_in_exactly_one_fold(rows: list[tuple[str, str]], folds: int, seed: int) -> None:
    groups, strata = zip(*rows, strict=True)
    times_in_test = [0] * len(rows)
    for fold in range(1, folds + 1):
        try:
            dealt = dealt_by("kfold", keys(groups, strata), valid=0.0, seed=seed, folds=folds, fold=fold)
        except DataError as error:  # large groups can leave a fold without rows
            assert "test would be empty" in str(error)
            continue
        times_in_test = [count + (split == "test") for count, split in zip(times_in_test, dealt, strict=True)]
    assert times_in_test == [1] * len(rows)


def test_folds_are_even_and_hold_every_label() -> None:
    labels = [f"label{number % 5}" for number in range(1000)]
    for fold in range(1, 6):
        dealt = dealt_by("kfold", keys(names(1000), labels), valid=0.1, folds=5, fold=fold)
        counts = Counter(zip(labels, dealt, strict=True))
        assert [counts[f"label{number}", "test"] for number in range(5)] == pytest.approx([40] * 5, abs=1)
        assert Counter(dealt)["valid"] == 80  # a tenth of the 800 rows outside the fold


def test_labels_smaller_than_the_folds_spread_over_the_folds() -> None:
    labels = [f"label{number}" for number in range(100)]  # one row each
    counts = [Counter(dealt_by("kfold", keys(names(100), labels), fold=fold))["test"] for fold in range(1, 6)]
    assert sum(counts) == 100
    assert min(counts) >= 19


def test_a_fold_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 6 of 5: give one from 1 to 5"):
        KFold(fold=6)


def test_folds_beside_given_test_rows_are_refused() -> None:
    with pytest.raises(RecipeError, match="kfold makes test of the source's rows"):
        dealt_by("kfold", keys(names(50)), test=0.0)


def test_a_recipe_chooses_a_way_by_name_or_with_options() -> None:
    choice, rows = choice_of("splitting"), keys(names(30))
    rows = rows.with_columns(order=order_keys(rows["group"], seed=1))
    dealt = choice.model_validate({"kfold": {"folds": 3}})(rows, valid=0.1, test=0.2)
    assert Counter(dealt)["test"] == 10
    assert choice.model_validate("hash").name == "hash"
