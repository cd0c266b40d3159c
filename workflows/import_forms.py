"""The forms in which a workflow to import may be written down."""

from collections.abc import Iterator

from nodetool_site.lib.errors import BadRequest
from workflows.documents import Json


def requests_in(document: object, name: str) -> Iterator[Json]:
    """Yield a request for every workflow in a document, with defaults filled in.

    It is a workflow, a request for one, a bare graph, or a list of workflows as the
    API answers it. ``name`` is for those that have none.

    Raises:
        BadRequest: something is no object.
    """
    if not isinstance(document, dict):
        raise BadRequest("No JSON object")
    if isinstance(document.get("workflows"), list):
        for each in document["workflows"]:
            yield from requests_in(each, name)
        return
    if "graph" not in document and "nodes" in document:
        document = {"graph": document}
    yield {"name": name, "access": "private", **document}
