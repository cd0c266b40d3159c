"""What can go wrong with a job, seen from outside a run."""

from nodetool_site.lib.errors import BadRequest, Conflict, NotFound, TooManyRequests


class JobNotFound(NotFound):
    """No such job, or it belongs to somebody else."""


class InvalidTransition(Conflict):
    """Another change came first, or the job is in the wrong state."""


class JobIdTaken(Conflict):
    """The job id was used with another payload, or by another user."""


class InvalidInput(Conflict):
    """An item for an input that does not exist, has ended or is full."""


class InvalidJobRequest(BadRequest):
    """The request to run something cannot be read."""


class TooManyJobs(TooManyRequests):
    """The owner has as many live or waiting jobs as one user may."""

    default_message = "Too many running jobs"
    default_retry_after_s = 5
