"""Conversations as ShareGPT has them: `conversations`, each with from and value: human, gpt, system, and tools.

Knows no other shape. Spellings of LLaMA-Factory (function_call, observation) and of axolotl (role, content) are
understood. A message's own fields beyond those and weight (0: not to be learned) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.shapes import ConversationConfig, conversations
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Sharegpt(ConversationConfig):
    """Where the turns stand, and which are targets. System and tools may be missing, null or empty."""

    column: str = Field("conversations", description="column of the list of turns")

    wants: ClassVar[str] = "conversations (a list of from and value), and perhaps system and tools"


@component
def shape(config: Sharegpt, table: Table) -> Shaped:
    """Input is the message before the target, history those before it: after a tool's result, that is the input."""
    return conversations(config, table)
