"""What a topic of the sample is made of: sentence grammars, where `[a|b|]` chooses and `{slot}` is filled."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """What people write about one topic; each field holds one sentence grammar a line.

    `direct` uses the topic's everyday words, `indirect` tells the situation without them, `short` are
    fragments, `ask` are requests, `aside` mentions the topic in a message about something else.
    """

    direct: str
    indirect: str
    short: str
    ask: str
    aside: str
