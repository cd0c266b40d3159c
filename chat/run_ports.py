"""What a run reaches of models and of conversations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from chat import providers
from chat.attachments import ASSET_SCHEME, load_image
from chat.documents import NewMessage, read_message
from chat.errors import ModelNotFound, ProviderNotConfigured, UnknownProvider
from chat.reads import read_history
from chat.services import add_messages, get_or_create_thread, lock_thread
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from storage.ids import new_id
from storage.media_types import IMAGE_NAMES, image_type
from workflows.engine.context import ReachedModel
from workflows.engine.errors import UnusableMedia
from workflows.providers.base import ProviderError
from workflows.providers.messages import ImagePart


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
        return ReachedModel(
            access.connect(),
            access.spec.id,
            found.model,
            context_tokens=providers.context_tokens(found),
        )

    async def image(self, value: Mapping[str, Any]) -> ImagePart:
        """Return a picture, which is the owner's or on the web.

        Raises:
            UnusableMedia: it is not there, or none that models take.
        """
        try:
            return await self._image(value)
        except BadRequest as error:
            raise UnusableMedia(error.message) from error

    async def _image(self, value: Mapping[str, Any]) -> ImagePart:
        data, url = value.get("data"), value.get("uri") or value.get("url")
        if isinstance(data, bytes):
            media_type = image_type(data)
            if media_type is None:
                raise UnusableMedia(f"No picture that models take: {IMAGE_NAMES}.")
            return ImagePart(data, media_type)
        if not (isinstance(url, str) and url):
            url = f"{ASSET_SCHEME}{value.get('asset_id')}"
        return await load_image(self._owner_id, url)


class RunThreads:
    """The conversations of a run's owner."""

    def __init__(self, owner_id: str) -> None:
        self._owner_id = owner_id

    async def history(
        self, thread_id: str, *, until: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest 100 messages, the oldest first, up to ``until``."""
        documents = await db(read_history, self._owner_id, thread_id, until)
        return [msgspec.json.decode(document) for document in documents]

    async def ensure(self, thread_id: str = "", *, title: str | None = None) -> str:
        """Return the id of a thread of the owner's; one that nobody has is made.

        Raises:
            InvalidThreadId: no thread may have the id.
            ThreadNotFound: it is somebody else's.
        """
        wanted = thread_id or new_id()
        thread, _ = await db(get_or_create_thread, self._owner_id, wanted, title)
        return str(thread.pk)

    async def add(self, thread_id: str, messages: Sequence[dict[str, Any]]) -> None:
        """Store messages at the end of a thread, each ``id`` once.

        Raises:
            ThreadNotFound: the owner has no such thread.
        """
        await db(_add_messages, self._owner_id, thread_id, messages)


def _add_messages(
    owner_id: str, thread_id: str, messages: Sequence[dict[str, Any]]
) -> None:
    now = timezone.now()
    added = [NewMessage(each["id"], read_message(each), now) for each in messages]
    with transaction.atomic():
        add_messages(lock_thread(thread_id, owner_id=owner_id), added)
