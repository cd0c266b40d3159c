"""A partner behind any server that speaks as OpenAI's does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

from workflows.providers.base import ProviderError
from workflows.providers.http_client import close_shared
from workflows.providers.messages import ChatRequest, Message, Role, TextPart
from workflows.providers.openai import Dialect, OpenAIProvider
from workflows.providers.registry import ProviderSpec

KEY_REFUSED = "provider_auth_error"


class _Server(OpenAIProvider):
    """The wire of this project's own servers: theirs has a field for the provider."""

    @property
    def dialect(self) -> Dialect:
        return Dialect(adds_version=True, extras=("provider",))


class ServerPartner:
    """A model of a server; what was said is kept in this process alone."""

    def __init__(
        self, server_url: str, *, token: str, model: str, provider: str | None
    ) -> None:
        title = urlsplit(server_url).netloc.rpartition("@")[2]
        self._server = _Server(
            api_key=token,
            base_url=server_url,
            timeout_s=settings.PROVIDER_TIMEOUT,
            spec=ProviderSpec("server", title, "", None, "", "--server-url"),
        )
        self._model = model
        self._extras = {"provider": provider}
        self._said: list[Message] = []

    async def answer(self, text: str) -> AsyncGenerator[str, None]:
        """Return the answer in pieces; see ``Partner``."""
        asked = _message("user", text)
        request = ChatRequest(
            model=self._model, messages=(*self._said, asked), extras=self._extras
        )
        answered: list[str] = []
        try:
            async with aclosing(self._server.stream(request)) as chunks:
                async for chunk in chunks:
                    if chunk.text:
                        answered.append(chunk.text)
                        yield chunk.text
        except ProviderError as error:
            raise CommandError(self._reason(error)) from error
        finally:
            if answered:
                self._said += [asked, _message("assistant", "".join(answered))]

    async def close(self) -> None:
        """Close the connections to the server."""
        await close_shared()

    def _reason(self, error: ProviderError) -> str:
        """Return why a call failed; a key is a token here, and an option."""
        if error.code == KEY_REFUSED:
            refused = "the token" if self._server.to.key else "a call without a token"
            return f"{self._server.to.title} refuses {refused}; --auth-token gives one"
        return error.message


def _message(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))
