"""Which arm to ship: the one the decision names, or something simpler that is no worse; and whether it beats a floor.
Pure: contrasts and costs in, names out. Knows no stage, no recipe and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ftkit.verdict.stats import Contrast, Outcome

Contrasting = Callable[[str, str], Contrast]
"""The contrast A − B of the primary metric, by the names of two arms or floors."""


@dataclass(frozen=True)
class Sides:
    """Names: the fine-tuned arm, the frozen prompts with the best on valid first, the simple arms, the floors."""

    tuned: str
    prompts: Sequence[str]
    simple: Sequence[str]
    floors: Sequence[str]

    @property
    def pair(self) -> tuple[str, str]:
        """The deciding pair."""
        return self.tuned, self.prompts[0]


@dataclass(frozen=True)
class Shipping:
    """What to ship, and the contrasts (of A against B, by name) that say so."""

    ship: str
    simple: Mapping[tuple[str, str], Contrast]
    floor: Mapping[tuple[str, str], Contrast]
    cheaper: tuple[str, ...]


def shipping(
    outcome: Outcome, sides: Sides, *, margin: float, costs: Mapping[str, float], contrast: Contrasting
) -> Shipping:
    """What to ship under a decision that is not invalid. `costs` per request, by arm.

    Something simpler, which costs less, takes the place of an arm than which it is surely no worse by the margin.
    """
    ship = _of_pair(outcome, sides, costs)
    simple = {(each, other): contrast(each, other) for each in sides.simple for other in sides.pair}
    ship = next((each for each in sides.simple if _low(simple[each, ship]) > -margin), ship)
    floor = {}
    if sides.floors:
        best = max(sides.floors, key=lambda each: contrast(each, sides.tuned).difference)
        floor = {(each, best): contrast(each, best) for each in dict.fromkeys((*sides.pair, ship))}
    cheaper = tuple(
        each
        for each in sides.prompts
        if ship in sides.prompts and costs[each] < costs[ship] and _low(contrast(ship, each)) <= 0
    )
    return Shipping(ship, simple, floor, cheaper)


def _of_pair(outcome: Outcome, sides: Sides, costs: Mapping[str, float]) -> str:
    """The arm the decision names; of equivalent ones the cheaper per request, prompting on a tie."""
    tuned, prompting = sides.pair
    if outcome == "equivalent":
        return min((prompting, tuned), key=lambda arm: costs[arm])
    return tuned if outcome == "fine_tuned" else prompting


def _low(contrast: Contrast) -> float:
    """The low end of what the difference may be; minus infinity where no interval decides."""
    return contrast.interval.low if contrast.interval is not None and contrast.decides else float("-inf")
