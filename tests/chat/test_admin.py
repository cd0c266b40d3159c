"""Conversations in the admin: who sees which, and that nothing can be edited."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import services
from chat.documents import read_message
from chat.models import Message, OpenTurn, Thread
from jobs.models import Job
from storage.models import User
from tests.admin_browser import signed_in, superuser

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.workflows.admin_urls"),
]
THREADS, MESSAGES = "/admin/chat/thread/", "/admin/chat/message/"


@pytest.fixture(autouse=True)
def threads():
    for name in ("alice", "bob"):
        User.objects.create(id=name, username=name, is_staff=True)
        thread, _ = services.get_or_create_thread(name, f"of-{name}")
        said = read_message({"role": "user", "content": f"<b>I am {name}</b>"})
        services.post_message(name, said, thread.pk)
        services.rename_thread(name, thread.pk, f"<i>Of {name}</i>")


@pytest.fixture
def root():
    return superuser()


@pytest.fixture
def alice():
    user = User.objects.get(pk="alice")
    wanted = ("view_thread", "delete_thread")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return signed_in(user)


def message_of(name: str) -> Message:
    return Message.objects.get(thread_id=f"of-{name}")


def test_a_superuser_sees_searches_and_filters_all(root):
    everything = root.get(THREADS).content.decode()
    assert "Of alice" in everything
    assert "Of bob" in everything

    found = root.get(THREADS, {"q": "bob"}).content.decode()
    assert "of-bob" in found
    assert "of-alice" not in found

    filtered = root.get(MESSAGES, {"thread__id__exact": "of-alice"}).content.decode()
    assert "I am alice" in filtered
    assert "I am bob" not in filtered


def test_messages_are_filtered_by_role_without_a_look_at_all_of_them(root):
    answer = read_message({"role": "assistant", "content": "I answer"})
    services.post_message("alice", answer, "of-alice")

    with CaptureQueriesContext(connection) as captured:
        found = root.get(MESSAGES, {"role": "assistant"}).content.decode()

    assert "I answer" in found
    assert "I am" not in found
    assert "?role=tool" in found
    assert not [query for query in captured if "DISTINCT" in query["sql"]]


def test_other_staff_sees_its_own_alone(alice):
    for path in (THREADS, MESSAGES):
        page = alice.get(path).content.decode()
        assert "alice" in page
        assert "bob" not in page
    assert alice.get(f"{THREADS}of-alice/change/").status_code == 200
    assert alice.get(f"{THREADS}of-bob/change/").status_code == 404
    assert alice.get(f"{MESSAGES}{message_of('bob').pk}/change/").status_code == 404


def test_what_was_said_is_shown_as_text_and_not_to_be_edited(alice):
    message = message_of("alice")
    pages = [
        alice.get(path).content.decode()
        for path in (
            f"{THREADS}of-alice/change/",
            f"{MESSAGES}{message.pk}/change/",
            MESSAGES,
        )
    ]

    for page in pages:
        assert "<b>I am" not in page
        assert "<i>Of" not in page
    assert "1 messages" in pages[0]
    assert "&lt;b&gt;I am alice&lt;/b&gt;" in pages[1]
    changed = alice.post(f"{THREADS}of-alice/change/", {"title": "x"})
    assert changed.status_code == 403


def test_a_thread_is_deleted_with_its_messages(alice):
    answer = alice.post(f"{THREADS}of-alice/delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert not Thread.objects.filter(pk="of-alice").exists()
    assert [message.thread_id for message in Message.objects.all()] == ["of-bob"]


def test_looking_at_a_thread_settles_a_turn_that_nobody_has(root):
    thread = Thread.objects.get(pk="of-bob")
    Job.objects.create(
        id="ended",
        owner_id="bob",
        job_type="chat",
        status="failed",
        payload_hash="",
        created_at=thread.created_at,
    )
    OpenTurn.objects.create(
        thread=thread, job_id="ended", message_id="m", created_at=thread.created_at
    )

    assert root.get(f"{THREADS}of-bob/change/").status_code == 200

    assert not OpenTurn.objects.exists()
