"""Conversations as OpenAI has them: `messages`, each with role and content, tool calls and results among them.

Knows no other shape. Tool calls become text: the JSON list of their names and arguments, after the content. A
message's own fields beyond role, content, tool_calls, function_call and weight (0: not to be learned) are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.shapes import ConversationConfig, conversations
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Messages(ConversationConfig):
    """Where the messages stand, and which turns are targets. System and tools may be missing, null or empty."""

    column: str = Field("messages", description="column of the list of messages")

    wants: ClassVar[str] = "messages (a list of role and content), and perhaps system and tools"


@component
def shape(config: Messages, table: Table) -> Shaped:
    """Input is the message before the target, history those before it: after a tool's result, that is the input."""
    return conversations(config, table)
