"""Lists read an index in its order, however many rows there are."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import reads as chats
from chat.models import Message
from jobs import commands
from jobs.api import reads as jobs
from jobs.models import Job
from nodetool_site.lib.pagination import TimePosition
from storage import reads as assets
from workflows import reads as workflows

pytestmark = pytest.mark.django_db

AFTER = TimePosition(timezone.now(), "row")
LISTS = {
    "asset_in_folder": lambda: assets.list_assets(
        "1", {"parent_id": "folder"}, base_url=""
    ),
    "asset_kept": lambda: assets.list_assets(
        "1", {"content_type": "image"}, base_url=""
    ),
    "command_of_job": lambda: commands.read("job", after=7),
    "job_newest": lambda: jobs.list_jobs("1", limit=100, after=AFTER),
    "job_newest_of_all": lambda: list(Job.objects.order_by("-created_at", "-pk")[:50]),
    "job_of_workflow": lambda: jobs.list_jobs(
        "1", limit=100, after=AFTER, workflow_id="hello"
    ),
    "message_newest": lambda: list(
        Message.objects.order_by("-created_at", "-position", "-pk")[:50]
    ),
    "thread_of_owner": lambda: chats.list_threads("1", limit=10, after=AFTER),
    "workflow_of_owner": lambda: workflows.list_owned("1", limit=100, after=AFTER),
    "workflow_public": lambda: workflows.list_public(limit=100, after=AFTER),
}


def plan_of(read) -> str:
    with CaptureQueriesContext(connection) as captured:
        read()
    (query,) = captured.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
        return "\n".join(row[3] for row in cursor.fetchall())


@pytest.mark.parametrize("index", LISTS)
def test_a_list_reads_its_index_in_its_order(index):
    plan = plan_of(LISTS[index])

    assert f" INDEX {index}" in plan
    assert "FOR ORDER BY" not in plan  # "RIGHT PART OF" it may be sorted


def test_live_jobs_are_looked_for_among_live_ones():
    assert " INDEX job_live (" in plan_of(lambda: jobs.live_jobs("1"))
