"""How the API's schema speaks of API tokens, and what else speaks of storage.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema

from nodetool_site.lib.api_schema import (
    ANY,
    FLAG,
    MAPPING,
    NULL,
    TEXT,
    WHOLE,
    Json,
    array_of,
    describe_views,
    errors,
    object_of,
    optional,
    query,
)
from nodetool_site.lib.scopes import SCOPES
from storage.api import asset_schema as asset_schema  # registers itself

SCOPE: Json = {"type": "string", "enum": list(SCOPES)}
TIME: Json = {"type": "string", "format": "date-time"}
TOKEN_FIELDS: Json = {
    **dict.fromkeys(("id", "user_id", "name", "prefix"), TEXT),
    "scopes": array_of(SCOPE),
    "created_at": TIME,
    "last_used_at": optional(TIME),
    "expires_at": optional(TIME),
}
TOKEN = object_of(TOKEN_FIELDS)
TOKEN_REQUEST = object_of(
    {"name": TEXT},
    {
        "scopes": array_of(SCOPE),
        "expires_at": optional(TIME),
        "expires_in_days": optional({**WHOLE, "minimum": 1}),
    },
)
SECRET_FIELDS: Json = {
    **dict.fromkeys(("user_id", "key", "description"), TEXT),
    **dict.fromkeys(("created_at", "updated_at", "last_used_at"), optional(TIME)),
    "id": optional(TEXT),
    "is_configured": FLAG,
}
SECRET = object_of(SECRET_FIELDS)
SETTING = object_of(
    {
        **dict.fromkeys(("package_name", "env_var", "group", "description"), TEXT),
        "enum": optional(array_of(TEXT)),
        "value": ANY,
        "is_secret": FLAG,
    }
)
MESSAGE = object_of({"message": TEXT})

describe_views(
    "storage.api",
    {
        "settings_views.SettingsView": {
            "get": extend_schema(
                responses={
                    200: object_of({"settings": array_of(SETTING)}),
                    **errors(403),
                }
            ),
            "put": extend_schema(
                request={
                    "application/json": object_of(
                        {}, {"settings": MAPPING, "secrets": MAPPING}
                    )
                },
                responses={200: MESSAGE, **errors(403, 413, 422)},
            ),
        },
        "secret_views.SecretCollection": {
            "get": extend_schema(
                parameters=[
                    query("limit", WHOLE, "Rows of a page, 1 to 500."),
                    query("start_key", TEXT, "`next_key` of the page before."),
                ],
                responses={
                    200: object_of(
                        {"secrets": array_of(SECRET), "next_key": optional(TEXT)}
                    ),
                    **errors(422),
                },
            )
        },
        "secret_views.SecretDetail": {
            "get": extend_schema(
                parameters=[
                    query("decrypt", FLAG, "Also the value; in desktop mode only.")
                ],
                responses={
                    200: object_of(SECRET_FIELDS, {"value": optional(TEXT)}),
                    **errors(403, 404, 422),
                },
            ),
            "put": extend_schema(
                request={
                    "application/json": object_of(
                        {"value": TEXT}, {"description": optional(TEXT)}
                    )
                },
                responses={
                    200: object_of(SECRET_FIELDS, {"warning": TEXT}),
                    **errors(404, 409, 413, 422),
                },
            ),
            "delete": extend_schema(responses={200: MESSAGE, **errors(404)}),
        },
        "token_views.TokenCollection": {
            "get": extend_schema(
                parameters=[
                    query("limit", WHOLE, "Rows of a page, 1 to 500."),
                    query("cursor", TEXT, "`next` of the page before."),
                ],
                responses={
                    200: object_of({"next": optional(TEXT), "tokens": array_of(TOKEN)}),
                    **errors(403, 422),
                },
            ),
            "post": extend_schema(
                request={"application/json": TOKEN_REQUEST},
                responses={
                    200: object_of({**TOKEN_FIELDS, "token": TEXT}),
                    **errors(403, 409, 413, 422),
                },
            ),
        },
        "token_views.TokenDetail": {
            "get": extend_schema(responses={200: TOKEN, **errors(403, 404)}),
            "delete": extend_schema(responses={200: NULL, **errors(403, 404)}),
        },
    },
)
