"""``/v1/embeddings``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from chat import providers
from chat.openai_api.base import OpenAIView
from nodetool_site.lib.rendering import JSON_TYPE

if TYPE_CHECKING:
    from storage.identity import Identity


class EmbeddingCollection(OpenAIView):
    """Vectors of texts."""

    async def post(self, request: Request) -> HttpResponseBase:
        """Ask the model. Who leaves ends the call to the provider."""
        # Here, because most servers never speak to a model.
        from chat.openai_api import embeddings

        wanted = embeddings.read_embeddings(cast("dict[str, Any]", request.data))
        identity = cast("Identity", request.user)
        found = await providers.find(
            identity.user_id, wanted.model, provider=wanted.provider
        )
        call = msgspec.structs.replace(wanted.request, model=found.model)
        answer = await found.access.connect().embed(call)
        parts = embeddings.pieces(wanted, answer)
        if embeddings.is_small(answer.vectors):
            return HttpResponse(b"".join(parts), content_type=JSON_TYPE)
        return StreamingHttpResponse(embeddings.in_turns(parts), content_type=JSON_TYPE)
