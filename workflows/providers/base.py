"""What every provider of models can do, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Protocol

from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    EmbeddingRequest,
    Embeddings,
    ModelInfo,
    Moderation,
)

if TYPE_CHECKING:
    from workflows.providers.registry import ProviderSpec


class ProviderError(Exception):
    """A call of a provider failed.

    ``status`` and ``code`` are what our caller gets to see (not the vendor's own
    status: see ``error_for_status``). The message is for the user and never holds a
    key, an address with a key, or a header. ``is_transient``: the same call may work
    later; ``retry_after_s`` tells when, if the vendor said so. ``vendor_status``: the
    HTTP status of the vendor's answer, if it has answered.
    """

    vendor_status: int | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        code: str | None = "provider_error",
        param: str | None = None,
        retry_after_s: float | None = None,
        is_transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s
        self.is_transient = is_transient


class ProviderUnavailable(ProviderError):
    """Nothing answers at the provider's address.

    ``is_transient`` is False where a retry is vain: a local server that is not there.
    """

    def __init__(self, message: str, *, is_transient: bool = True) -> None:
        super().__init__(
            message,
            status=503,
            code="provider_unavailable",
            is_transient=is_transient,
        )


class ProviderTimeout(ProviderError):
    """The provider said nothing for too long."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=504, code="timeout", is_transient=True)


def error_for_status(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    retry_after_s: float | None = None,
) -> ProviderError:
    """Return the error for a vendor's HTTP status.

    ``message``, ``code`` and ``param`` are the vendor's words. A refused key is no
    fault of our caller's token, so it is not passed on as 401.
    """
    error = _classified(status, message, code, param, retry_after_s)
    error.vendor_status = status
    return error


def _classified(
    status: int,
    message: str,
    code: str | None,
    param: str | None,
    retry_after_s: float | None,
) -> ProviderError:
    if status in (401, 403):
        return ProviderError(message, code="provider_auth_error")
    if status == 404:
        found = code or "model_not_found"
        return ProviderError(message, status=404, code=found, param=param)
    if status == 429:
        return ProviderError(
            message,
            status=429,
            code=code or "rate_limit_exceeded",
            retry_after_s=retry_after_s,
            is_transient=True,
        )
    if 400 <= status < 500 and status != 408:
        return ProviderError(message, status=400, code=code, param=param)
    if status in (503, 529):  # the second is Anthropic's word for overloaded
        error = ProviderUnavailable(message)
        error.retry_after_s = retry_after_s
        return error
    if status in (408, 504):
        return ProviderTimeout(message)
    return ProviderError(message, is_transient=True)


class ChatProvider(Protocol):
    """A vendor's chat models. Stateless but for its address and key.

    Key and address are given at construction and come from secrets and settings,
    never from a request. One instance serves any number of calls at once.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str,
        timeout_s: float,
        spec: ProviderSpec,
    ) -> None:
        """Note where to call. ``timeout_s``: the longest silence between bytes.

        ``spec`` has the names that messages call the provider and its settings by.
        """
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Return the answer as it comes; nothing is sent before the first step.

        Closing the generator, or cancelling whoever waits for its next step, closes
        the call to the vendor.

        Raises:
            ProviderError: while iterating, before or after the first chunk.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """Return what the vendor offers this key, models of every kind.

        Raises:
            ProviderError: it does not answer, or cannot list.
        """
        ...


class EmbeddingProvider(Protocol):
    """A vendor's models that turn texts into vectors."""

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Return a vector for each input.

        Any number of inputs: they are sent in as many calls as the vendor needs, one
        after the other. What one of them fails with, the whole fails with.

        Raises:
            ProviderError: the vendor refuses, breaks, is silent, makes no sense or has
                no such models.
        """
        ...


class Moderator(Protocol):
    """A vendor that judges texts."""

    async def moderate(self, text: str, model: str) -> Moderation:
        """Return what a model for that thinks of a text.

        Raises:
            ProviderError: the vendor refuses, breaks, is silent or makes no sense.
        """
        ...


class Provider(ChatProvider, EmbeddingProvider, Protocol):
    """A vendor's models of every kind that this server can call."""
