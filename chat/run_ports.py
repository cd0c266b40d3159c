"""What a run reaches of the providers of models."""

from __future__ import annotations

from collections.abc import Callable

from chat import providers
from chat.errors import ModelNotFound, ProviderNotConfigured, UnknownProvider
from workflows.engine.context import ReachedModel
from workflows.providers.base import ProviderError


class RunModels:
    """The models of a run's owner. ``on_key`` is told each key before it is used."""

    def __init__(self, owner_id: str, on_key: Callable[[str], None]) -> None:
        self._owner_id = owner_id
        self._on_key = on_key

    async def find(self, model: str, provider: str | None = None) -> ReachedModel:
        """Return where an id leads.

        Raises:
            ProviderError: nowhere, or to a provider without its key or address.
        """
        try:
            found = await providers.find(self._owner_id, model, provider=provider)
        except ModelNotFound as error:
            raise ProviderError(
                error.message, status=404, code="model_not_found"
            ) from error
        except ProviderNotConfigured as error:
            raise ProviderError(
                error.message, status=400, code="provider_not_configured"
            ) from error
        except UnknownProvider as error:
            raise ProviderError(
                error.message, status=400, code="unsupported_value"
            ) from error
        access = found.access
        if access.api_key:
            self._on_key(access.api_key)
        return ReachedModel(access.connect(), access.spec.id, found.model)
