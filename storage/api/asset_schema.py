"""How the API's schema speaks of stored files and assets.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema

from nodetool_site.lib.api_schema import (
    BINARY,
    FLAG,
    MAPPING,
    NUMBER,
    TEXT,
    WHOLE,
    Json,
    array_of,
    describe_views,
    errors,
    header,
    object_of,
    optional,
    query,
)

FILE = "application/octet-stream"
FORM = "multipart/form-data"
JPEG = "image/jpeg"
ZIP = "application/zip"

_ORIGIN: Json = dict.fromkeys(
    ("workflow_id", "node_id", "job_id", "get_url", "thumb_url"), optional(TEXT)
)
_FACTS: Json = {"metadata": optional(MAPPING), "duration": optional(NUMBER)}
_NAMES = ("id", "user_id", "parent_id", "name", "content_type", "created_at", "uri")
ASSET = object_of(
    {**dict.fromkeys((*_NAMES, "etag"), TEXT), "size": WHOLE, **_ORIGIN, **_FACTS}
)
FOUND = object_of(
    {
        **ASSET["properties"],
        **dict.fromkeys(("folder_name", "folder_path", "folder_id"), TEXT),
    }
)
SAID: Json = {
    **dict.fromkeys(("parent_id", "workflow_id", "node_id", "job_id"), optional(TEXT)),
    **_FACTS,
}
NEW = object_of({"name": TEXT, "content_type": TEXT}, SAID)
UPLOAD = object_of(
    {"file": BINARY}, {"json": {**TEXT, "description": "A new asset, as JSON."}}
)
CHANGES = object_of(
    {},
    {
        "name": optional(TEXT),
        "parent_id": optional(TEXT),
        "content_type": optional(TEXT),
        "data": optional(TEXT),
        "data_encoding": {"enum": ["base64", "utf-8", None]},
        **_FACTS,
    },
)
RANGE = [
    header("Range", "One range of bytes."),
    header("If-None-Match", "The `ETag` that the caller has."),
]
PAGE = [
    query("page_size", WHOLE, "Rows of a page, 1 to 10000."),
    query("cursor", TEXT, "`next` of the page before."),
    query("content_type", TEXT, "How the content type begins."),
]
SIDES = [
    query("width", WHOLE, "64 to 1024 pixels."),
    query("height", WHOLE, "64 to 1024 pixels."),
]


def _file(*parameters: Any) -> Any:
    answers = {(200, FILE): BINARY, (206, FILE): BINARY, 304: None}
    return extend_schema(
        parameters=[*RANGE, *parameters],
        responses={**answers, **errors(404, 416, 503)},
    )


def _answer(answer: Json, *codes: int, parameters: Any = (), body: Any = None) -> Any:
    return extend_schema(
        request=body,
        parameters=list(parameters),
        responses={200: answer, **errors(*codes)},
    )


_PICTURE = extend_schema(
    request=None,
    parameters=SIDES,
    responses={(200, JPEG): BINARY, 304: None, **errors(404, 422)},
)
_STORING = (404, 413, 415, 422, 507)

describe_views(
    "storage.api",
    {
        "downloads.StorageView": {
            "get": _file(
                query("sig", TEXT, "Signature of a link."),
                query("exp", TEXT, "When the link ends, in seconds since 1970."),
            )
        },
        "raw_views.RawStorageView": {
            "get": _file(),
            "put": extend_schema(
                request={FILE: BINARY},
                responses={200: None, **errors(404, 409, 413, 507)},
            ),
            "delete": extend_schema(responses={200: None, **errors(404)}),
        },
        "asset_views.AssetCollection": {
            "get": _answer(
                object_of({"next": optional(TEXT), "assets": array_of(ASSET)}),
                422,
                parameters=[
                    *PAGE,
                    query("parent_id", TEXT, "A folder; the root is the user's id."),
                    query("workflow_id", TEXT, "The workflow they come from."),
                    query("node_id", TEXT, "The node they come from."),
                    query("job_id", TEXT, "The job they come from."),
                ],
            ),
            "post": _answer(
                ASSET, *_STORING, body={FORM: UPLOAD, "application/json": NEW}
            ),
        },
        "asset_views.AssetDetail": {
            "get": _answer(ASSET, 404),
            "put": _answer(ASSET, *_STORING, body={"application/json": CHANGES}),
            "delete": _answer(object_of({"deleted_asset_ids": array_of(TEXT)}), 404),
        },
        "asset_views.AssetSearch": {
            "get": _answer(
                object_of(
                    {
                        "assets": array_of(FOUND),
                        "next_cursor": optional(TEXT),
                        "total_count": WHOLE,
                        "is_global_search": FLAG,
                    }
                ),
                422,
                parameters=[*PAGE, query("query", TEXT, "Part of a name.")],
            )
        },
        "asset_views.AssetByName": {"get": _answer(ASSET, 404)},
        "asset_views.AssetTree": {
            "get": _answer(object_of({"assets": array_of(ASSET)}), 404)
        },
        "asset_views.AssetDownload": {"get": _file()},
        "asset_views.AssetThumbnail": {"get": _PICTURE, "post": _PICTURE},
        "asset_views.AssetArchive": {
            "post": extend_schema(
                request={"application/json": object_of({"asset_ids": array_of(TEXT)})},
                responses={(200, ZIP): BINARY, **errors(404, 422)},
            )
        },
    },
)
