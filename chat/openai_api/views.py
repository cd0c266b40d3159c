"""``/v1``: what OpenAI's clients speak to."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat import providers
from chat.openai_api.errors import error_response
from jobs.api.base import base_url_of
from nodetool_site.lib import sse
from nodetool_site.lib.api import AsyncAPIView, json_response
from workflows.providers.messages import ChatRequest

if TYPE_CHECKING:
    from chat.openai_api.generation import Generation, Head
    from chat.openai_api.requests import Completion
    from storage.identity import Identity


class OpenAIView(AsyncAPIView):
    """A view whose errors have OpenAI's form."""

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """Return the answer for any exception."""
        response = error_response(exc, data=getattr(self.request, "_full_data", None))
        if response.status_code == 405:
            response["Allow"] = ", ".join(self.allowed_methods)
        return response


class ChatCompletions(OpenAIView):
    """An answer of a model, whole or as a stream."""

    async def post(self, request: Request) -> HttpResponseBase:
        """Ask the model. Who leaves ends the call to the provider."""
        # Here, because most servers never speak to a model.
        from chat.openai_api.generation import Head
        from chat.openai_api.requests import read_completion

        wanted = read_completion(cast("dict[str, Any]", request.data))
        identity = cast("Identity", request.user)
        generation = await generation_of(request, wanted, identity)
        head = Head(f"chatcmpl-{secrets.token_hex(16)}", int(time.time()), wanted.model)
        if wanted.is_stream:
            return await _stream(generation, head, wanted, identity)
        return await _whole(generation, head, wanted)


class ModelCollection(OpenAIView):
    """The models that the caller's providers offer, and workflows to chat with."""

    async def get(self, request: Request) -> HttpResponse:
        """List them. A provider that does not answer in time is left out."""
        # As in ``ChatCompletions.post``.
        from chat.openai_api import models
        from chat.openai_api.schemas import ModelList
        from chat.workflow_models import list_workflows

        owner_id = cast("Identity", request.user).user_id
        lists, workflows = await asyncio.gather(
            providers.list_models(owner_id), list_workflows(owner_id)
        )
        return json_response(ModelList(data=models.listed(lists, workflows)))


class ModelDetail(OpenAIView):
    """One model; its id may have slashes and colons."""

    async def get(self, request: Request, model_id: str) -> HttpResponse:
        """Return it as the list has it."""
        # As in ``ChatCompletions.post``.
        from chat.openai_api import models
        from chat.workflow_models import find_callable

        owner_id = cast("Identity", request.user).user_id
        if providers.is_workflow(model_id):
            workflow = await find_callable(owner_id, model_id)
            return json_response(models.of_workflow(workflow))
        lists = await providers.list_models(owner_id)
        return json_response(models.one(lists, model_id))


async def generation_of(
    request: Request, wanted: Completion, identity: Identity
) -> Generation:
    """Return what answers a request: calls of a model, or the run of a workflow."""
    if providers.is_workflow(wanted.model, wanted.provider):
        return await _run_of(request, wanted, identity)
    return await _calls_of(request, wanted, identity)


async def _calls_of(
    request: Request, wanted: Completion, identity: Identity
) -> Generation:
    """Return the calls of the model that a request names."""
    # As in ``ChatCompletions.post``.
    from chat.openai_api.generation import Generation
    from chat.openai_api.messages import load_messages

    found = await providers.find(
        identity.user_id, wanted.model, provider=wanted.provider
    )
    messages = await load_messages(
        wanted.messages, identity.user_id, request.get_host()
    )
    call = msgspec.structs.replace(wanted.request, model=found.model, messages=messages)
    provider = found.access.connect()
    answers = [provider.stream(call) for _ in range(wanted.choices)]
    return Generation(answers, call)


async def _run_of(
    request: Request, wanted: Completion, identity: Identity
) -> Generation:
    """Return the run of the workflow that a request names, as a model's call."""
    # As in ``ChatCompletions.post``.
    from chat.openai_api.generation import Generation
    from chat.openai_api.workflow_runs import read_params, run_workflow
    from chat.workflow_models import find_workflow

    workflow = await find_workflow(identity.user_id, wanted.model)
    answer = run_workflow(
        workflow,
        read_params(workflow, wanted),
        owner_id=identity.user_id,
        base_url=base_url_of(request),
    )
    return Generation([answer], ChatRequest(model=wanted.model, messages=()))


async def _stream(
    generation: Generation, head: Head, wanted: Completion, identity: Identity
) -> HttpResponseBase:
    # As in ``ChatCompletions.post``.
    from chat.openai_api.streaming import CompletionStream

    stream = CompletionStream(
        generation,
        head,
        identity=identity,
        wants_usage=wanted.wants_usage,
        is_legacy=wanted.is_legacy,
    )
    try:
        await stream.begin()
    except BaseException:
        stream.close()
        raise
    return StreamingHttpResponse(
        stream, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS
    )


async def _whole(
    generation: Generation, head: Head, wanted: Completion
) -> HttpResponse:
    # As in ``ChatCompletions.post``.
    from chat.openai_api.answers import whole_answer

    try:
        return json_response(
            await whole_answer(generation, head, is_legacy=wanted.is_legacy)
        )
    finally:
        generation.close()
