"""How the API's schema speaks of runs and jobs.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema

from jobs.api.job_views import STATUSES
from nodetool_site.lib.api_schema import (
    ANY,
    ERROR,
    FLAG,
    GRAPH,
    MAPPING,
    NULL,
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

WIRE_STATUSES = (
    "scheduled", "running", "suspended", "completed", "failed", "cancelled",
)  # fmt: skip
STATUS: Json = {"type": "string", "enum": list(WIRE_STATUSES)}
RUN_STATE = object_of(
    {
        "status": TEXT,
        "suspended_node_id": optional(TEXT),
        "suspension_reason": optional(TEXT),
        "error_message": optional(TEXT),
        "execution_strategy": optional(TEXT),
        "is_resumable": FLAG,
    }
)
USAGE = object_of(
    dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), WHOLE)
)
JOB_ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
RUN_BODY = object_of(
    {},
    {
        "params": optional(MAPPING),
        "stream": optional(FLAG),
        "job_id": optional(JOB_ID),
        "timeout": optional({"type": "number", "exclusiveMinimum": 0}),
        "background": optional(FLAG),
        "graph": optional(GRAPH),
    },
)
RUN_ANSWER = object_of(
    {
        "job_id": TEXT,
        "workflow_id": TEXT,
        "status": STATUS,
        "outputs": optional(MAPPING),
        "error": optional(TEXT),
    },
    {
        "duration": optional(NUMBER),
        "usage": optional(USAGE),
        "results": MAPPING,
        "run_state": RUN_STATE,
    },
)
RUN_ERROR = object_of(
    {**ERROR["properties"]}, {"job_id": TEXT, "status": STATUS, "outputs": MAPPING}
)
RUN_ERROR["required"] = ERROR["required"]
SHORT_JOB = object_of(
    {
        "job_id": TEXT,
        "status": {
            "type": "string",
            "enum": [*WIRE_STATUSES, "not_found_or_completed"],
        },
        "workflow_id": TEXT,
        "created_at": TEXT,
        "is_running": FLAG,
        "is_completed": FLAG,
    }
)
JOB = object_of(
    {
        **dict.fromkeys(("id", "user_id", "workflow_id", "job_type"), TEXT),
        "status": STATUS,
        "name": optional(TEXT),
        "created_at": TEXT,
        **dict.fromkeys(
            (
                "started_at",
                "finished_at",
                "completed_at",
                "error",
                "error_message",
                "suspended_node_id",
                "suspension_reason",
                "execution_strategy",
            ),
            optional(TEXT),
        ),
        "cost": optional(NUMBER),
        "usage": optional(USAGE),
        "is_resumable": FLAG,
        "run_state": optional(RUN_STATE),
        **dict.fromkeys(("params", "result", "outputs"), optional(MAPPING)),
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "duration": optional(NUMBER),
        "etag": TEXT,
    }
)
JOB_LIST = object_of(
    {"jobs": array_of(JOB), "next_start_key": optional(TEXT), "next": optional(TEXT)}
)
EVENTS = object_of({"events": array_of(MAPPING), "next": optional(WHOLE)})
INPUT_ANSWER = object_of({"job_id": TEXT, "status": STATUS})
STREAM = (200, "text/event-stream")
LAST_EVENT_ID = header("Last-Event-ID", "`<job id>:<number>`: send what follows it.")
STREAM_QUERY = [
    query("done", FLAG, "End with `data: [DONE]`."),
    query(
        "on_disconnect",
        {"type": "string", "enum": ["continue", "cancel"]},
        "What becomes of the job when the client leaves.",
    ),
]


RUN = extend_schema(
    request={"application/json": RUN_BODY},
    parameters=[
        query("stream", FLAG, "Answer with events."),
        LAST_EVENT_ID,
        *STREAM_QUERY,
    ],
    responses={
        200: RUN_ANSWER,
        STREAM: TEXT,
        202: RUN_ANSWER,
        **errors(404, 409, 413, 415, 500, 504, schema=RUN_ERROR),
    },
)


def _command(answer: Json, body: Json | None = None) -> Any:
    return extend_schema(
        request=None if body is None else {"application/json": body},
        responses={200: answer, **errors(404, 409, 413, 415)},
    )


_TARGET = {"input": TEXT}
_HANDLE = {"handle": optional(TEXT)}
VIEWS: dict[str, dict[str, Any]] = {
    "run_views.RunWorkflow": {"post": RUN},
    "run_views.JobStream": {
        "get": extend_schema(
            parameters=[LAST_EVENT_ID, *STREAM_QUERY],
            responses={STREAM: TEXT, **errors(404)},
        )
    },
    "job_views.JobCollection": {
        "get": extend_schema(
            operation_id="api_jobs_list",
            parameters=[
                query("workflow_id", TEXT, "Runs of one workflow."),
                query("status", {"type": "string", "enum": list(STATUSES)}, "State."),
                query("limit", WHOLE, "Rows of a page, 1 to 500."),
                query("start_key", TEXT, "`next_start_key` of the page before."),
                query("cursor", TEXT, "The same as `start_key`."),
            ],
            responses={200: JOB_LIST, **errors(422)},
        )
    },
    "job_views.RunningJobs": {
        "get": extend_schema(responses={200: array_of(SHORT_JOB), **errors()})
    },
    "job_views.JobDetail": {
        "get": extend_schema(responses={200: JOB, **errors(404)}),
        "delete": extend_schema(responses={200: NULL, **errors(404, 409)}),
    },
    "job_views.JobEvents": {
        "get": extend_schema(
            parameters=[
                query("after", WHOLE, "Events with a higher number."),
                query("limit", WHOLE, "Events of a page, 1 to 500."),
            ],
            responses={200: EVENTS, **errors(404, 422)},
        )
    },
    "control_views.CancelJob": {"post": _command(SHORT_JOB)},
    "control_views.PauseJob": {"post": _command(JOB)},
    "control_views.ResumeJob": {"post": _command(JOB, object_of({}, {"data": ANY}))},
    "control_views.JobInput": {
        "post": _command(INPUT_ANSWER, object_of(_TARGET, {"value": ANY, **_HANDLE}))
    },
    "control_views.JobInputEnd": {
        "post": _command(INPUT_ANSWER, object_of(_TARGET, _HANDLE))
    },
}


describe_views("jobs.api", VIEWS)
