"""Money per request, money to train, and when training has paid for itself."""

from __future__ import annotations

import pytest

from ftkit.errors import DataError
from ftkit.verdict.cost import Rates, break_even_requests, machine_money, request_money

RATES = Rates(gpu_hour=2.5, input_tokens=0.4, output_tokens=1.6)


def test_a_request_costs_its_tokens_at_the_price_of_a_million() -> None:
    # 500 × 0.4 / 1e6 + 20 × 1.6 / 1e6
    assert request_money(RATES, prompt_tokens=500, completion_tokens=20) == pytest.approx(0.000232)


def test_negative_token_counts_are_refused() -> None:
    with pytest.raises(DataError, match="expected 0 or more"):
        request_money(RATES, prompt_tokens=-1, completion_tokens=0)


def test_machine_time_is_priced_by_the_hour() -> None:
    assert machine_money(RATES, 7200) == 5.0


def test_training_pays_off_after_its_price_over_the_saving_per_request() -> None:
    assert break_even_requests(3.0, prompting=0.02, fine_tuned=0.0125) == 400


def test_a_part_of_a_request_counts_as_one() -> None:
    assert break_even_requests(1.0, prompting=0.75, fine_tuned=0.25) == 2
    assert break_even_requests(1.1, prompting=0.75, fine_tuned=0.25) == 3


@pytest.mark.parametrize("fine_tuned", [0.02, 0.03])
def test_training_never_pays_off_where_requests_get_no_cheaper(fine_tuned: float) -> None:
    assert break_even_requests(3.0, prompting=0.02, fine_tuned=fine_tuned) is None


def test_free_training_has_paid_off_at_once() -> None:
    assert break_even_requests(0.0, prompting=0.02, fine_tuned=0.01) == 0


def test_hours_alone_are_no_price_of_a_request() -> None:
    assert not Rates(gpu_hour=2.5, input_tokens=0, output_tokens=0).any_tokens
    assert Rates(gpu_hour=0, input_tokens=0, output_tokens=0.1).any_tokens
