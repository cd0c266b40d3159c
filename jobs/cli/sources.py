"""What a command is to run: a stored workflow, a file, or a request on stdin."""

from pathlib import Path
from typing import Any

from jobs.requests import JobRequest, parse_job_request
from workflows.management.documents import parse_json, read_graph

Json = dict[str, Any]

STDIN = "-"


def read_request(source: str, params: Json | None) -> JobRequest:
    """Return the run of a workflow's id or of a file; ``params`` win over the file's.

    Raises:
        CommandError: the file holds nothing that can be run.
        InvalidJobRequest: a field of it has the wrong type.
    """
    if source == STDIN or Path(source).is_file():
        return read_request_file(source, params)
    return parse_job_request({"workflow_id": source, "params": params})


def read_request_file(source: str, params: Json | None = None) -> JobRequest:
    """Return the run that a file, or stdin, asks for.

    It holds a request to run as sockets take it, a workflow, or a bare graph.

    Raises:
        CommandError: it cannot be read, or holds no JSON object.
        InvalidJobRequest: a field of it has the wrong type.
    """
    document = parse_json(source)
    if "graph" not in document and "nodes" in document:
        document = {"graph": read_graph(document)}
    if params is not None:
        document = {**document, "params": params}
    return parse_job_request(document)
