"""Writes of workflows, and what they leave in a row."""

import hashlib

import msgspec
import pytest

from tests.workflows.graphs import echo_graph
from workflows import reads, services
from workflows.documents import DOCUMENT_FIELDS, WorkflowFields
from workflows.errors import InvalidGraph, WorkflowIdTaken, WorkflowNotFound
from workflows.models import Workflow
from workflows.shipped_examples import all_examples

pytestmark = pytest.mark.django_db


def fields(name="Echo", **changes):
    return WorkflowFields(**{"name": name, "graph": echo_graph(), **changes})


def document_of(workflow):
    return msgspec.json.decode(Workflow.objects.get(pk=workflow.pk).document)


def test_stored_document_is_the_whole_wire_object(alice):
    workflow = services.create_workflow(fields(tags=["a"]), owner_id=alice.pk)

    document = document_of(workflow)
    assert tuple(document) == DOCUMENT_FIELDS
    assert document["id"] == workflow.pk
    assert document["tags"] == ["a"]
    assert document["description"] == ""
    assert document["created_at"] == document["updated_at"]
    assert document["created_at"].endswith("+00:00")
    assert document["input_schema"]["properties"]["prompt"]["default"] == "hi"
    assert document["graph"] == msgspec.json.decode(workflow.graph)


def test_etag_is_the_md5_of_the_sorted_object_without_it(alice):
    document = document_of(services.create_workflow(fields(), owner_id=alice.pk))

    etag = document.pop("etag")
    encoded = msgspec.json.encode(document, order="sorted")
    assert etag == hashlib.md5(encoded, usedforsecurity=False).hexdigest()


def test_every_save_changes_etag_and_updated_at_but_not_created_at(alice):
    first = document_of(services.save_workflow("w", fields(), owner_id=alice.pk))
    second = document_of(services.save_workflow("w", fields(), owner_id=alice.pk))

    assert second["created_at"] == first["created_at"]
    assert second["updated_at"] > first["updated_at"]
    assert second["etag"] != first["etag"]


def test_replacing_keeps_thumbnail_and_run_mode_alone(alice):
    full = fields(
        thumbnail="asset", run_mode="chat", tags=["a"], settings={"x": 1}, path="p"
    )
    services.save_workflow("w", full, owner_id=alice.pk)

    document = document_of(
        services.save_workflow("w", fields("New"), owner_id=alice.pk)
    )

    assert document["name"] == "New"
    assert (document["thumbnail"], document["run_mode"]) == ("asset", "chat")
    assert (document["tags"], document["settings"], document["path"]) == (None,) * 3
    assert Workflow.objects.get(pk="w").run_mode == "chat"


def test_put_that_loses_an_unused_id_to_another_request_replaces(alice, monkeypatch):
    write = services._write

    def after_a_rival(workflow, request):
        monkeypatch.setattr(services, "_write", write)
        write(Workflow(id=workflow.pk, owner_id=alice.pk), request)
        return write(workflow, request)

    monkeypatch.setattr(services, "_write", after_a_rival)

    services.save_workflow("w", fields("Late"), owner_id=alice.pk)

    assert Workflow.objects.get().name == "Late"


def test_somebody_elses_workflow_is_not_replaced_even_if_public(alice, bob):
    services.save_workflow("w", fields(access="public"), owner_id=alice.pk)

    with pytest.raises(WorkflowNotFound):
        services.save_workflow("w", fields("Mine now"), owner_id=bob.pk)

    assert Workflow.objects.get(pk="w").name == "Echo"


def test_refused_graph_changes_nothing(alice):
    services.save_workflow("w", fields(), owner_id=alice.pk)

    with pytest.raises(InvalidGraph):
        services.save_workflow("w", fields("Bad", graph=[]), owner_id=alice.pk)

    assert Workflow.objects.get(pk="w").name == "Echo"


def test_only_the_owner_deletes(alice, bob):
    services.save_workflow("w", fields(access="public"), owner_id=alice.pk)

    with pytest.raises(WorkflowNotFound):
        services.delete_workflow("w", owner_id=bob.pk)
    services.delete_workflow("w", owner_id=alice.pk)

    assert not Workflow.objects.exists()


def test_querysets_show_own_and_public_workflows(alice, bob, charlie):
    services.save_workflow("private", fields(), owner_id=alice.pk)
    services.save_workflow("shared", fields(access="public"), owner_id=alice.pk)
    services.save_workflow("bobs", fields(), owner_id=bob.pk)

    def ids(queryset):
        return set(queryset.values_list("pk", flat=True))

    assert ids(Workflow.objects.visible_to(alice)) == {"private", "shared"}
    assert ids(Workflow.objects.visible_to(bob)) == {"shared", "bobs"}
    assert ids(Workflow.objects.visible_to(charlie)) == {"shared"}
    assert ids(Workflow.objects.owned_by(bob)) == {"bobs"}
    assert ids(Workflow.objects.public()) == {"shared"}


def test_hot_read_of_one_workflow_obeys_the_same_rule(alice, charlie):
    services.save_workflow("private", fields(), owner_id=alice.pk)
    services.save_workflow("shared", fields(access="public"), owner_id=alice.pk)

    assert reads.read_document("private", user_id=alice.pk)
    assert reads.read_document("private", user_id=charlie.pk) is None
    assert reads.read_document("shared", user_id=charlie.pk)
    assert reads.read_public_document("shared")
    assert reads.read_public_document("private") is None


def test_pages_follow_each_other_where_two_rows_changed_at_one_moment(alice):
    for name in "abc":
        services.save_workflow(name, fields(), owner_id=alice.pk)
    moment = Workflow.objects.get(pk="a").updated_at
    Workflow.objects.update(updated_at=moment.replace(microsecond=0))

    first = reads.list_owned(alice.pk, limit=2)
    second = reads.list_owned(alice.pk, limit=2, after=first.next_position)

    ids = [
        msgspec.json.decode(text)["id"]
        for text in (*first.documents, *second.documents)
    ]
    assert ids == ["c", "b", "a"]
    assert second.next_position is None


def test_import_stores_all_or_nothing(alice):
    services.save_workflow("taken", fields(), owner_id=alice.pk)
    batch = [
        services.NewWorkflow(fields("New"), "new"),
        services.NewWorkflow(fields("Again"), "taken"),
    ]

    with pytest.raises(WorkflowIdTaken):
        services.import_workflows(batch, owner_id=alice.pk)
    assert not Workflow.objects.filter(pk="new").exists()

    services.import_workflows(batch, owner_id=alice.pk, replace=True)
    assert set(Workflow.objects.values_list("name", flat=True)) == {"New", "Again"}


def test_import_never_replaces_somebody_elses(alice, bob):
    services.save_workflow("w", fields(), owner_id=alice.pk)
    batch = [services.NewWorkflow(fields("Mine now"), "w")]

    with pytest.raises(WorkflowIdTaken):
        services.import_workflows(batch, owner_id=bob.pk, replace=True)


def test_examples_become_private_workflows_once(alice):
    loaded = services.load_examples(alice.pk)
    before = list(Workflow.objects.values_list("pk", "document"))

    assert {workflow.pk for workflow in loaded} == {e.id for e in all_examples()}
    assert services.load_examples(alice.pk) == []
    assert list(Workflow.objects.values_list("pk", "document")) == before
    assert {w.access for w in Workflow.objects.all()} == {"private"}
    assert Workflow.objects.first().pk == all_examples()[0].id
