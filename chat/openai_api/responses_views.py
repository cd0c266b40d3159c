"""``/v1/responses``."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat.openai_api.base import OpenAIView
from chat.openai_api.views import generation_of
from nodetool_site.lib import sse
from nodetool_site.lib.api import json_response

if TYPE_CHECKING:
    from chat.openai_api.generation import Generation
    from chat.openai_api.responses_schemas import ResponseDocument
    from storage.identity import Identity


class Responses(OpenAIView):
    """An answer of a model as items, whole or as a stream. None is stored."""

    async def post(self, request: Request) -> HttpResponseBase:
        """Ask the model. Who leaves ends the call to the provider."""
        # Here, because most servers never speak to a model.
        from chat.openai_api.responses_requests import read_response

        wanted = read_response(cast("dict[str, Any]", request.data))
        identity = cast("Identity", request.user)
        generation = await generation_of(request, wanted.completion, identity)
        document = wanted.document(f"resp_{secrets.token_hex(24)}", int(time.time()))
        if wanted.completion.is_stream:
            return await _stream(generation, document, identity)
        return await _whole(generation, document)


async def _stream(
    generation: Generation, document: ResponseDocument, identity: Identity
) -> HttpResponseBase:
    # As in ``Responses.post``.
    from chat.openai_api.responses_stream import ResponseStream

    stream = ResponseStream(generation, document, identity=identity)
    try:
        await stream.begin()
    except BaseException:
        stream.close()
        raise
    return StreamingHttpResponse(
        stream, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS
    )


async def _whole(generation: Generation, document: ResponseDocument) -> HttpResponse:
    # As in ``Responses.post``.
    from chat.openai_api.responses_stream import whole_response

    try:
        return json_response(await whole_response(generation, document))
    finally:
        generation.close()
