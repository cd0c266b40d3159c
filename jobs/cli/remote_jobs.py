"""Jobs of a running server, as the user that the token stands for."""

import time
from collections.abc import Iterator
from typing import Self
from urllib.parse import quote, urlencode

from django.core.management.base import CommandError

from jobs.cli.store import JobQuery, Json, is_terminal
from jobs.requests import JobRequest
from nodetool_site.lib.rendering import encode_json
from workflows.management.http_client import ApiClient

COLLECTION = "/api/jobs/"
PAGE = 500
LOOK_S = 0.3
NOT_STORED = "A server runs stored workflows: first `nodetool workflows import` it"


class RemoteJobs:
    """What ``LocalJobs`` is, over HTTP. To follow a job is to ask again and again."""

    has_server = True

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def page(self, query: JobQuery) -> Json:
        asked = {name: value for name, value in query._asdict().items() if value}
        return self._api.request("GET", f"{COLLECTION}?{urlencode(asked)}")

    def find(self, job_id: str) -> Json | None:
        return self._api.find(_path(job_id))

    def start(self, request: JobRequest) -> Json:
        if not request.workflow_id:
            raise CommandError(NOT_STORED)
        body = {
            "job_id": request.job_id,
            "graph": request.graph,
            "params": request.params,
            "background": True,
        }
        path = f"/api/workflows/{quote(request.workflow_id, safe='')}/run"
        answer = self._api.request("POST", path, body)
        return {name: answer[name] for name in ("job_id", "status", "workflow_id")}

    def cancel(self, job_id: str) -> Json:
        answer = self._command(job_id, "cancel")
        if answer["status"] != "cancelled":
            raise CommandError("Job not found or already completed")
        return answer

    def pause(self, job_id: str) -> Json:
        return self._command(job_id, "pause")

    def resume(self, job_id: str) -> Json:
        return self._command(job_id, "resume")

    def stored(self, job_id: str) -> Iterator[bytes]:
        after: int | None = 0
        while after is not None:
            page = self._events(job_id, after)
            yield from map(encode_json, page["events"])
            after = page["next"]

    def follow(
        self, job_id: str, *, after: int = 0, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            page = self._events(job_id, after)
            for event in page["events"]:
                yield encode_json(event)
                after = event.get("job_seq", after)
                if is_terminal(event):
                    return
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            if page["next"] is None:
                time.sleep(LOOK_S)

    def _events(self, job_id: str, after: int) -> Json:
        query = f"after={after}&limit={PAGE}"
        return self._api.request("GET", f"{_path(job_id)}/events?{query}")

    def _command(self, job_id: str, verb: str) -> Json:
        return self._api.request("POST", f"{_path(job_id)}/{verb}", {})


def _path(job_id: str) -> str:
    return COLLECTION + quote(job_id, safe="")
