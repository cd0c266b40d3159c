"""Commands of sockets: what the owner of an object is told, and what everybody else.

A row: the command, ``of`` an object of the owner (objects.py), the data, a text that
stands in what the owner is told and one that stands in what others are told. Without
``other`` the command concerns nobody's object.
"""

from tests.authorisation.model import Params, SocketRow
from tests.authorisation.objects import (
    job,
    live_job,
    paused_job,
    public_workflow,
    thread,
    workflow,
)
from tests.authorisation.rows.storage import file
from tests.jobs import graphs

NO_JOB = "Job not found"
EMPTY = "[]"
STOPPED = "Stop command processed"


def _job(params: Params) -> dict[str, str]:
    return {"job_id": params["job_id"]}


def _input(params: Params) -> dict[str, str]:
    return {**_job(params), "input": "items"}


def _said(params: Params) -> dict[str, object]:
    return {**_thread(params), "role": "user", "content": "hi", "model": "fake/echo"}


def _thread(params: Params) -> dict[str, object]:
    return {"thread_id": params["thread_id"]}


def _run(params: Params) -> dict[str, object]:
    return {"workflow_id": params["workflow_id"], "params": {"prompt": "x"}}


ROWS = [
    SocketRow("run_job", workflow, _run, '"completed"', "not found"),
    SocketRow(
        "run_job", public_workflow, _run, '"completed"', '"completed"', is_public=True
    ),
    SocketRow(
        "run_job",
        data={"graph": graphs.hello(), "params": {"prompt": "x"}},
        owner='"completed"',
    ),
    SocketRow("cancel_job", live_job, _job, "Job cancellation requested", NO_JOB),
    SocketRow("cancel_job", job, _job, NO_JOB, NO_JOB),
    SocketRow("pause_job", live_job, _job, "Job paused successfully", NO_JOB),
    SocketRow("resume_job", paused_job, _job, "Resumption initiated", NO_JOB),
    SocketRow("reconnect_job", job, _job, '"completed"', NO_JOB, shows=True),
    SocketRow("reconnect_job", live_job, _job, '"running"', NO_JOB),
    SocketRow(
        "stream_input",
        live_job,
        lambda params: {**_input(params), "value": 1},
        "Input item streamed",
        NO_JOB,
    ),
    SocketRow("end_input_stream", live_job, _input, "Input stream ended", NO_JOB),
    SocketRow("get_status", job, _job, '"completed"', "not_found"),
    SocketRow("get_status", live_job, None, "active_jobs", EMPTY, shows=True),
    SocketRow("set_mode", data={"mode": "text"}, owner="Mode set to text"),
    SocketRow("ping", owner="pong"),
    SocketRow("list_workflows", workflow, None, "result", "result", shows=True),
    SocketRow(
        "get_workflow",
        workflow,
        lambda params: {"id": params["workflow_id"]},
        "result",
        "NOT_FOUND",
        shows=True,
    ),
    SocketRow(
        "get_workflow",
        public_workflow,
        lambda params: {"id": params["workflow_id"]},
        "result",
        "result",
        shows=True,
        is_public=True,
    ),
    SocketRow("list_nodes", data={"fields": "slim"}, owner="node_type"),
    SocketRow(
        "get_node", data={"node_type": "nodetool.text.Concat"}, owner="node_type"
    ),
    SocketRow("list_assets", file, None, "result", "result", shows=True),
    SocketRow(
        "get_asset",
        file,
        lambda params: {"id": params["asset_id"]},
        "result",
        "NOT_FOUND",
        shows=True,
    ),
    # A thread that nobody has is made.
    SocketRow(
        "chat_message",
        thread,
        _said,
        "Chat message processing started",
        "Thread not found",
        makes_unknown=True,
    ),
    # What does not run is stopped: nobody can tell why it does not.
    SocketRow("stop", thread, _thread, STOPPED, STOPPED),
    SocketRow("stop", live_job, _job, STOPPED, STOPPED),
]

CHAT_ROWS = [
    SocketRow(
        "chat_message",
        thread,
        _said,
        '"role": "assistant"',
        "Thread not found",
        makes_unknown=True,
    ),
    SocketRow("stop", thread, _thread, "generation_stopped", "generation_stopped"),
]
