"""``nodetool jobs``: stored runs on the command line."""

from jobs.cli import job_verbs
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """Stored runs."""

    help = "List, read, start, cancel, pause and resume jobs."
    noun = "jobs"
    verbs = {
        "list": job_verbs.ListVerb,
        "get": job_verbs.GetVerb,
        "logs": job_verbs.LogsVerb,
        "start": job_verbs.StartVerb,
        "cancel": job_verbs.CancelVerb,
        "pause": job_verbs.PauseVerb,
        "resume": job_verbs.ResumeVerb,
    }
