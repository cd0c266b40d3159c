"""Workflows in the admin: who sees which, and that nothing can be edited."""

import pytest
from django.contrib.auth.models import Permission

from storage.models import User
from tests.admin_browser import signed_in, superuser
from tests.workflows.graphs import echo_graph
from workflows import services, versions
from workflows.documents import WorkflowFields
from workflows.models import Workflow, WorkflowVersion

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


@pytest.fixture
def root():
    return superuser()


@pytest.fixture
def alice():
    user = User.objects.get(pk="alice")
    wanted = ("view_workflow", "delete_workflow")
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    return signed_in(user)


@pytest.fixture
def version_of():
    def make(name):
        return versions.create_version(f"of-{name}", owner_id=name, name="<i>kept</i>")

    return make


def change_graph(name):
    request = WorkflowFields(name="Changed", graph=echo_graph("changed"))
    services.save_workflow(f"of-{name}", request, owner_id=name)


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


VERSIONS = "/admin/workflows/workflowversion/"


def test_versions_are_shown_with_their_workflow(root, version_of):
    version = version_of("alice")

    page = root.get(f"{LIST}of-alice/change/").content.decode()
    listed = root.get(f"{VERSIONS}?workflow__id__exact=of-alice")
    shown = root.get(f"{VERSIONS}{version.pk}/change/").content.decode()

    assert f'href="{VERSIONS}{version.pk}/change/"' in page
    assert "&lt;i&gt;kept&lt;/i&gt;" in page
    assert f'href="{VERSIONS}?workflow__id__exact=of-alice"' in page
    assert listed.status_code == 200
    assert version.pk in listed.content.decode()
    assert "&lt;b&gt;grüße&lt;/b&gt;" in shown


def test_versions_cannot_be_edited_or_added(root, version_of):
    version = version_of("alice")

    assert root.get(f"{VERSIONS}add/").status_code == 403
    changed = root.post(f"{VERSIONS}{version.pk}/change/", {"name": "x"})
    assert changed.status_code == 403


def test_a_version_is_restored_and_the_graph_before_kept(root, version_of):
    version = version_of("alice")
    change_graph("alice")
    form = {"action": "restore", "_selected_action": [version.pk]}

    assert root.post(VERSIONS, form).status_code == 302

    workflow = Workflow.objects.get(pk="of-alice")
    assert "grüße" in workflow.graph
    assert (workflow.owner_id, workflow.name) == ("alice", "Changed")
    kept = WorkflowVersion.objects.get(save_type="restore")
    assert "changed" in kept.graph


def test_two_versions_are_not_restored_at_once(root, version_of):
    chosen = [version_of("alice").pk, version_of("alice").pk]
    change_graph("alice")

    page = root.post(
        VERSIONS, {"action": "restore", "_selected_action": chosen}, follow=True
    )

    assert "Select one version." in page.content.decode()
    assert "changed" in Workflow.objects.get(pk="of-alice").graph


def test_other_staff_sees_and_restores_its_own_versions_alone(alice, version_of):
    own, other = version_of("alice"), version_of("bob")
    change_graph("bob")
    change = Permission.objects.get(codename="change_workflow")
    User.objects.get(pk="alice").user_permissions.add(change)

    page = alice.get(VERSIONS).content.decode()
    alice.post(VERSIONS, {"action": "restore", "_selected_action": [other.pk]})

    assert own.pk in page
    assert other.pk not in page
    assert alice.get(f"{VERSIONS}{other.pk}/change/").status_code == 404
    deleted = alice.post(f"{VERSIONS}{other.pk}/delete/", {"post": "yes"})
    assert deleted.status_code == 404
    assert "changed" in Workflow.objects.get(pk="of-bob").graph
    assert WorkflowVersion.objects.filter(pk=other.pk).exists()


def test_restoring_needs_leave_to_change_workflows(alice, version_of):
    version = version_of("alice")
    change_graph("alice")

    alice.post(VERSIONS, {"action": "restore", "_selected_action": [version.pk]})

    assert "changed" in Workflow.objects.get(pk="of-alice").graph


def test_a_workflow_is_deleted_with_its_versions(alice, version_of):
    version_of("alice")

    assert alice.post(f"{LIST}of-alice/delete/", {"post": "yes"}).status_code == 302

    assert not WorkflowVersion.objects.exists()
