"""Stored runs: a job, its numbered events, the commands sent to it, and who runs it.

Hot writes do not go through these classes: ``jobs.event_log`` writes the tables
with fixed SQL, in groups. The classes give the schema, the admin and the reads
that are not hot.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from jobs.querysets import JobQuerySet


class Status(models.TextChoices):
    """States of a job.

    ::

        scheduled -> running -> completed | failed | cancelled
                     running <-> paused
                     running -> suspended -> running

    The last three are terminal: no row ever leaves them.
    """

    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
LIVE = frozenset(set(Status) - TERMINAL)

# The states a job may be in when it moves to the key. Cancelling a job that nobody
# claimed goes straight from scheduled; a poisoned graph fails while running.
ALLOWED_FROM: dict[str, tuple[str, ...]] = {
    Status.RUNNING: (Status.SCHEDULED, Status.PAUSED, Status.SUSPENDED),
    Status.PAUSED: (Status.RUNNING,),
    Status.SUSPENDED: (Status.RUNNING,),
    Status.COMPLETED: (Status.RUNNING, Status.PAUSED),
    Status.FAILED: tuple(sorted(LIVE)),
    Status.CANCELLED: tuple(sorted(LIVE)),
}


SHORT_LIVED = "resumable_completion"
"""The type of jobs that go an hour after their end: see ``jobs.retention``."""


class Worker(models.Model):
    """A process that runs jobs. Alive while its heartbeat is younger than 10 s."""

    id = models.CharField(primary_key=True, max_length=64)
    kind = models.CharField(max_length=16)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.host}:{self.pid}"


class Job(models.Model):
    """One run of a graph.

    ``last_seq`` is the number of the newest stored event. ``attempt`` counts the
    claims: whoever writes must name the attempt it holds, so a process that was
    taken for dead cannot write any more. ``running_nodes`` lists, as JSON
    ``[[id, name, type], ...]``, the nodes that had started and not ended at
    ``last_seq``; whoever settles the job of a lost worker needs no more than that.
    ``usage``: JSON with the tokens of its calls of models, where it made some.
    """

    id = models.CharField(primary_key=True, max_length=64)
    # Without an index of its own: ``job_newest`` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="jobs",
        db_index=False,
    )
    # A label, not a foreign key: jobs outlive their workflow, and a graph sent with
    # the run may carry any label or none.
    workflow_id = models.CharField(max_length=64, blank=True, default="")
    name = models.TextField(blank=True, default="")
    job_type = models.CharField(max_length=32, default="workflow")
    execution_strategy = models.CharField(max_length=16, default="threaded")
    status = models.CharField(
        max_length=16, choices=Status.choices, default=Status.SCHEDULED
    )
    graph = models.TextField(default="")
    params = models.TextField(default="{}")
    payload_hash = models.CharField(max_length=64)
    result = models.TextField(blank=True, default="")
    error = models.TextField(blank=True, default="")
    usage = models.TextField(blank=True, default="")
    progress = models.FloatField(default=0.0)
    last_seq = models.BigIntegerField(default=0)
    attempt = models.IntegerField(default=0)
    worker_id = models.CharField(max_length=64, blank=True, default="")
    running_nodes = models.TextField(default="[]")
    has_started_nodes = models.BooleanField(default=False)
    commands_taken = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="job_newest"),
            models.Index(
                fields=["owner", "workflow_id", "-created_at", "-id"],
                name="job_of_workflow",
            ),
            # Everybody's, for the admin.
            models.Index(fields=["-created_at", "-id"], name="job_newest_of_all"),
            # With the owner: their live jobs are counted whenever one is created.
            models.Index(
                fields=["status", "owner"],
                name="job_live",
                condition=models.Q(
                    status__in=["scheduled", "running", "paused", "suspended"]
                ),
            ),
            # Word for word what ``jobs.retention`` looks for.
            models.Index(
                fields=["finished_at"],
                name="job_short_lived",
                condition=models.Q(job_type=SHORT_LIVED),
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended for good."""
        return self.status in TERMINAL


class EventBatch(models.Model):
    """Events ``first_seq`` to ``last_seq`` of a job: complete wire messages as NDJSON.

    Written once, by the process that holds the job, and never changed. ``is_final``
    says that the last event is the terminal ``job_update``; ``size`` is the length
    of ``body`` in bytes, so that a page can be bounded without reading bodies.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, related_name="batches", db_index=False
    )
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    size = models.IntegerField()
    is_final = models.BooleanField(default=False)
    body = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "first_seq"], name="batch_first_seq")
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.first_seq}-{self.last_seq}"


class Command(models.Model):
    """A request to a running job, read in the order of ``id`` by whoever holds it."""

    class Kind(models.TextChoices):
        """What is asked for."""

        CANCEL = "cancel"
        PAUSE = "pause"
        RESUME = "resume"
        INPUT = "input"
        END_INPUT = "end_input"
        ANSWER = "answer"

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, related_name="commands", db_index=False
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    payload = models.TextField(default="{}")
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["job", "id"], name="command_of_job")]

    def __str__(self) -> str:
        return f"{self.kind} {self.job_id}"
