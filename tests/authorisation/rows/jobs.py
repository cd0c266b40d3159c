"""Runs and jobs: a job is its owner's alone; public workflows run as the caller's job.

A row: method, route as in the URL table, ``of`` an object of the owner (objects.py),
then what differs from: owner 200, others 404, without a credential 401.
"""

from tests.authorisation.model import Row
from tests.authorisation.objects import (
    job,
    live_job,
    paused_job,
    public_workflow,
    workflow,
)
from tests.jobs import graphs

RUN = {"params": {"prompt": "hi"}}
OWN_GRAPH = {**RUN, "graph": graphs.hello()}
STREAM = {"accept": "text/event-stream"}
ITEM = {"input": "items", "value": 1}
SHOWN = {"shows": False}
PUBLIC = {"other": 200, "is_public": True, "shows": False}


def _run_rows(before: str) -> list[Row]:
    """Every way to run a workflow, under both of its paths."""
    run = f"{before}workflows/<workflow_id>/run"
    return [
        Row("POST", run, of=workflow, body=RUN, **SHOWN),
        Row("POST", run, of=workflow, body=OWN_GRAPH, **SHOWN),
        Row("POST", run, of=workflow, body={**RUN, "background": True}, owner=202),
        Row("POST", run, of=workflow, body={**RUN, "stream": True}, is_stream=True),
        Row("POST", run, of=workflow, query="?stream=1", body=RUN, is_stream=True),
        Row("POST", run, of=workflow, headers=STREAM, body=RUN, is_stream=True),
        Row("POST", run, of=public_workflow, body=RUN, **PUBLIC),
        Row("POST", f"{run}/stream", of=workflow, body=RUN, is_stream=True),
        Row("POST", f"{run}/stream", of=workflow, body=OWN_GRAPH, is_stream=True),
        Row(
            "POST",
            f"{run}/stream",
            of=public_workflow,
            body=RUN,
            is_stream=True,
            **PUBLIC,
        ),
    ]


ROWS = [
    *_run_rows("api/"),
    *_run_rows(""),
    Row("GET", "api/jobs", of=job, other=200),
    Row("GET", "api/jobs/running/all", of=live_job, other=200),
    Row("GET", "api/jobs/<job_id>", of=job),
    Row("GET", "api/jobs/<job_id>", of=live_job),
    Row("DELETE", "api/jobs/<job_id>", of=job),
    Row("DELETE", "api/jobs/<job_id>", of=live_job, owner=409),
    Row("GET", "api/jobs/<job_id>/events", of=job),
    Row("GET", "api/jobs/<job_id>/events", of=live_job),
    Row("GET", "api/jobs/<job_id>/stream", of=job, is_stream=True),
    Row("POST", "api/jobs/<job_id>/cancel", of=live_job),
    Row("POST", "api/jobs/<job_id>/cancel", of=job),
    Row("POST", "api/jobs/<job_id>/pause", of=live_job),
    Row("POST", "api/jobs/<job_id>/resume", of=paused_job),
    Row("POST", "api/jobs/<job_id>/resume", of=job, owner=409),
    Row("POST", "api/jobs/<job_id>/input", of=live_job, body=ITEM),
    Row("POST", "api/jobs/<job_id>/input", of=job, body=ITEM, owner=409),
    Row("POST", "api/jobs/<job_id>/end-input", of=live_job, body={"input": "items"}),
]
