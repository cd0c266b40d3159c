"""Where the commands find workflows: in the database, or behind a running server."""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol
from urllib.parse import quote

import msgspec

from storage.models import User
from workflows import bundles, reads, services
from workflows.api.serializers import read_request
from workflows.bundle_imports import import_bundle
from workflows.errors import UnknownOwner, WorkflowIdTaken, WorkflowNotFound
from workflows.graph_check import problems_of
from workflows.management.http_client import ApiClient
from workflows.models import Workflow
from workflows.shipped_examples import PACKAGE, all_examples, find_example

Json = dict[str, Any]
COLLECTION = "/api/workflows/"
PAGE = 500


class Import(NamedTuple):
    """A workflow to store: the request for it, and the id it is to have, if any."""

    request: Json
    workflow_id: str | None


class WorkflowStore(Protocol):
    """What the commands need; documents are those of the API."""

    def owned(self) -> Iterator[Json]:
        """Yield the user's workflows, the last changed first."""

    def examples(self) -> list[Json]:
        """Return the examples."""

    def get(self, workflow_id: str) -> Json:
        """Return a workflow, or an example.

        Raises:
            WorkflowNotFound: there is none.
        """

    def store(self, workflows: Sequence[Import], *, replace: bool) -> list[Json]:
        """Store all, or none if an id is taken; return them as they are now.

        Raises:
            WorkflowIdTaken: an id exists, and is not to be replaced.
        """

    def delete(self, workflow_id: str) -> None:
        """Delete the user's workflow.

        Raises:
            WorkflowNotFound: there is none.
        """

    def check(self, graph: object) -> Json:
        """Return what is wrong with a graph, as the API says it."""

    def write_bundle(self, workflow_id: str, file: BinaryIO) -> None:
        """Write a workflow and its files as a ZIP file.

        Raises:
            WorkflowNotFound: there is none.
        """

    def read_bundle(self, file: BinaryIO) -> Json:
        """Store the workflow and the files of a ZIP file; return the workflow."""


class LocalStore:
    """The database, whether a server runs or not."""

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    def owned(self) -> Iterator[Json]:
        owned = Workflow.objects.filter(owner_id=self._user_id)
        for text in owned.values_list("document", flat=True).iterator(chunk_size=100):
            yield msgspec.json.decode(text)

    def examples(self) -> list[Json]:
        return [msgspec.json.decode(example.document) for example in all_examples()]

    def get(self, workflow_id: str) -> Json:
        text = reads.read_document(workflow_id, user_id=self._user_id)
        if text is None:
            example = find_example(PACKAGE, workflow_id)
            text = example.document if example else None
        if text is None:
            raise WorkflowNotFound(workflow_id)
        document: Json = msgspec.json.decode(text)
        return document

    def store(self, workflows: Sequence[Import], *, replace: bool) -> list[Json]:
        self._check_user()
        new = [
            services.NewWorkflow(read_request(each.request), each.workflow_id)
            for each in workflows
        ]
        stored = services.import_workflows(new, owner_id=self._user_id, replace=replace)
        return [msgspec.json.decode(workflow.document) for workflow in stored]

    def delete(self, workflow_id: str) -> None:
        services.delete_workflow(workflow_id, owner_id=self._user_id)

    def check(self, graph: object) -> Json:
        return problems_of(graph)

    def write_bundle(self, workflow_id: str, file: BinaryIO) -> None:
        export = bundles.plan_export(workflow_id, user_id=self._user_id)
        file.writelines(bundles.bundle_pieces(export))

    def read_bundle(self, file: BinaryIO) -> Json:
        self._check_user()
        stored = import_bundle(file, owner_id=self._user_id, read=read_request)
        document: Json = msgspec.json.decode(stored.document)
        return document

    def _check_user(self) -> None:
        if not User.objects.filter(pk=self._user_id).exists():
            raise UnknownOwner(self._user_id)


class RemoteStore:
    """A running server, as the user that the token stands for."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def owned(self) -> Iterator[Json]:
        cursor: str | None = ""
        while cursor is not None:
            path = f"{COLLECTION}?limit={PAGE}&cursor={quote(cursor)}"
            page = self._api.request("GET", path)
            yield from page["workflows"]
            cursor = page["next"]

    def examples(self) -> list[Json]:
        found: list[Json] = self._api.request("GET", COLLECTION + "examples")[
            "workflows"
        ]
        return found

    def get(self, workflow_id: str) -> Json:
        found = self._find(workflow_id)
        if found is None:
            examples = (e for e in self.examples() if e["id"] == workflow_id)
            found = next(examples, None)
        if found is None:
            raise WorkflowNotFound(workflow_id)
        return found

    def store(self, workflows: Sequence[Import], *, replace: bool) -> list[Json]:
        for each in workflows:
            if not replace and each.workflow_id and self._find(each.workflow_id):
                raise WorkflowIdTaken(each.workflow_id)
        return [self._store(each) for each in workflows]

    def delete(self, workflow_id: str) -> None:
        if self._find(workflow_id) is None:
            raise WorkflowNotFound(workflow_id)
        self._api.request("DELETE", COLLECTION + quote(workflow_id, safe=""))

    def check(self, graph: object) -> Json:
        body = {"graph": graph}
        return self._api.request("POST", COLLECTION + "validate", body)

    def write_bundle(self, workflow_id: str, file: BinaryIO) -> None:
        path = f"{COLLECTION}{quote(workflow_id, safe='')}/export-bundle"
        if not self._api.download(path, file):
            raise WorkflowNotFound(workflow_id)

    def read_bundle(self, file: BinaryIO) -> Json:
        return self._api.upload(COLLECTION + "import-bundle", file)

    def _find(self, workflow_id: str) -> Json | None:
        return self._api.find(COLLECTION + quote(workflow_id, safe=""))

    def _store(self, new: Import) -> Json:
        if new.workflow_id is None:
            return self._api.request("POST", COLLECTION, new.request)
        path = COLLECTION + quote(new.workflow_id, safe="")
        return self._api.request("PUT", path, new.request)
