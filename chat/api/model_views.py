"""``/api/models``: which providers a caller can use, and what these offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.http import HttpResponse
from rest_framework.request import Request

from chat import providers
from chat.errors import UnknownModelKind
from jobs.api.run_requests import read_flag
from nodetool_site.lib.api import AsyncAPIView, json_response

if TYPE_CHECKING:
    from storage.identity import Identity
    from workflows.providers.messages import ModelInfo


class ProviderCollection(AsyncAPIView):
    """The providers of models."""

    async def get(self, request: Request) -> HttpResponse:
        """List those that can be called; with ``all`` the others too."""
        # Here, as in the other views: most servers never list models.
        from chat.api.model_documents import provider_document

        wants_all = read_flag(request.query_params, "all") or False
        found = await providers.standings(_owner(request))
        listed = [one for one in found if wants_all or one.lacking is None]
        return json_response([provider_document(one) for one in listed])


class ModelsOfProvider(AsyncAPIView):
    """The models of one kind that one provider offers."""

    async def get(self, request: Request, kind: str, provider: str) -> HttpResponse:
        """List them; none if it lacks its key or does not answer."""
        from chat.api.model_documents import KINDS, model_document

        wanted = KINDS.get(kind)
        if wanted is None:
            raise UnknownModelKind(kind, KINDS)
        found = await providers.list_models_of(_owner(request), provider)
        return json_response(
            [model_document(provider, one) for one in found if one.kind == wanted]
        )


class AllModels(AsyncAPIView):
    """The models of all providers."""

    async def get(self, request: Request) -> HttpResponse:
        """List them by provider, then id."""
        from chat.api.model_documents import unified_documents

        offered = await _offered(request)
        return json_response(unified_documents(offered))


class RecommendedModels(AsyncAPIView):
    """A choice of the models of all providers."""

    async def get(self, request: Request) -> HttpResponse:
        """List the newest few of each kind."""
        from chat.api.model_documents import recommended, unified_documents

        offered = await _offered(request)
        return json_response(unified_documents(recommended(offered)))


class RecommendedForTask(AsyncAPIView):
    """The part of that choice that is for a task."""

    async def get(self, request: Request, task: str) -> HttpResponse:
        """List it."""
        from chat.api.model_documents import TASKS, recommended, unified_documents

        wanted = TASKS.get(task)
        if wanted is None:
            raise UnknownModelKind(task, TASKS)
        offered = await _offered(request)
        return json_response(unified_documents(recommended(offered), kind=wanted))


async def _offered(request: Request) -> dict[str, list[ModelInfo]]:
    lists = await providers.list_models(_owner(request))
    return {provider: catalog.models for provider, catalog in lists.items()}


def _owner(request: Request) -> str:
    return cast("Identity", request.user).user_id
