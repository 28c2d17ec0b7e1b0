"""The plain template that stands in where a model has no chat template: one turn a paragraph.

Knows text and token strings only, no ids beyond those that carry a line break, and no model.

A line break ends each turn. Those inside an answer are written as a sign that people do not write, so that an answer
ends where its line ends and a backslash stays what it is (`C:\\new`, `\\neq`); `escape` writes them so before the
template sees an answer, `unescape` takes them back. Where a tokenizer drops line breaks, the end-of-text token ends a
turn instead.
"""

from __future__ import annotations

import re
from typing import Any

BREAK = "\u23ce"
_TURNS = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ ANSWER }}{% else %}{{ message['content'] | trim }}{% endif %}"
    "{{ END }}{% endfor %}"
)
_IN_ONE_LINE = f"message['content'] | replace('\\n', '{BREAK}')"  # where others render; ours comes escaped
LINES = _TURNS.replace("ANSWER", _IN_ONE_LINE).replace("END", "'\\n'")
LINES_AFTER_BOS = "{{ bos_token }}" + LINES
EOS = _TURNS.replace("ANSWER", "message['content']").replace("END", "eos_token")
EOS_AFTER_BOS = "{{ bos_token }}" + EOS
TEMPLATES = (LINES, LINES_AFTER_BOS, EOS, EOS_AFTER_BOS)


def template_for(tokenizer: Any) -> str:
    """The variant that fits a tokenizer: with its beginning-of-text token where it adds one."""
    ids = list(tokenizer("a")["input_ids"])
    adds_bos = tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]
    if line_break_ids(tokenizer) and "\n" in tokenizer.decode(
        tokenizer("a\nb\n", add_special_tokens=False)["input_ids"]
    ):
        return LINES_AFTER_BOS if adds_bos else LINES
    return EOS_AFTER_BOS if adds_bos else EOS


def line_break_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of all tokens whose text holds a line break; one may be joined with the sign before ('?')."""
    marks = ("\n", "Ċ", "<0x0A>")  # as it is, in byte-level vocabularies, as a byte of SentencePiece
    likely = [id for token, id in tokenizer.get_vocab().items() if any(mark in token for mark in marks)]
    return frozenset(id for id in likely if "\n" in tokenizer.decode([id]))


def escape(text: str) -> str:
    """An answer in one line. Backslashes before a break or its sign are doubled; one more says: the sign itself."""
    return re.sub(
        rf"(\\*)([\n{BREAK}])", lambda found: found[1] * 2 + ("\\" if found[2] == BREAK else "") + BREAK, text
    )


def unescape(line: str) -> str:
    """What `escape` made a line of: the answer in plain text, up to its line break."""
    return re.sub(
        rf"(\\*){BREAK}",
        lambda found: found[1][: len(found[1]) // 2] + (BREAK if len(found[1]) % 2 else "\n"),
        line.split("\n", 1)[0],
    )
