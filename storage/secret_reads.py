"""What may be shown of secrets: names, dates and whether there is a value."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings

from nodetool_site.lib.registered import SECRET_NAMES, SECRETS, RegisteredSecret
from nodetool_site.lib.rendering import format_time
from storage.models import Secret

Document = dict[str, Any]


class SecretPage(NamedTuple):
    """Secrets by name; ``next_key`` is the last name if there are more."""

    documents: list[Document]
    next_key: str | None


def secret_document(secret: Secret) -> Document:
    """Return a stored secret as the API shows it."""
    used = secret.last_used_at
    return {
        "id": str(secret.pk),
        "user_id": secret.owner_id,
        "key": secret.key,
        "description": secret.description,
        "created_at": format_time(secret.created_at),
        "updated_at": format_time(secret.updated_at),
        "last_used_at": format_time(used) if used else None,
        "is_configured": True,
    }


def find_document(owner_id: str, key: str) -> Document | None:
    """Return a secret that is stored or registered, None for any other name."""
    stored = _stored(owner_id).filter(key=key).first()
    if stored is not None:
        return secret_document(stored)
    for registered in SECRETS:
        if registered.name == key:
            return _registered_document(owner_id, registered)
    return None


def read_page(owner_id: str, *, limit: int, after: str) -> SecretPage:
    """Return the registered names and those stored besides, in order, from a name on.

    A user has at most a thousand: they are sorted here, where every database would
    sort in its own way.
    """
    documents = {
        registered.name: _registered_document(owner_id, registered)
        for registered in SECRETS
        if registered.name > after
    }
    for secret in _stored(owner_id):
        if secret.key > after:
            documents[secret.key] = secret_document(secret)
    names = sorted(documents)
    shown = names[:limit]
    has_more = len(names) > limit
    return SecretPage([documents[n] for n in shown], shown[-1] if has_more else None)


def list_stored(owner_id: str) -> list[Secret]:
    """Return the secrets that a user has stored, by name."""
    return sorted(_stored(owner_id), key=lambda secret: secret.key)


def is_registered(key: str) -> bool:
    """Tell whether it is the key of a known provider."""
    return key in SECRET_NAMES


def _stored(owner_id: str) -> Any:
    return Secret.objects.filter(owner_id=owner_id).defer("ciphertext")


def _registered_document(owner_id: str, registered: RegisteredSecret) -> Document:
    """A key that the user has not stored; the environment may have one."""
    return {
        "id": None,
        "user_id": owner_id,
        "key": registered.name,
        "description": registered.description,
        "created_at": None,
        "updated_at": None,
        "last_used_at": None,
        "is_configured": bool(settings.PROVIDER_KEYS.get(registered.name)),
    }
