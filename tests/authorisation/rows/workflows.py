"""Stored workflows: private ones are their owner's, public ones everybody's to read.

A row: method, route as in the URL table, ``of`` an object of the owner (objects.py),
then what differs from: owner 200, others 404, without a credential 401.
"""

from tests.authorisation.model import Row
from tests.authorisation.objects import (
    public_workflow,
    tool,
    version,
    version_by_id,
    version_of_public,
    workflow,
    workflow_with_app,
)
from tests.workflows.archive_corpus import asset, with_workflow
from tests.workflows.graphs import request_body

MINE = {"other": 200}
"""A list: everybody gets their own."""
FOR_CALLERS = {"other": 200, "shows": False}
"""What is nobody's, for whoever may call."""
VERSIONS = "api/workflows/<workflow_id>/versions"
VERSION = f"{VERSIONS}/<version>"
AUTOSAVE = "api/workflows/<workflow_id>/autosave"
EXPORT = "api/workflows/<workflow_id>/export-bundle"
BUNDLE = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="b.zip"\r\n\r\n'
    + with_workflow(asset())
    + b"\r\n--x--\r\n"
)
FORM = {"content_type": "multipart/form-data; boundary=x"}
PUBLIC = {"other": 200, "is_public": True}

ROWS = [
    Row("GET", "api/workflows", of=workflow, **MINE),
    Row("POST", "api/workflows", body=request_body("new"), **FOR_CALLERS),
    Row("GET", "api/workflows/names", of=workflow, **MINE),
    Row("GET", "api/workflows/tools", of=tool, **MINE),
    Row("GET", "api/workflows/public", of=public_workflow, anonymous=200, **PUBLIC),
    Row(
        "GET",
        "api/workflows/public/<workflow_id>",
        of=public_workflow,
        anonymous=200,
        **PUBLIC,
    ),
    Row(
        "GET",
        "api/workflows/public/<workflow_id>",
        of=workflow,
        owner=404,
        anonymous=404,
        shows=False,
    ),
    Row("GET", "api/workflows/examples", **FOR_CALLERS),
    Row("GET", "api/workflows/examples/search", query="?query=hello", **FOR_CALLERS),
    Row(
        "GET",
        "api/workflows/examples/<package>/<name>",
        owner=404,
        of=lambda _: _named("nobody", "nothing"),
        shows=False,
    ),
    Row("POST", "api/workflows/validate", body=request_body(), **FOR_CALLERS),
    Row(
        "POST",
        "api/workflows/import-bundle",
        body=BUNDLE,
        headers=FORM,
        **FOR_CALLERS,
    ),
    Row("GET", "api/workflows/<workflow_id>/app", of=workflow_with_app),
    Row("GET", EXPORT, of=workflow),
    Row("GET", EXPORT, of=public_workflow, **PUBLIC),
    Row("GET", "api/workflows/<workflow_id>", of=workflow),
    Row("GET", "api/workflows/<workflow_id>", of=public_workflow, **PUBLIC),
    Row(
        "PUT",
        "api/workflows/<workflow_id>",
        of=workflow,
        body=request_body("new"),
        makes_unknown=True,
    ),
    Row(
        "PUT",
        "api/workflows/<workflow_id>",
        of=public_workflow,
        body=request_body("new"),
        makes_unknown=True,
    ),
    Row("DELETE", "api/workflows/<workflow_id>", of=workflow),
    Row("DELETE", "api/workflows/<workflow_id>", of=public_workflow),
    # Versions are the owner's alone, also where the workflow is public.
    *(
        row
        for of in (version, version_of_public)
        for row in (
            Row("GET", VERSIONS, of=of),
            Row("POST", VERSIONS, of=of, body={"name": "kept"}),
            Row("GET", VERSION, of=of),
            Row("GET", f"{VERSION}/diff", of=of, shows=False),
            Row("POST", f"{VERSION}/restore", of=of),
            Row("POST", AUTOSAVE, of=of, body={"force": True}),
        )
    ),
    Row("DELETE", VERSION, of=version_by_id, shows=False),
    Row("GET", "api/nodes/metadata", query="?query=concat", **FOR_CALLERS),
]


async def _named(package: str, name: str) -> dict[str, str]:
    return {"package": package, "name": name}
