"""The plain template that stands in where a model has no chat template: one turn a paragraph.

Knows text and token strings only, no ids beyond those that carry a line break, and no model.

A line break ends each turn. Line breaks inside an answer are written as backslash and n, so that an answer
ends where its line ends; `unescape` takes them back. Where a tokenizer drops line breaks, the end-of-text
token ends a turn instead.
"""

from __future__ import annotations

from typing import Any

ESCAPED_BREAK = "\\n"
_TURNS = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ message['content'] | trim | replace('\\n', '\\\\n') }}"
    "{% else %}{{ message['content'] | trim }}{% endif %}"
    "{{ END }}{% endfor %}"
)
LINES = _TURNS.replace("END", "'\\n'")
LINES_AFTER_BOS = "{{ bos_token }}" + LINES
EOS = _TURNS.replace("END", "eos_token")
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


def unescape(text: str) -> str:
    """The answer in one line of plain text, up to its line break, with its own line breaks restored."""
    return text.split("\n", 1)[0].replace(ESCAPED_BREAK, "\n")
