"""The loop of an agent: the model, the tools it asks for, and the model again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from workflows.agents.answers import AgentError, Answer, ask
from workflows.agents.context_window import ANSWER_TOKENS, fitted, tokens_of
from workflows.agents.tools import (
    MAX_ARGUMENTS,
    AskedCall,
    Outcome,
    Tool,
    ToolFailure,
    called_name,
    described,
    failed,
    perform,
    read_arguments,
)
from workflows.engine.context import ReachedModel
from workflows.engine.usage import UsageTally
from workflows.providers.base import ProviderError
from workflows.providers.messages import (
    ChatRequest,
    FinishReason,
    Message,
    TextPart,
    ToolCall,
    Usage,
)
from workflows.providers.messages import Tool as GivenTool

MAX_ROUNDS = 10
MAX_CALLS = 16
# Of all agents of a run together, those in its workflow tools too: without it the
# bounds above would multiply with every level.
MAX_CALLS_OF_RUN = 1_000
BETWEEN_ROUNDS = "\n\n"
# What a provider has sent at once is told without a wait; other jobs have their turn.
CHUNKS_AT_ONCE = 64


class Piece(msgspec.Struct, frozen=True):
    """The next piece of what the model says, or thinks."""

    text: str
    is_thinking: bool = False
    logprobs: list[dict[str, Any]] | None = None
    is_refusal: bool = False


class ToolStarted(msgspec.Struct, frozen=True):
    """The model has asked for a tool; it runs now."""

    call: AskedCall


class ToolEnded(msgspec.Struct, frozen=True):
    """What a tool came to."""

    call: AskedCall
    outcome: Outcome


class RoundEnded(msgspec.Struct, frozen=True):
    """All tools of one answer have run; the model is asked again."""

    calls: tuple[ToolEnded, ...]


Happening = Piece | ToolStarted | ToolEnded | RoundEnded


class AgentLoop:
    """One answer to a conversation, with as many calls of the model as that takes.

    At most ``max_rounds`` times the model gets the results of tools; then it has to
    answer with what it has. Every call of it is counted in ``usage``, failed ones too
    if they have said something.

    ``tools`` run here. Those of ``request`` belong to whoever asks: an answer that
    calls some of them is the last, and ``passed_calls`` are these calls; what it calls
    of ``tools`` as well does not run, and one of these with a name of theirs is left
    out. ``must_fit``: the oldest exchanges go where the model has no room for them, or
    its provider says so.
    """

    def __init__(
        self,
        reached: ReachedModel,
        request: ChatRequest,
        *,
        usage: UsageTally,
        tools: Sequence[Tool] = (),
        max_rounds: int = MAX_ROUNDS,
        must_fit: bool = True,
    ) -> None:
        self._reached = reached
        self._request = request
        self._usage = usage
        self._asker_names = {tool.name for tool in request.tools}
        self._tools = {t.name: t for t in tools if t.name not in self._asker_names}
        self._max_rounds = max_rounds
        self._must_fit = must_fit
        self._context_tokens = reached.context_tokens
        self._messages = list(request.messages)
        self._text: list[str] = []
        self._fault = ""
        self.finish_reason: FinishReason = "stop"
        self.passed_calls: tuple[ToolCall, ...] = ()
        self.spent = Usage()
        """What the calls of the model have used so far."""

    @property
    def text(self) -> str:
        """All that the model has said, of all rounds."""
        return "".join(self._text)

    def check(self) -> None:
        """Make sure that the model has answered, once it has run.

        Raises:
            AgentError: it could not say anything.
        """
        if self._fault and not self._text:
            raise AgentError(self._fault)

    async def run(self) -> AsyncGenerator[Happening, None]:
        """Yield what happens until the model has answered.

        Raises:
            ProviderError: a call of the model failed.
            AgentError: the model asks for tools without end, or says more to a tool of
                the request than is kept.
        """
        for rounds in range(self._max_rounds + 1):
            answer = None
            while answer is None:
                request = self._next_request(is_last=rounds == self._max_rounds)
                answer = Answer(request)
                try:
                    async with aclosing(self._say(request, answer)) as pieces:
                        async for piece in pieces:
                            yield piece
                except ProviderError as error:
                    if answer.has_begun or not self._makes_room(request, error):
                        raise
                    answer = None
            if not answer.tool_calls:
                self.finish_reason = answer.finish_reason or "stop"
                self._fault = answer.fault
                return
            if self._passes_on(answer):
                return
            if rounds == self._max_rounds:
                break
            self._messages.append(_sent_back(answer))
            async with aclosing(self._call_tools(answer.tool_calls)) as happenings:
                async for happening in happenings:
                    yield happening
        raise AgentError(
            f"The model asked for tools more than {self._max_rounds} times in a row "
            "without an answer"
        )

    def _runs_tools_of(self, answer: Answer) -> bool:
        names = {call.name for call in answer.tool_calls}
        return bool(names) and not names & self._asker_names

    def _passes_on(self, answer: Answer) -> bool:
        """Tell whether an answer is the last because it calls tools of the request."""
        names = self._asker_names
        calls = tuple(call for call in answer.tool_calls if call.name in names)
        if any(len(call.arguments) > MAX_ARGUMENTS for call in calls):
            raise AgentError(
                f"The model gives a tool more than {MAX_ARGUMENTS} characters of "
                "arguments"
            )
        if calls:
            is_cut = answer.finish_reason == "length"
            self.passed_calls = calls
            self.finish_reason = "length" if is_cut else "tool_calls"
        return bool(calls)

    def _next_request(self, *, is_last: bool) -> ChatRequest:
        request = self._request
        messages = self._conversation()
        served = (described(tool) for tool in self._tools.values())
        tools = (*request.tools, *served)
        can_call = bool(tools) and not is_last
        # Some vendors take no conversation in which tools were called without any.
        tools = tools or _tools_called_in(messages)
        if not tools:
            return msgspec.structs.replace(request, messages=messages)
        return msgspec.structs.replace(
            request,
            messages=messages,
            tools=tools,
            tool_choice=request.tool_choice if can_call else "none",
        )

    def _conversation(self) -> tuple[Message, ...]:
        whole = tuple(self._messages)
        if not self._must_fit:
            return whole
        kept = fitted(
            whole,
            context_tokens=self._context_tokens,
            answer_tokens=self._request.max_tokens,
        )
        if kept == whole:
            return whole
        # What a vendor wants back is bound to the conversation as it was: Claude's
        # thoughts are refused in another one.
        kept = tuple(msgspec.structs.replace(each, memory=()) for each in kept)
        self._messages = list(kept)
        return kept

    def _makes_room(self, request: ChatRequest, error: ProviderError) -> bool:
        """Tell whether the next request is shorter, as this one was too long.

        How many tokens a text has is only guessed, and in some languages it is more.
        """
        if error.code != "context_length_exceeded" or not self._must_fit:
            return False
        half = sum(map(tokens_of, request.messages)) // 2
        self._context_tokens = half + (self._request.max_tokens or ANSWER_TOKENS)
        return self._conversation() != request.messages

    async def _say(
        self, request: ChatRequest, answer: Answer
    ) -> AsyncGenerator[Piece, None]:
        """Yield what the model says in one answer, and count it.

        A text that follows one of an earlier round stands apart from it. Where the
        answer has to be JSON, a text before the tools run is no part of it, so it is
        held back until it is known that none run.
        """
        is_held = bool(self._tools) and request.response_format is not None
        held: list[Piece] = []
        chunks = ask(self._reached.provider, request, answer)
        gap, count = BETWEEN_ROUNDS if self._text else "", 0
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    count += 1
                    if count % CHUNKS_AT_ONCE == 0:
                        await asyncio.sleep(0)
                    if chunk.reasoning:
                        yield Piece(chunk.reasoning, is_thinking=True)
                    if chunk.text:
                        piece = Piece(
                            gap + chunk.text,
                            logprobs=chunk.logprobs,
                            is_refusal=chunk.is_refusal,
                        )
                        gap = ""
                        if is_held:
                            held.append(piece)
                            continue
                        self._text.append(piece.text)
                        yield piece
            for piece in () if self._runs_tools_of(answer) else held:
                self._text.append(piece.text)
                yield piece
        finally:
            self._count(answer)

    def _count(self, answer: Answer) -> None:
        if answer.has_said_anything:
            self.spent += answer.usage
        answer.count(self._usage)

    async def _call_tools(
        self, calls: Sequence[ToolCall]
    ) -> AsyncGenerator[Happening, None]:
        """Run the tools one after the other, in the order the model named them."""
        ended: list[ToolEnded] = []
        for number, call in enumerate(calls):
            try:
                asked = read_arguments(call)
            except ToolFailure as error:
                asked = AskedCall(call.id, call.name, {})
                outcome = failed(str(error))
                yield ToolStarted(asked)
            else:
                yield ToolStarted(asked)
                outcome = await self._outcome(asked, number)
            ended.append(ToolEnded(asked, outcome))
            yield ended[-1]
            content = (TextPart(outcome.text),)
            self._messages.append(
                Message(
                    "tool",
                    content,
                    tool_call_id=call.id,
                    name=called_name(call.name),
                )
            )
        yield RoundEnded(tuple(ended))

    async def _outcome(self, call: AskedCall, number: int) -> Outcome:
        if number >= MAX_CALLS:
            return failed(f"Only {MAX_CALLS} tools are called at a time")
        if self._usage.tool_calls >= MAX_CALLS_OF_RUN:
            return failed(f"This run has called {MAX_CALLS_OF_RUN} tools already")
        self._usage.tool_calls += 1
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join([*self._tools, *sorted(self._asker_names)]) or "none"
            return failed(f"There is no tool '{call.name}'. There are: {names}")
        return await perform(tool, call)


def _sent_back(answer: Answer) -> Message:
    """Return an answer as its vendor takes it back.

    What a model has got wrong in a call would be refused in the next request; it is
    told of it in the call's result.
    """
    message = answer.message()
    calls = tuple(map(_put_right, message.tool_calls))
    return msgspec.structs.replace(message, tool_calls=calls)


def _put_right(call: ToolCall) -> ToolCall:
    name = called_name(call.name)
    try:
        read_arguments(call)
    except ToolFailure:
        return ToolCall(call.id, name)
    return ToolCall(call.id, name, call.arguments)


def _tools_called_in(messages: Sequence[Message]) -> tuple[GivenTool, ...]:
    """Return the tools of an earlier time, of which only the names are known."""
    names = dict.fromkeys(
        call.name for message in messages for call in message.tool_calls
    )
    return tuple(GivenTool(name, "Not available any more.") for name in names)
