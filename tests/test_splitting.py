"""Dealing rows into splits: shares, strata, groups, and an order that other rows do not change."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.errors import DataError
from ftkit.splitting import deal, order_key


def names(count: int, prefix: str = "row") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_shares_are_met_exactly_in_one_stratum() -> None:
    dealt = deal(names(1000), [""] * 1000, valid=0.1, test=0.2, seed=17)
    assert Counter(dealt) == {"train": 700, "valid": 100, "test": 200}


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


def test_rows_of_one_group_stay_together() -> None:
    groups = [f"customer{number % 90}" for number in range(1000)]
    dealt = deal(groups, [""] * 1000, valid=0.1, test=0.2, seed=17)
    splits_of = defaultdict(set)
    for group, split in zip(groups, dealt, strict=True):
        splits_of[group].add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert abs(Counter(dealt)["test"] - 200) <= 12


def test_a_group_belongs_to_the_stratum_of_most_of_its_rows() -> None:
    # every customer has two b rows and one a row: 'a' alone has no stratum, so the deal is that of 'b' alone
    groups = [f"customer{number // 3}" for number in range(90)]
    mixed = deal(groups, ["b", "a", "b"] * 30, valid=0.2, test=0.3, seed=5)
    assert mixed == deal(groups, ["b"] * 90, valid=0.2, test=0.3, seed=5)


def test_another_seed_deals_other_rows() -> None:
    one, other = (deal(names(200), [""] * 200, valid=0.1, test=0.2, seed=seed) for seed in (1, 2))
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
    assert order_key("row1", seed=17).startswith("43c1381fb86f53b9d9fcaabbd8d04fb9")


@pytest.mark.parametrize(
    ("num_rows", "valid", "test", "named"),
    [(3, 0.1, 0.2, "valid"), (2, 0.4, 0.4, "train"), (1, 0.0, 0.2, "test")],
)
def test_an_empty_split_is_an_error(num_rows: int, valid: float, test: float, named: str) -> None:
    with pytest.raises(DataError, match=f"data.split: {named} would be empty: {num_rows} rows"):
        deal(names(num_rows), [""] * num_rows, valid=valid, test=test, seed=1)


def test_a_share_of_zero_gives_no_rows() -> None:
    assert set(deal(names(50), [""] * 50, valid=0.0, test=0.2, seed=1)) == {"train", "test"}


@given(st.permutations(range(40)))
def test_the_order_of_the_rows_changes_nothing(order: list[int]) -> None:
    groups = [f"g{number // 2}" for number in range(40)]
    labels = [f"l{number % 3}" for number in range(40)]
    expected = deal(groups, labels, valid=0.2, test=0.3, seed=4)
    dealt = deal([groups[n] for n in order], [labels[n] for n in order], valid=0.2, test=0.3, seed=4)
    assert dealt == [expected[n] for n in order]
