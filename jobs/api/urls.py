"""Routes of runs and jobs; to be included before those of stored workflows."""

from jobs.api import control_views, job_views, run_views
from nodetool_site.lib.paths import both

_run = run_views.RunWorkflow.as_view


urlpatterns = [
    both("api/workflows/<workflow_id>/run", _run()),
    both("workflows/<workflow_id>/run", _run(is_bare=True)),
    both("api/workflows/<workflow_id>/run/stream", _run(always_streams=True)),
    both("workflows/<workflow_id>/run/stream", _run(always_streams=True, is_bare=True)),
    both("api/jobs", job_views.JobCollection.as_view()),
    both("api/jobs/running/all", job_views.RunningJobs.as_view()),
    both("api/jobs/<job_id>", job_views.JobDetail.as_view()),
    both("api/jobs/<job_id>/events", job_views.JobEvents.as_view()),
    both("api/jobs/<job_id>/stream", run_views.JobStream.as_view()),
    both("api/jobs/<job_id>/cancel", control_views.CancelJob.as_view()),
    both("api/jobs/<job_id>/pause", control_views.PauseJob.as_view()),
    both("api/jobs/<job_id>/resume", control_views.ResumeJob.as_view()),
    both("api/jobs/<job_id>/input", control_views.JobInput.as_view()),
    both("api/jobs/<job_id>/end-input", control_views.JobInputEnd.as_view()),
]
