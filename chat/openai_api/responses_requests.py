"""The body of a request for a response, read and checked; nothing is called before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.fields import Fields
from chat.openai_api.requests import (
    MAX_TOP_LOGPROBS,
    Completion,
    ToolChoice,
    objects,
    read_name,
    read_schema,
    read_tool,
    read_tool_choice,
)
from chat.openai_api.responses_input import NOT_STORED, read_input
from chat.openai_api.responses_schemas import ResponseDocument
from workflows.providers.messages import ChatRequest, NamedTool, ResponseFormat, Tool

LOGPROBS = "message.output_text.logprobs"
_EXTRAS = ("user", "safety_identifier", "service_tier", "prompt_cache_key")
_STORED = ("previous_response_id", "conversation", "prompt")
_MAX_METADATA = 16


@dataclass(frozen=True, slots=True)
class WantedResponse:
    """What a caller wants.

    ``completion``: what is asked of the model. ``echo`` has the members of the response
    that repeat the request.
    """

    completion: Completion
    echo: dict[str, Any]

    def document(self, response_id: str, created_at: int) -> ResponseDocument:
        """Return the response before it has begun."""
        return ResponseDocument(
            id=response_id,
            created_at=created_at,
            model=self.completion.model,
            **self.echo,
        )


def read_response(body: dict[str, Any]) -> WantedResponse:
    """Return what a request body asks for.

    Raises:
        InvalidField: a field is missing or not as it should be.
    """
    fields = Fields(body)
    _refuse_what_is_stored(fields)
    messages = read_input(fields)
    model = fields.text("model")
    if model is not None and not model.strip():
        raise fields.refused("model", "must not be empty")
    request = _request(fields, model or settings.DEFAULT_MODEL)
    completion = Completion(
        model=request.model,
        provider=fields.text("provider"),
        messages=messages,
        request=request,
        choices=1,
        is_stream=fields.flag("stream") or False,
        wants_usage=True,
        is_legacy=False,
    )
    return WantedResponse(completion, _echo(fields, request))


def _request(fields: Fields, model: str) -> ChatRequest:
    tools = _tools(fields)
    text = _inner(fields, "text")
    top_logprobs = fields.whole("top_logprobs", 0, MAX_TOP_LOGPROBS)
    return ChatRequest(
        model=model,
        messages=(),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        max_tokens=fields.whole("max_output_tokens", 1),
        logprobs=LOGPROBS in (fields.array("include") or []) or bool(top_logprobs),
        top_logprobs=top_logprobs,
        reasoning_effort=_inner(fields, "reasoning").text("effort"),
        verbosity=text.text("verbosity"),
        tools=tools,
        tool_choice=read_tool_choice(fields, tools, read_name),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        response_format=_format(text),
        extras=_extras(fields),
    )


def _echo(fields: Fields, request: ChatRequest) -> dict[str, Any]:
    """Return what a response repeats of its request, with the defaults."""
    is_parallel = request.parallel_tool_calls
    return {
        "instructions": fields.text("instructions"),
        "max_output_tokens": request.max_tokens,
        "metadata": _metadata(fields),
        "parallel_tool_calls": True if is_parallel is None else is_parallel,
        "reasoning": {"effort": request.reasoning_effort, "summary": None},
        "temperature": request.temperature,
        "text": {
            "format": _format_document(request.response_format),
            "verbosity": request.verbosity or "medium",
        },
        "tool_choice": _choice_document(request.tool_choice),
        "tools": [
            {"type": "function", **msgspec.to_builtins(tool)} for tool in request.tools
        ],
        "top_logprobs": request.top_logprobs,
        "top_p": request.top_p,
        "user": fields.text("user"),
    }


def _refuse_what_is_stored(fields: Fields) -> None:
    for name in _STORED:
        if fields.has(name):
            raise fields.refused(
                name, f"refers to what is stored; {NOT_STORED}", code=UNSUPPORTED
            )
    if fields.flag("background"):
        raise fields.refused(
            "background", "is not possible: nothing is stored here", code=UNSUPPORTED
        )


def _inner(fields: Fields, name: str) -> Fields:
    return fields.inner(name) if fields.has(name) else Fields({})


def _tools(fields: Fields) -> tuple[Tool, ...]:
    tools = []
    for inner in objects(fields, "tools"):
        inner.required("type")
        if inner.text("type") != "function":
            raise inner.refused(
                "type", "must be 'function': other tools are not here", code=UNSUPPORTED
            )
        tools.append(read_tool(inner))
    return tuple(tools)


def _format(text: Fields) -> ResponseFormat | None:
    if not text.has("format"):
        return None
    inner = text.inner("format")
    inner.required("type")
    kind = inner.word("type", ("text", "json_object", "json_schema"))
    if kind == "json_object":
        return ResponseFormat("json_object")
    return read_schema(inner) if kind == "json_schema" else None


def _metadata(fields: Fields) -> dict[str, str]:
    found = fields.mapping("metadata") or {}
    if len(found) > _MAX_METADATA:
        raise fields.refused("metadata", f"must have at most {_MAX_METADATA} members")
    for name, value in found.items():
        if not isinstance(value, str):
            param = f"metadata.{name[:100]}"
            raise InvalidField(param, f"Invalid type for '{param}': expected a string.")
    return found


def _extras(fields: Fields) -> dict[str, Any]:
    found = {name: fields.text(name) for name in _EXTRAS}
    return {name: value for name, value in found.items() if value is not None}


def _choice_document(choice: ToolChoice | NamedTool | None) -> Any:
    if isinstance(choice, NamedTool):
        return {"type": "function", "name": choice.name}
    return choice or "auto"


def _format_document(wanted: ResponseFormat | None) -> dict[str, Any]:
    if wanted is None:
        return {"type": "text"}
    if wanted.type == "json_object":
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": wanted.name,
        "schema": wanted.schema or {},
        "strict": wanted.strict,
        "description": wanted.description or None,
    }
