"""``/v1``: what OpenAI's clients speak to."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, cast

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat import providers
from chat.openai_api.errors import error_response
from nodetool_site.lib import sse
from nodetool_site.lib.api import AsyncAPIView, json_response

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
        from chat.openai_api.generation import Generation, Head
        from chat.openai_api.messages import load_messages
        from chat.openai_api.requests import read_completion

        wanted = read_completion(cast("dict[str, Any]", request.data))
        identity = cast("Identity", request.user)
        found = await providers.find(
            identity.user_id, wanted.model, provider=wanted.provider
        )
        messages = await load_messages(
            wanted.messages, identity.user_id, request.get_host()
        )
        call = msgspec.structs.replace(
            wanted.request, model=found.model, messages=messages
        )
        provider = found.access.connect()
        answers = [provider.stream(call) for _ in range(wanted.choices)]
        generation = Generation(answers, call)
        head = Head(f"chatcmpl-{secrets.token_hex(16)}", int(time.time()), wanted.model)
        if wanted.is_stream:
            return await _stream(generation, head, wanted, identity)
        return await _whole(generation, head, wanted)


class ModelCollection(OpenAIView):
    """The models that the caller's providers offer."""

    async def get(self, request: Request) -> HttpResponse:
        """List them. A provider that does not answer in time is left out."""
        # As in ``ChatCompletions.post``.
        from chat.openai_api import models
        from chat.openai_api.schemas import ModelList

        lists = await providers.list_models(cast("Identity", request.user).user_id)
        return json_response(ModelList(data=models.listed(lists)))


class ModelDetail(OpenAIView):
    """One model; its id may have slashes and colons."""

    async def get(self, request: Request, model_id: str) -> HttpResponse:
        """Return it as the list has it."""
        # As in ``ChatCompletions.post``.
        from chat.openai_api import models

        lists = await providers.list_models(cast("Identity", request.user).user_id)
        return json_response(models.one(lists, model_id))


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
