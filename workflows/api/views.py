"""Stored workflows over HTTP. Running them belongs to the application above."""

from typing import cast

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from nodetool_site.lib.api import SyncAPIView, json_response
from nodetool_site.lib.pagination import encode_position, read_text
from workflows import reads, services
from workflows.api import answers
from workflows.api.callers import caller_of, check_known
from workflows.api.queries import read_list_query
from workflows.api.serializers import read_request
from workflows.errors import ExampleNotFound, WorkflowNotFound
from workflows.graph_check import problems_of
from workflows.shipped_examples import all_examples, find_example, search_examples


class WorkflowCollection(SyncAPIView):
    """The caller's workflows."""

    def get(self, request: Request) -> HttpResponse:
        """List them, the last changed first."""
        query = read_list_query(request.query_params)
        found = reads.list_owned(
            caller_of(request),
            limit=query.limit,
            after=query.after,
            run_mode=read_text(request.query_params, "run_mode"),
        )
        return answers.page(found, query.columns)

    def post(self, request: Request) -> HttpResponse:
        """Create one from the body, or from an example that the query names."""
        fields = read_request(request.data, **_example_named_in(request))
        workflow = services.create_workflow(fields, owner_id=caller_of(request))
        return answers.one(workflow.document, workflow.pk)


class WorkflowDetail(SyncAPIView):
    """One workflow: readable if it is the caller's or public, theirs to change."""

    def get(self, request: Request, workflow_id: str) -> HttpResponse:
        """Return it."""
        check_known(workflow_id)
        document = reads.read_document(workflow_id, user_id=caller_of(request))
        return answers.one(document, workflow_id)

    def put(self, request: Request, workflow_id: str) -> HttpResponse:
        """Replace it, or create it under this id."""
        fields = read_request(request.data)
        workflow = services.save_workflow(
            workflow_id, fields, owner_id=caller_of(request)
        )
        return answers.one(workflow.document, workflow.pk)

    def delete(self, request: Request, workflow_id: str) -> HttpResponse:
        """Delete it."""
        check_known(workflow_id)
        services.delete_workflow(workflow_id, owner_id=caller_of(request))
        return json_response(None)


class WorkflowApp(SyncAPIView):
    """The page that somebody made for a workflow: a stranger's HTML, in a sandbox."""

    def get(self, request: Request, workflow_id: str) -> HttpResponse:
        """Return it."""
        check_known(workflow_id)
        document = reads.read_document(workflow_id, user_id=caller_of(request))
        html = document and msgspec.json.decode(document)["html_app"]
        if not html:
            raise WorkflowNotFound(workflow_id)
        return HttpResponse(
            html,
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": "sandbox allow-scripts",
                "X-Content-Type-Options": "nosniff",
            },
        )


class WorkflowNames(SyncAPIView):
    """Names of the caller's workflows by id."""

    def get(self, request: Request) -> HttpResponse:
        """Return them all."""
        return json_response(reads.names_of(caller_of(request)))


class WorkflowTools(SyncAPIView):
    """The caller's workflows that a model may call as tools."""

    def get(self, request: Request) -> HttpResponse:
        """List how a model is to know them."""
        query = read_list_query(request.query_params)
        found = reads.list_tools(
            caller_of(request), limit=query.limit, after=query.after
        )
        return json_response(
            {
                "next": encode_position(found.next_position),
                "workflows": [_as_tool(text) for text in found.documents],
            }
        )


class PublicCollection(SyncAPIView):
    """Everybody's public workflows, for strangers too."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request) -> HttpResponse:
        """List them, the last changed first."""
        query = read_list_query(request.query_params)
        found = reads.list_public(limit=query.limit, after=query.after)
        return answers.page(found, query.columns)


class PublicDetail(SyncAPIView):
    """One public workflow, for strangers too."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, workflow_id: str) -> HttpResponse:
        """Return it."""
        check_known(workflow_id)
        return answers.one(reads.read_public_document(workflow_id), workflow_id)


class WorkflowValidation(SyncAPIView):
    """A graph that has not been stored yet."""

    def post(self, request: Request) -> HttpResponse:
        """Return what would keep it from running."""
        return json_response(
            problems_of(cast("dict[str, object]", request.data).get("graph"))
        )


class ExampleCollection(SyncAPIView):
    """The workflows that come with the server."""

    def get(self, request: Request) -> HttpResponse:
        """Return them all."""
        return answers.workflow_list(example.document for example in all_examples())


class ExampleSearch(SyncAPIView):
    """Examples that speak of something."""

    def get(self, request: Request) -> HttpResponse:
        """Return those whose text, tags or node types contain the query."""
        found = search_examples(request.query_params.get("query", ""))
        return answers.workflow_list(example.document for example in found)


class ExampleDetail(SyncAPIView):
    """One example by its package and name."""

    def get(self, request: Request, package: str, name: str) -> HttpResponse:
        """Return it."""
        example = find_example(package, name)
        if example is None:
            raise ExampleNotFound(package, name)
        return answers.one(example.document, example.id)


def _example_named_in(request: Request) -> dict[str, object]:
    """Return what a copy of the example starts with; nothing if none is named."""
    package = request.query_params.get("from_example_package")
    name = request.query_params.get("from_example_name")
    if not package and not name:
        return {}
    example = find_example(package or "", name or "")
    if example is None:
        raise ExampleNotFound(package or "", name or "")
    return msgspec.structs.asdict(example.private_fields)


def _as_tool(document: str) -> dict[str, object]:
    workflow = msgspec.json.decode(document)
    return {name: workflow[name] for name in ("name", "tool_name", "description")}
