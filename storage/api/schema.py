"""How the API's schema speaks of stored files.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from drf_spectacular.utils import extend_schema

from nodetool_site.lib.api_schema import (
    BINARY,
    TEXT,
    describe_views,
    errors,
    header,
    query,
)

FILE = "application/octet-stream"

describe_views(
    "storage.api",
    {
        "downloads.StorageView": {
            "get": extend_schema(
                parameters=[
                    header("Range", "One range of bytes."),
                    header("If-None-Match", "The `ETag` that the caller has."),
                    query("sig", TEXT, "Signature of a link."),
                    query("exp", TEXT, "When the link ends, in seconds since 1970."),
                ],
                responses={
                    (200, FILE): BINARY,
                    (206, FILE): BINARY,
                    304: None,
                    **errors(404, 416),
                },
            )
        }
    },
)
