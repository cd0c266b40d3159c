"""The form that answers had before there were tools: one function call, and no id."""

from __future__ import annotations

from msgspec import UNSET

from chat.openai_api.schemas import (
    AnswerChoice,
    AnswerMessage,
    ChunkChoice,
    Delta,
    FunctionCall,
)


def use_old_form(choice: AnswerChoice | ChunkChoice) -> None:
    """Make the first tool call of a choice its function call; others are lost."""
    said: AnswerMessage | Delta
    if isinstance(choice, AnswerChoice):
        said = choice.message
        pieces = [call.function for call in said.tool_calls or ()][:1]
    else:
        said = choice.delta
        pieces = [call.function for call in said.tool_calls or () if call.index == 0]
    said.tool_calls = UNSET
    if pieces:
        said.function_call = FunctionCall(
            name=pieces[0].name, arguments="".join(piece.arguments for piece in pieces)
        )
    if choice.finish_reason == "tool_calls":
        choice.finish_reason = "function_call"
