"""``/api/settings/secrets``: the caller's secrets. Values go in and do not come out.

The one exception is a desktop server, which shows its user a value on demand, and to no
page from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from nodetool_site.lib.api import SyncAPIView, json_response
from nodetool_site.lib.errors import Forbidden, ValidationFailed, problem
from nodetool_site.lib.origins import is_same_site
from nodetool_site.lib.pagination import decode_cursor, encode_cursor, page_limit
from nodetool_site.lib.redaction import unmaskable
from nodetool_site.lib.surfaces import is_on
from storage.errors import SecretNotFound
from storage.secret_reads import (
    find_document,
    is_registered,
    read_page,
    secret_document,
)
from storage.vault import delete_secret, is_secret_name, reveal_secret, set_secret

if TYPE_CHECKING:
    from storage.identity import Identity

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"", "0", "false", "no", "off"})


class SecretCollection(SyncAPIView):
    """The keys of all known providers, and what the caller has stored besides."""

    def get(self, request: Request) -> HttpResponse:
        """List them by name, without values."""
        limit = page_limit(request.query_params)
        after = decode_cursor(request.query_params.get("start_key"), tuple[str])
        page = read_page(_owner(request), limit=limit, after=after[0] if after else "")
        following = encode_cursor(page.next_key) if page.next_key else None
        return json_response({"secrets": page.documents, "next_key": following})


class SecretDetail(SyncAPIView):
    """One secret of the caller."""

    def get(self, request: Request, key: str) -> HttpResponse:
        """Return what is known of it; with ``decrypt`` its value, where that is let."""
        with_value = _wants_value(request)
        if with_value:
            _check_reveal(request)
        document = find_document(_owner(request), key) if is_secret_name(key) else None
        if document is None:
            raise SecretNotFound
        if with_value:
            document["value"] = reveal_secret(_owner(request), key, is_use=False)
        return json_response(document, headers={"Cache-Control": "no-store"})

    def put(self, request: Request, key: str) -> HttpResponse:
        """Store a value, new or over an older one."""
        if not is_registered(key):
            raise SecretNotFound(f"'{key}' is not the key of a known provider")
        value = _text(request.data, "value")
        if not value or not value.strip("*"):
            raise _refused("value", "A value that is not empty, and no mask, is needed")
        description = _text(request.data, "description")
        stored = set_secret(_owner(request), key, value, description=description)
        weakness = unmaskable(value)
        warning = {"warning": weakness} if weakness else {}
        return json_response({**secret_document(stored), **warning})

    def delete(self, request: Request, key: str) -> HttpResponse:
        """Delete what the caller has stored."""
        if not is_secret_name(key):
            raise SecretNotFound
        delete_secret(_owner(request), key)
        return json_response({"message": "Secret deleted successfully"})


def _wants_value(request: Request) -> bool:
    word = request.query_params.get("decrypt", "").lower()
    if word not in YES | NO:
        entry = problem("bool_parsing", ("query", "decrypt"), "Not true or false", word)
        raise ValidationFailed([entry])
    return word in YES


def _check_reveal(request: Request) -> None:
    """Refuse where values do not come out, and pages from elsewhere.

    Raises:
        Forbidden: always but on a desktop server, asked from this site or no page.
    """
    if settings.IS_PRODUCTION or not is_on("reveal_secrets"):
        raise Forbidden("The value of a secret is shown in desktop mode only")
    origin, site = (request.headers.get(h) for h in ("Origin", "Sec-Fetch-Site"))
    if not is_same_site(origin, site, request._request.get_host()):
        raise Forbidden("The value of a secret is not shown to pages of other sites")


def _text(body: Any, name: str) -> str | None:
    """Return a text of the body. What was given is not echoed: it may be the value."""
    value: str | None = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _refused(name, "Not a text")
    return value


def _refused(name: str, text: str) -> ValidationFailed:
    return ValidationFailed([problem("string_type", ("body", name), text)])


def _owner(request: Request) -> str:
    return cast("Identity", request.user).user_id
