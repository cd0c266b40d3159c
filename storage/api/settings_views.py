"""``/api/settings/``: process-wide settings, and the caller's provider keys.

Which modes have it is said by ``lib.surfaces``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from nodetool_site.lib.api import SyncAPIView, json_response
from nodetool_site.lib.errors import Forbidden, ValidationFailed, problem
from storage.identity import tells_users_apart
from storage.models.user import DEFAULT_USER_ID
from storage.stored_settings import SECRET_SETTINGS, all_settings, change_settings

if TYPE_CHECKING:
    from storage.identity import Identity


class SettingsView(SyncAPIView):
    """All settings at once."""

    def get(self, request: Request) -> HttpResponse:
        """List them; secrets are masked."""
        _check_allowed()
        return json_response({"settings": all_settings(_caller(request).user_id)})

    def put(self, request: Request) -> HttpResponse:
        """Change some; what is not named stays as it is."""
        _check_allowed()
        caller = _caller(request)
        values = _mapping(request.data, "settings")
        secrets = _mapping(request.data, "secrets")
        if (values or secrets.keys() & SECRET_SETTINGS) and not _is_operator(caller):
            raise Forbidden("Settings count for all users: only staff may change them")
        change_settings(caller.user_id, values, secrets)
        return json_response({"message": "Settings updated successfully"})


def _check_allowed() -> None:
    if settings.IS_PRODUCTION:
        raise Forbidden("Settings cannot be read or changed over HTTP in production")


def _is_operator(caller: Identity) -> bool:
    return (
        not tells_users_apart() or caller.is_staff or caller.user_id == DEFAULT_USER_ID
    )


def _mapping(body: Any, name: str) -> Mapping[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, Mapping):
        raise ValidationFailed([problem("dict_type", ("body", name), "Not an object")])
    return value


def _caller(request: Request) -> Identity:
    return cast("Identity", request.user)
