"""How the API's schema speaks of runs and jobs.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view

from jobs.api.job_views import STATUSES

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
WHOLE: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
ANY: Json = {}
MAPPING: Json = {"type": "object", "additionalProperties": True}
WIRE_STATUSES = (
    "scheduled", "running", "suspended", "completed", "failed", "cancelled",
)  # fmt: skip
STATUS: Json = {"type": "string", "enum": list(WIRE_STATUSES)}


def _optional(schema: Json) -> Json:
    return {"oneOf": [schema, {"type": "null"}]}


def _list(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _object(required: Json, optional: Json | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": True,
    }


GRAPH = _object({}, {"nodes": _list(MAPPING), "edges": _list(MAPPING)})
ERROR = _object(
    {"detail": TEXT, "code": TEXT, "retryable": FLAG}, {"errors": _list(MAPPING)}
)
RUN_STATE = _object(
    {
        "status": TEXT,
        "suspended_node_id": _optional(TEXT),
        "suspension_reason": _optional(TEXT),
        "error_message": _optional(TEXT),
        "execution_strategy": _optional(TEXT),
        "is_resumable": FLAG,
    }
)
JOB_ID: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
RUN_BODY = _object(
    {},
    {
        "params": _optional(MAPPING),
        "stream": _optional(FLAG),
        "job_id": _optional(JOB_ID),
        "timeout": _optional({"type": "number", "exclusiveMinimum": 0}),
        "background": _optional(FLAG),
        "graph": _optional(GRAPH),
    },
)
RUN_ANSWER = _object(
    {
        "job_id": TEXT,
        "workflow_id": TEXT,
        "status": STATUS,
        "outputs": _optional(MAPPING),
        "error": _optional(TEXT),
    },
    {"duration": _optional(NUMBER), "results": MAPPING, "run_state": RUN_STATE},
)
RUN_ERROR = _object(
    {**ERROR["properties"]}, {"job_id": TEXT, "status": STATUS, "outputs": MAPPING}
)
RUN_ERROR["required"] = ERROR["required"]
SHORT_JOB = _object(
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
JOB = _object(
    {
        **dict.fromkeys(("id", "user_id", "workflow_id", "job_type"), TEXT),
        "status": STATUS,
        "name": _optional(TEXT),
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
            _optional(TEXT),
        ),
        "cost": _optional(NUMBER),
        "is_resumable": FLAG,
        "run_state": _optional(RUN_STATE),
        **dict.fromkeys(("params", "result", "outputs"), _optional(MAPPING)),
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "duration": _optional(NUMBER),
        "etag": TEXT,
    }
)
JOB_LIST = _object(
    {"jobs": _list(JOB), "next_start_key": _optional(TEXT), "next": _optional(TEXT)}
)
EVENTS = _object({"events": _list(MAPPING), "next": _optional(WHOLE)})
INPUT_ANSWER = _object({"job_id": TEXT, "status": STATUS})
NULL: Json = {"type": "null"}
STREAM = (200, "text/event-stream")


def _query(name: str, schema: Json, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, "query", description=description)


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, TEXT, "header", description=description)


LAST_EVENT_ID = _header("Last-Event-ID", "`<job id>:<number>`: send what follows it.")
STREAM_QUERY = [
    _query("done", FLAG, "End with `data: [DONE]`."),
    _query(
        "on_disconnect",
        {"type": "string", "enum": ["continue", "cancel"]},
        "What becomes of the job when the client leaves.",
    ),
]


def _errors(*codes: int, schema: Json = ERROR) -> dict[Any, Json]:
    everywhere: tuple[Any, ...] = (400, 401)
    return dict.fromkeys((*everywhere, *codes), schema)


RUN = extend_schema(
    request={"application/json": RUN_BODY},
    parameters=[
        _query("stream", FLAG, "Answer with events."),
        LAST_EVENT_ID,
        *STREAM_QUERY,
    ],
    responses={
        200: RUN_ANSWER,
        STREAM: TEXT,
        202: RUN_ANSWER,
        **_errors(404, 409, 413, 415, 500, 503, 504, schema=RUN_ERROR),
    },
)


def _command(answer: Json, body: Json | None = None) -> Any:
    return extend_schema(
        request=None if body is None else {"application/json": body},
        responses={200: answer, **_errors(404, 409, 413, 415, 503)},
    )


_TARGET = {"input": TEXT}
_HANDLE = {"handle": _optional(TEXT)}
VIEWS: dict[str, dict[str, Any]] = {
    "run_views.RunWorkflow": {"post": RUN},
    "run_views.JobStream": {
        "get": extend_schema(
            parameters=[LAST_EVENT_ID, *STREAM_QUERY],
            responses={STREAM: TEXT, **_errors(404)},
        )
    },
    "job_views.JobCollection": {
        "get": extend_schema(
            operation_id="api_jobs_list",
            parameters=[
                _query("workflow_id", TEXT, "Runs of one workflow."),
                _query("status", {"type": "string", "enum": list(STATUSES)}, "State."),
                _query("limit", WHOLE, "Rows of a page, 1 to 500."),
                _query("start_key", TEXT, "`next_start_key` of the page before."),
                _query("cursor", TEXT, "The same as `start_key`."),
            ],
            responses={200: JOB_LIST, **_errors(422)},
        )
    },
    "job_views.RunningJobs": {
        "get": extend_schema(responses={200: _list(SHORT_JOB), 401: ERROR})
    },
    "job_views.JobDetail": {
        "get": extend_schema(responses={200: JOB, **_errors(404)}),
        "delete": extend_schema(responses={200: NULL, **_errors(404, 409, 503)}),
    },
    "job_views.JobEvents": {
        "get": extend_schema(
            parameters=[
                _query("after", WHOLE, "Events with a higher number."),
                _query("limit", WHOLE, "Events of a page, 1 to 500."),
            ],
            responses={200: EVENTS, **_errors(404, 422)},
        )
    },
    "control_views.CancelJob": {"post": _command(SHORT_JOB)},
    "control_views.PauseJob": {"post": _command(JOB)},
    "control_views.ResumeJob": {"post": _command(JOB, _object({}, {"data": ANY}))},
    "control_views.JobInput": {
        "post": _command(INPUT_ANSWER, _object(_TARGET, {"value": ANY, **_HANDLE}))
    },
    "control_views.JobInputEnd": {
        "post": _command(INPUT_ANSWER, _object(_TARGET, _HANDLE))
    },
}


class _Described(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """A view whose methods are described in ``VIEWS``."""

    methods: Json

    def view_replacement(self) -> Any:
        """Return the view with its descriptions; the served one stays as it is."""
        view: Any = self.target
        return extend_schema_view(**self.methods)(type(view.__name__, (view,), {}))


for _name, _methods in VIEWS.items():
    _members = {"target_class": f"jobs.api.{_name}", "methods": _methods}
    type(_name, (_Described,), _members)
