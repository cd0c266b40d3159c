"""Jobs in the admin: who sees which, their events, and that they can be cancelled."""

import time
from datetime import timedelta

import msgspec
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import include, path
from django.utils import timezone

from jobs import admin_events
from jobs.batches import pack
from jobs.models import EventBatch, Job
from storage.models import User
from tests.admin_browser import signed_in, superuser

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
]
urlpatterns = [path("admin/", include("nodetool_site.admin_urls"))]
LIST = "/admin/jobs/job/"


@pytest.fixture(autouse=True)
def jobs():
    for name in ("alice", "bob"):
        User.objects.create(id=name, username=name, is_staff=True)
        new_job(f"job-of-{name}", name)


def new_job(job_id: str, owner: str, **fields) -> Job:
    values = {
        "status": "scheduled",
        "workflow_id": f"of-{owner}",
        "name": f"Flow of {owner}",
        "graph": '{"nodes":[],"edges":[]}',
        "params": '{"text":"<b>grüße</b>"}',
        "created_at": timezone.now(),
        **fields,
    }
    return Job.objects.create(id=job_id, owner_id=owner, payload_hash="", **values)


def store_events(job_id: str, count: int, **fields) -> None:
    events = [
        msgspec.json.encode({"type": "log_update", "content": f"line {n}", **fields})
        for n in range(1, count + 1)
    ]
    batches = pack(
        events,
        job_id=job_id,
        owner_id="alice",
        workflow_id="w",
        first_seq=1,
        ts=time.time(),
        is_final=False,
    )
    for batch in batches:
        EventBatch.objects.create(
            job_id=job_id,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            size=len(batch.body),
            is_final=batch.is_final,
            body=batch.body,
        )
    Job.objects.filter(pk=job_id).update(last_seq=count)


@pytest.fixture
def root():
    return superuser()


@pytest.fixture
def alice():
    return staff("alice", "view_job", "change_job")


def staff(name: str, *permissions: str) -> Client:
    user = User.objects.get(pk=name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(user)


def listed(client: Client, **query: str) -> str:
    return client.get(LIST, query).content.decode().partition('id="result_list"')[2]


def cancel(client: Client, *job_ids: str):
    form = {"action": "cancel", "_selected_action": job_ids}
    return client.post(LIST, form, follow=True)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ({}, {"old", "job-of-alice", "job-of-bob"}),
        ({"q": "job-of-b"}, {"job-of-bob"}),
        ({"q": "of-bob"}, set()),
        ({"status__exact": "failed"}, {"old"}),
        ({"workflow_id": "of-alice"}, {"old", "job-of-alice"}),
        ({"owner_id": "bob"}, {"job-of-bob"}),
    ],
)
def test_superuser_finds_all_by_id_status_workflow_and_owner(root, query, kept):
    new_job("old", "alice", status="failed")

    page = listed(root, **query)

    assert {n for n in ("old", "job-of-alice", "job-of-bob") if f">{n}<" in page} == (
        kept
    )


def test_jobs_can_be_filtered_by_their_creation(root):
    new_job("old", "alice", created_at=timezone.now() - timedelta(days=400))

    page = listed(root, created_at__gte=str(timezone.now() - timedelta(days=7)))

    assert "job-of-alice" in page
    assert ">old<" not in page


def test_filters_offer_the_values_of_the_newest_jobs(root, monkeypatch):
    monkeypatch.setattr("jobs.admin.MAX_CHOICES", 1)
    new_job("newest", "bob")

    page = root.get(LIST).content.decode()
    chosen = root.get(LIST, {"workflow_id": "of-alice"}).content.decode()

    assert "?workflow_id=of-bob" in page
    assert "?workflow_id=of-alice" not in page
    assert "?workflow_id=of-alice" in chosen


def test_other_staff_sees_its_own_alone(alice):
    store_events("job-of-bob", 1)

    page = alice.get(LIST).content.decode()

    assert "job-of-alice" in page
    assert "of-bob" not in page
    assert alice.get(f"{LIST}job-of-bob/change/").status_code == 404
    assert alice.get(f"{LIST}job-of-bob/events/").status_code == 404


def test_nothing_can_be_added_edited_or_deleted(root):
    job_page = f"{LIST}job-of-alice/change/"

    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(job_page, {"status": "completed"}).status_code == 403
    assert root.post(f"{LIST}job-of-alice/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in root.get(LIST).content.decode()
    assert Job.objects.get(pk="job-of-alice").status == "scheduled"


def test_values_are_shown_escaped_and_cut(root):
    new_job("large", "alice", result=msgspec.json.encode("x" * 30_000).decode())

    shown = root.get(f"{LIST}job-of-alice/change/").content.decode()
    large = root.get(f"{LIST}large/change/").content.decode()

    assert "&lt;b&gt;grüße&lt;/b&gt;" in shown
    assert "<b>grüße" not in shown
    assert "10,002 characters more" in large
    assert large.count("x" * 100) < 30_000 / 100


def test_events_come_in_pages_that_are_bounded(root, monkeypatch):
    monkeypatch.setattr(admin_events, "MAX_ROWS", 3)
    store_events("job-of-alice", 7)
    events = f"{LIST}job-of-alice/events/"

    first = root.get(events).content.decode()
    second = root.get(events, {"after": "3"}).content.decode()
    nonsense = root.get(events, {"after": "-1;"}).content.decode()

    assert [f"line {n}" in first for n in range(1, 5)] == [True, True, True, False]
    assert "?after=3" in first
    assert [f"line {n}" in second for n in range(3, 8)] == [
        *(False, True, True, True, False)
    ]
    assert "line 1" in nonsense
    assert "No events here" in root.get(events, {"after": "7"}).content.decode()


def test_large_event_is_cut_and_escaped(root):
    store_events("job-of-alice", 1, more="<i>" + "y" * 5_000)

    page = root.get(f"{LIST}job-of-alice/events/").content.decode()

    assert "&lt;i&gt;yyy" in page
    assert "characters more" in page
    assert page.count("y" * 100) <= 20


def test_cancel_ends_the_selected_jobs(root):
    new_job("done", "alice", status="completed")

    page = cancel(root, "job-of-alice", "done").content.decode()

    job = Job.objects.get(pk="job-of-alice")
    assert job.status == "cancelled"
    assert bytes(job.batches.get().body).count(b"Job cancelled by user") == 1
    assert "Cancellation of 1 requested" in page
    assert "Job done: Job not found or already completed" in page
    assert Job.objects.get(pk="job-of-bob").status == "scheduled"


def test_cancel_needs_permission_and_ownership(alice):
    bob = staff("bob", "view_job")

    cancel(bob, "job-of-bob")
    cancel(alice, "job-of-bob")

    assert Job.objects.get(pk="job-of-bob").status == "scheduled"
