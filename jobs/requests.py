"""What somebody wants to run, read from any surface and checked once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.conf import settings

from jobs.errors import InvalidJobRequest
from jobs.models import SHORT_LIVED
from storage.ids import new_id
from workflows.engine.events import encode_value
from workflows.engine.sanitize import sanitize

STRATEGIES = frozenset({"threaded", "subprocess", "docker"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_canonical = msgspec.json.Encoder(order="sorted")


@dataclass(slots=True, frozen=True)
class JobRequest:
    """A run to be. ``graph`` (with at least one node) wins over the saved workflow."""

    job_id: str = field(default_factory=new_id)
    workflow_id: str = ""
    graph: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    job_type: str = "workflow"
    execution_strategy: str = "threaded"

    @property
    def payload_hash(self) -> str:
        """What makes two requests with one job id the same request."""
        payload = [self.workflow_id, self.graph, self.params]
        try:
            data = _canonical.encode(payload)
        except Exception:  # noqa: BLE001 - odd values: any stable text will do
            data = encode_value(payload)
        return hashlib.sha256(data).hexdigest()


def parse_job_request(data: dict[str, Any]) -> JobRequest:
    """Read the fields of ``run_job`` or of a run's body; unknown ones are ignored.

    Raises:
        InvalidJobRequest: a field has the wrong type; the message names it.
    """
    workflow_id = _text(data, "workflow_id", "")
    graph = _mapping(data, "graph")
    if graph is not None and not graph.get("nodes"):
        graph = None
    if graph is None and not workflow_id:
        raise InvalidJobRequest("workflow_id or graph is required")
    strategy = _text(data, "execution_strategy", "") or settings.JOB_EXECUTION_STRATEGY
    if strategy not in STRATEGIES:
        raise InvalidJobRequest(
            f"execution_strategy must be one of {', '.join(sorted(STRATEGIES))}"
        )
    job_type = _text(data, "job_type", "workflow")[:32] or "workflow"
    if job_type == SHORT_LIVED:
        raise InvalidJobRequest(f"job_type {SHORT_LIVED} is the server's own")
    return JobRequest(
        job_id=check_job_id(data.get("job_id")) or new_id(),
        workflow_id=workflow_id[:64],
        graph=graph,
        params=_mapping(data, "params") or {},
        job_type=job_type,
        execution_strategy=strategy,
    )


def check_job_id(value: Any) -> str:
    """Return a client's job id, or ``""`` where there is none.

    Raises:
        InvalidJobRequest: it is not 1 to 64 letters, digits, ``-`` or ``_``.
    """
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not _ID.match(value):
        raise InvalidJobRequest(
            "job_id must be 1 to 64 characters of A-Z, a-z, 0-9, '-' and '_'"
        )
    return value


def _text(data: dict[str, Any], name: str, default: str) -> str:
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidJobRequest(f"{name} must be a string")
    # PostgreSQL keeps no NUL in a text.
    return str(sanitize(value))


def _mapping(data: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = data.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidJobRequest(f"{name} must be an object")
    return value
