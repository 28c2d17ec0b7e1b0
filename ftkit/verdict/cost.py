"""What an arm costs: money per request, money to train, and when training has paid for itself.
Pure functions on numbers: no files, no arms, no recipe. Currency is whatever the prices are in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ftkit.errors import DataError

SECONDS_PER_HOUR = 3600
TOKENS_PER_PRICE = 1_000_000  # token prices are quoted per million


@dataclass(frozen=True, slots=True)
class Rates:
    """Declared prices: an hour of the machine, a million prompt tokens, a million completion tokens."""

    gpu_hour: float
    input_tokens: float
    output_tokens: float

    @property
    def any_tokens(self) -> bool:
        """Whether a request costs anything at all."""
        return self.input_tokens > 0 or self.output_tokens > 0


def request_money(rates: Rates, *, prompt_tokens: float, completion_tokens: float) -> float:
    """Money for one request of that many tokens. Raises DataError on negative counts."""
    if prompt_tokens < 0 or completion_tokens < 0:
        raise DataError(f"{prompt_tokens} prompt and {completion_tokens} completion tokens; expected 0 or more")
    prompt, completion = prompt_tokens * rates.input_tokens, completion_tokens * rates.output_tokens
    return (prompt + completion) / TOKENS_PER_PRICE


def machine_money(rates: Rates, seconds: float) -> float:
    """Money for that many seconds of the machine."""
    return seconds * rates.gpu_hour / SECONDS_PER_HOUR


def break_even_requests(training: float, *, prompting: float, fine_tuned: float) -> int | None:
    """Requests after which the cheaper request has paid for the training; None where it never does.

    `training` is money once, `prompting` and `fine_tuned` are money per request.
    """
    saving = prompting - fine_tuned
    if saving <= 0:
        return None
    return math.ceil(training / saving)
