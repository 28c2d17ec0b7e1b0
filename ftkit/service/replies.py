"""Replies in words, for a terminal: lines of text that need no colour. Prints nothing."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from ftkit.records import Message
from ftkit.service.speaking import Reply

MOST_LABELS = 5
LEAST_SHARE = 0.01  # of a label that is shown
BAR = 20
WORDS_OF_FLAGS = {
    "truncated": "cut at task.generate.max_new_tokens",
    "input_cut": "the text was cut to fit the context",
    "unparsed": "no answer was found in it",
    "empty": "nothing was written",
}


def in_words(reply: Reply) -> list[str]:
    """What was answered: labels with their shares, or what is made of a text that was written; what is to be noted."""
    noted = [f"({WORDS_OF_FLAGS.get(flag, flag)})" for flag in reply.flags]
    if not reply.labels:
        is_other = reply.answer is not None and reply.answer != reply.text.strip()
        return [*([f"answer: {reply.answer}"] if is_other else []), *noted]
    shown = [each for each in reply.labels[:MOST_LABELS] if each[1] >= LEAST_SHARE] or list(reply.labels[:1])
    width = max(len(label) for label, _ in shown)
    lines = [f"{label:{width}}  {share:6.1%}  {'#' * round(share * BAR)}".rstrip() for label, share in shown]
    hidden = len(reply.labels) - len(shown)
    rest = sum(share for _, share in reply.labels[len(shown) :])
    lines += [f"{hidden} other labels  {rest:.1%}"] if hidden and rest >= LEAST_SHARE else []
    return [*([] if reply.is_sure else [_unsure(reply.sure_from or 0.0)]), *lines, *noted]


def _unsure(sure_from: float) -> str:
    if sure_from > 1:
        return "not sure: on valid this arm was wrong more often than right, however sure"
    above = math.ceil(sure_from * 1000) / 1000  # or a share just below it would read the same
    return f"not sure (below {above:.1%}): needs more context, or a look by somebody"


def prompt_in_words(messages: Sequence[Message], num_tokens: int) -> list[str]:
    """The turns of a prompt, each under its role."""
    lines = [f"prompt, {num_tokens:,} tokens" if num_tokens else "prompt"]
    for turn in messages:
        lines += [f"  {turn['role']}:", textwrap.indent(turn["content"], "    ", lambda _: True)]
    return lines
