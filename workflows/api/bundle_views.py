"""Bundles over HTTP: a workflow and its files as one ZIP file, out and in."""

import asyncio
import re
from typing import BinaryIO, cast

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from nodetool_site.lib.api import AsyncAPIView
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.threads import in_threads, to_its_end
from storage.stores import telling_full_disk
from workflows import bundle_imports, bundles
from workflows.api import answers
from workflows.api.callers import caller_of, check_known
from workflows.api.serializers import read_request
from workflows.models import Workflow

ZIP_TYPE = "application/zip"
MAX_FILE_NAME = 100
IMPORTS_AT_ONCE = 2
"""In one process; the others wait. Each may take a processor and 1 GiB of disk."""

_UNSAFE = re.compile(r"[^\w .-]+")
_importing = asyncio.Semaphore(IMPORTS_AT_ONCE)


class BundleExport(AsyncAPIView):
    """A workflow that the caller may read, with those of its files that are theirs."""

    async def get(self, request: Request, workflow_id: str) -> StreamingHttpResponse:
        """Send it while it is made."""
        check_known(workflow_id)
        export = await db(bundles.plan_export, workflow_id, user_id=caller_of(request))
        name = f"{_file_name(export.name)}.zip"
        return StreamingHttpResponse(
            in_threads(bundles.bundle_pieces(export)),
            content_type=ZIP_TYPE,
            headers={
                "Content-Disposition": content_disposition_header(
                    as_attachment=True, filename=name
                ),
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, no-store",
            },
        )


class BundleImport(AsyncAPIView):
    """Where a bundle is sent to."""

    parser_classes = (MultiPartParser,)

    async def post(self, request: Request) -> HttpResponse:
        """Store its workflow and its files under new ids, or nothing."""
        file = await asyncio.to_thread(_uploaded, request)
        workflow = await to_its_end(_import(file, caller_of(request)))
        return answers.one(workflow.document, workflow.pk)


async def _import(file: BinaryIO, owner_id: str) -> Workflow:
    """Import: files in threads of asyncio's own, rows in the database's."""
    async with _importing:
        checked = await asyncio.to_thread(
            bundle_imports.check_bundle, file, read=read_request
        )
        await db(bundle_imports.check_room_for, checked, owner_id=owner_id)
        unpacked = await asyncio.to_thread(
            bundle_imports.unpack_bundle, checked, read=read_request
        )
        return await db(bundle_imports.store_bundle, unpacked, owner_id=owner_id)


def _uploaded(request: Request) -> BinaryIO:
    """Return the file of the form. Parsing the form reads the whole body."""
    with telling_full_disk():
        upload = request.FILES.get("file")
    if upload is None:
        raise BadRequest("Send the bundle as the file 'file' of a form")
    return cast("BinaryIO", upload.file)


def _file_name(workflow_name: str) -> str:
    """Return a name that every system takes for a file."""
    return _UNSAFE.sub("_", workflow_name).strip(" .")[:MAX_FILE_NAME] or "workflow"
