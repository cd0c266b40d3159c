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
from chat.openai_api.base import OpenAIView
from chat.openai_api.resumable_views import start_stream
from jobs.api.base import base_url_of
from nodetool_site.lib import sse
from nodetool_site.lib.api import json_response
from workflows.providers.messages import ChatRequest

if TYPE_CHECKING:
    from chat.openai_api.completion_jobs import NewCompletion
    from chat.openai_api.generation import Generation, Head
    from chat.openai_api.requests import Completion
    from chat.openai_api.thread_storage import Exchange
    from chat.workflow_models import WorkflowModel
    from storage.identity import Identity


class ChatCompletions(OpenAIView):
    """An answer of a model, whole or as a stream."""

    async def post(self, request: Request) -> HttpResponseBase:
        """Ask the model. Who leaves ends the call, unless it is to be resumed."""
        # Here, because most servers never speak to a model.
        from chat.openai_api.completion_jobs import wants_resumable
        from chat.openai_api.generation import Head
        from chat.openai_api.requests import read_completion

        body = cast("dict[str, Any]", request.data)
        wanted = read_completion(body)
        identity = cast("Identity", request.user)
        header = request.META.get("HTTP_X_RESUMABLE", "")
        if wants_resumable(body, header, wanted):
            new = await _job_of(request, wanted, identity)
            return await start_stream(request, new)
        exchange = await _exchange_of(wanted, body["messages"], identity)
        generation = await generation_of(request, wanted, identity, exchange)
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
    request: Request,
    wanted: Completion,
    identity: Identity,
    exchange: Exchange | None = None,
) -> Generation:
    """Return what answers a request: calls of a model, or runs.

    A workflow runs, and so does a model that has tools of the server. All of it goes
    with whoever waits for it.
    """
    # As in ``ChatCompletions.post``.
    from chat.openai_api.completion_jobs import one_answer, served_tools
    from chat.openai_api.generation import Generation
    from chat.openai_api.job_readings import ProviderReading
    from chat.openai_api.job_runs import run_job
    from chat.openai_api.workflow_runs import run_workflow

    if providers.is_workflow(wanted.model, wanted.provider):
        workflow, params = await _workflow_of(wanted, identity)
        base_url, owner_id = base_url_of(request), identity.user_id
        answer = run_workflow(workflow, params, owner_id=owner_id, base_url=base_url)
        asked = ChatRequest(model=wanted.model, messages=())
        return Generation([answer], asked, exchange)
    found, call = await _call_of(request, wanted, identity)
    if served_tools(call):
        runs = [
            run_job(one_answer(found, call), ProviderReading(), identity.user_id)
            for _ in range(wanted.choices)
        ]
        asked = ChatRequest(model=wanted.model, messages=())
        return Generation(runs, asked, exchange)
    provider = found.access.connect()
    answers = [provider.stream(call) for _ in range(wanted.choices)]
    return Generation(answers, call, exchange)


async def _exchange_of(
    wanted: Completion, messages: list[dict[str, Any]], identity: Identity
) -> Exchange | None:
    """Return what the request's thread is to have, if it names one."""
    if wanted.thread_id is None:
        return None
    # As in ``ChatCompletions.post``.
    from chat.openai_api.thread_storage import Exchange

    exchange = Exchange(identity.user_id, wanted.thread_id, wanted, messages)
    await exchange.check()
    return exchange


async def _job_of(
    request: Request, wanted: Completion, identity: Identity
) -> NewCompletion:
    """Return an answer that is a job."""
    # As in ``ChatCompletions.post``.
    from chat.openai_api.completion_jobs import of_provider, of_workflow

    if providers.is_workflow(wanted.model, wanted.provider):
        return of_workflow(wanted, *await _workflow_of(wanted, identity))
    return of_provider(wanted, *await _call_of(request, wanted, identity))


async def _call_of(
    request: Request, wanted: Completion, identity: Identity
) -> tuple[providers.Found, ChatRequest]:
    """Return where a request goes, and what is asked there."""
    # As in ``ChatCompletions.post``.
    from chat.openai_api.messages import load_messages

    owner_id = identity.user_id
    found = await providers.find(owner_id, wanted.model, provider=wanted.provider)
    messages = await load_messages(wanted.messages, owner_id, request.get_host())
    call = msgspec.structs.replace(wanted.request, model=found.model, messages=messages)
    return found, call


async def _workflow_of(
    wanted: Completion, identity: Identity
) -> tuple[WorkflowModel, dict[str, Any]]:
    """Return the workflow that a request names, and the parameters of its run."""
    # As in ``ChatCompletions.post``.
    from chat.openai_api.workflow_runs import read_params
    from chat.workflow_models import find_workflow

    workflow = await find_workflow(identity.user_id, wanted.model)
    return workflow, read_params(workflow, wanted)


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
