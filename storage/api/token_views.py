"""``/api/tokens/``: the caller's API tokens. A text is shown when it is made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django.http import HttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from nodetool_site.lib.api import SyncAPIView, json_response
from nodetool_site.lib.errors import NotFound
from nodetool_site.lib.pagination import decode_cursor, encode_cursor, page_limit
from nodetool_site.lib.scopes import SCOPES
from storage.api.token_documents import token_document
from storage.api_tokens import MAX_DAYS, MAX_NAME, grant_token, revoke_token
from storage.models import ApiToken

if TYPE_CHECKING:
    from storage.identity import Identity

NO_TOKEN = "Token not found"  # noqa: S105 - a sentence
MAX_ID = 2**63 - 1


class TokenRequestSerializer(serializers.Serializer[Any]):
    """A token as a client asks for it; it ends never, at a time, or in some days."""

    name = serializers.CharField(max_length=MAX_NAME)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=SCOPES), default=list, max_length=20
    )
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    expires_in_days = serializers.IntegerField(
        min_value=1, max_value=MAX_DAYS, allow_null=True, default=None
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Bring the two ways to name the end into one."""
        days, moment = attrs.pop("expires_in_days"), attrs["expires_at"]
        if days is not None and moment is not None:
            raise serializers.ValidationError(
                {"expires_in_days": "Give this or expires_at, not both."}
            )
        if moment is not None and moment <= timezone.now():
            raise serializers.ValidationError({"expires_at": "This time has passed."})
        if days is not None:
            attrs["expires_at"] = timezone.now() + timedelta(days=days)
        return attrs


class TokenCollection(SyncAPIView):
    """The caller's tokens."""

    def get(self, request: Request) -> HttpResponse:
        """List them, the newest first."""
        limit = page_limit(request.query_params)
        after = decode_cursor(request.query_params.get("cursor"), tuple[int])
        tokens = ApiToken.objects.visible_to(_caller(request)).order_by("-pk")
        if after is not None:
            tokens = tokens.filter(pk__lt=min(after[0], MAX_ID))
        page = list(tokens[: limit + 1])
        following = encode_cursor(page[limit - 1].pk) if len(page) > limit else None
        shown = [token_document(token) for token in page[:limit]]
        return json_response({"next": following, "tokens": shown})

    def post(self, request: Request) -> HttpResponse:
        """Make one; the answer alone has its text."""
        asked = TokenRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        name: str = asked.validated_data["name"]
        end: datetime | None = asked.validated_data["expires_at"]
        token, text = grant_token(
            _caller(request),
            name=name,
            scopes=asked.validated_data["scopes"],
            expires_at=end,
        )
        return json_response(
            {**token_document(token), "token": text},
            headers={"Cache-Control": "no-store"},
        )


class TokenDetail(SyncAPIView):
    """One of the caller's tokens."""

    def get(self, request: Request, token_id: str) -> HttpResponse:
        """Return it without its text."""
        owned = ApiToken.objects.visible_to(_caller(request))
        token = owned.filter(pk=_number(token_id)).first()
        if token is None:
            raise NotFound(NO_TOKEN)
        return json_response(token_document(token))

    def delete(self, request: Request, token_id: str) -> HttpResponse:
        """Revoke it."""
        if not revoke_token(_caller(request).pk, _number(token_id)):
            raise NotFound(NO_TOKEN)
        return json_response(None)


def _caller(request: Request) -> Identity:
    return cast("Identity", request.user)


def _number(token_id: str) -> int:
    """Return the id of a path.

    Raises:
        NotFound: no token can have it.
    """
    is_number = token_id.isascii() and token_id.isdigit() and len(token_id) < 19
    if not is_number:
        raise NotFound(NO_TOKEN)
    return int(token_id)
