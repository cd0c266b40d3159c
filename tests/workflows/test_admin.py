"""Workflows in the admin: who sees which, and that nothing can be edited."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from storage.models import User
from tests.workflows.graphs import echo_graph
from workflows import services
from workflows.documents import WorkflowFields
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.workflows.admin_urls"),
]
LIST = "/admin/workflows/workflow/"


@pytest.fixture(autouse=True)
def workflows():
    for name in ("alice", "bob"):
        User.objects.create(id=name, username=name, is_staff=True)
        request = WorkflowFields(name=f"Of {name}", graph=echo_graph("<b>grüße</b>"))
        services.save_workflow(f"of-{name}", request, owner_id=name)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root():
    user = User.objects.create(
        id="root", username="root", is_staff=True, is_superuser=True
    )
    return signed_in(user)


@pytest.fixture
def alice():
    user = User.objects.get(pk="alice")
    wanted = ("view_workflow", "delete_workflow")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return signed_in(user)


def test_superuser_sees_filters_and_searches_all(root):
    everything = root.get(LIST).content.decode()
    assert "Of alice" in everything
    assert "Of bob" in everything

    found = root.get(LIST, {"q": "bob"}).content.decode()
    assert "Of bob" in found
    assert "Of alice" not in found

    filtered = root.get(LIST, {"owner__id__exact": "alice"}).content.decode()
    assert "of-alice" in filtered
    assert "of-bob" not in filtered


def test_other_staff_sees_its_own_alone(alice):
    page = alice.get(LIST).content.decode()

    assert "Of alice" in page
    assert "of-bob" not in page
    assert alice.get(f"{LIST}of-bob/change/").status_code == 404
    assert alice.post(f"{LIST}of-bob/delete/", {"post": "yes"}).status_code == 404
    assert Workflow.objects.filter(pk="of-bob").exists()


def test_graph_is_shown_indented_and_escaped(root):
    page = root.get(f"{LIST}of-alice/change/").content.decode()

    assert "&lt;b&gt;grüße&lt;/b&gt;" in page
    assert "<b>grüße" not in page
    assert "\n  &quot;nodes&quot;: [" in page


def test_workflow_cannot_be_edited_or_added_but_deleted(root):
    assert root.get(f"{LIST}add/").status_code == 403
    changed = root.post(f"{LIST}of-alice/change/", {"name": "Changed"})
    assert changed.status_code == 403
    assert root.post(f"{LIST}of-alice/delete/", {"post": "yes"}).status_code == 302

    assert set(Workflow.objects.values_list("name", flat=True)) == {"Of bob"}
