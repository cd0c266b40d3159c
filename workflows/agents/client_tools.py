"""Tools that run at the client that watches the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflows.agents.tools import AskedCall, ToolFailure
from workflows.engine.context import NodeContext
from workflows.engine.events import ClientToolCall

ANSWER_WITHIN_S = 60.0


class ClientTool:
    """A tool of the client: it is told of the call, and its answer is waited for."""

    def __init__(
        self, declared: dict[str, Any], context: NodeContext, thread_id: str | None
    ) -> None:
        self.name = str(declared.get("name") or "")
        self.description = str(declared.get("description") or "")
        parameters = declared.get("parameters")
        self.parameters = parameters if isinstance(parameters, dict) else {}
        self._context = context
        self._thread_id = thread_id

    async def call(self, call: AskedCall) -> Any:
        """Return what the client answers: ``{"result", "ok", "error"}``.

        Raises:
            ToolFailure: it says so, or nothing in time.
        """
        questions = self._context.run.questions
        questions.expect(call.id)
        await self._context.emit(
            ClientToolCall(
                tool_call_id=call.id,
                name=call.name,
                args=call.arguments,
                thread_id=self._thread_id,
            )
        )
        try:
            answer = await questions.answer(call.id, ANSWER_WITHIN_S)
        except TimeoutError as error:
            raise ToolFailure(
                f"The client has not answered within {ANSWER_WITHIN_S:g} s"
            ) from error
        if not isinstance(answer, dict):
            raise ToolFailure("The client's answer is no object")
        if answer.get("error") or answer.get("ok") is False:
            raise ToolFailure(str(answer.get("error") or "The client's tool failed"))
        return answer.get("result")


def client_tools(
    declared: Sequence[dict[str, Any]], context: NodeContext, thread_id: str | None
) -> list[ClientTool]:
    """Return the tools that a client has declared; one without a name is left out."""
    tools = [ClientTool(each, context, thread_id) for each in declared]
    return [tool for tool in tools if tool.name]
