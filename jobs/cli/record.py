"""What became of a run, gathered from its messages."""

from typing import Any

from jobs.api.documents import folded_outputs
from jobs.cli.store import Json

COMPLETED = "completed"


class RunRecord:
    """The newest state of a run and what it gave. Fed with its messages in order."""

    def __init__(self, job_id: str, workflow_id: str) -> None:
        self.job_id = job_id
        self.workflow_id = workflow_id
        self.last_seq = 0
        self.status = ""
        self.error = ""
        self.result: Json = {}
        self.previews: dict[str, Any] = {}
        self.saved: dict[str, Any] = {}

    @property
    def is_completed(self) -> bool:
        """Whether it ended well."""
        return self.status == COMPLETED

    @property
    def failure(self) -> str:
        """What to tell about a run that did not end well."""
        return self.error or f"Job {self.job_id} is {self.status}"

    def feed(self, message: Json) -> None:
        """Take note of one message."""
        self.last_seq = message.get("job_seq", self.last_seq)
        kind = message["type"]
        if kind == "job_update":
            self.status = message["status"]
            self.error = message["error"] or message["message"] or ""
            self.result = message["result"] or {}
        elif kind == "preview_update":
            self.previews[message["node_name"] or message["node_id"]] = message["value"]
        elif kind == "save_update":
            self.saved[message["name"]] = message["value"]

    def outputs(self) -> dict[str, Any]:
        """Return each output with its folded value."""
        return folded_outputs(self.result)

    def document(self) -> Json:
        """Return the whole as the commands print it."""
        return {
            "workflow_id": self.workflow_id,
            "job_id": self.job_id,
            "status": self.status,
            "result": self.outputs(),
            "preview": self.previews,
            "save": self.saved,
        }
