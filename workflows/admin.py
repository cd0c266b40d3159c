"""Stored workflows and their versions in the admin: to look at, not to edit."""

import msgspec
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from nodetool_site.lib.admin import OwnedAdmin
from nodetool_site.lib.errors import ApplicationError
from workflows.models import Workflow, WorkflowVersion
from workflows.versions import restore_version

SHOWN_VERSIONS = 20


@admin.register(Workflow)
class WorkflowAdmin(OwnedAdmin):
    """All workflows for a superuser, their own for every other member of the staff.

    A row is derived from its request as a whole, so editing belongs to the editor and
    to ``workflows import --replace``.
    """

    list_display = ("name", "id", "owner", "access", "run_mode", "updated_at")
    list_filter = (
        "access",
        "run_mode",
        "updated_at",
        ("owner", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("owner",)
    search_fields = ("=id", "name", "owner__username")
    ordering = ("-updated_at",)
    fields = (
        "name",
        "id",
        "owner",
        "access",
        "run_mode",
        "tool_name",
        "created_at",
        "updated_at",
        "shown_versions",
        "shown_graph",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        """Leave the large columns where nobody asks for them."""
        return super().get_queryset(request).defer("graph", "document")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Workflows come from the API."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Workflow | None = None
    ) -> bool:
        """Show without a form."""
        return False

    @admin.display(description="Versions")
    def shown_versions(self, workflow: Workflow) -> SafeString:
        """Lead to the newest versions, and to the list of all."""
        versions = workflow.versions.defer("graph")[:SHOWN_VERSIONS]
        rows = format_html_join(
            "", '<li><a href="{}">{}</a></li>', map(_link_to, versions)
        )
        everything = reverse("admin:workflows_workflowversion_changelist")
        return format_html(
            '<ul>{}</ul><a href="{}?workflow__id__exact={}">All versions</a>',
            rows,
            everything,
            workflow.pk,
        )

    @admin.display(description="Graph")
    def shown_graph(self, workflow: Workflow) -> SafeString:
        """Return the graph as indented JSON."""
        return format_html("<pre>{}</pre>", msgspec.json.format(workflow.graph))


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(OwnedAdmin):
    """Versions of the workflows that a member of the staff may see.

    They are a part of their workflow: who may view, delete or change that may view,
    delete or restore them.
    """

    owner_path = "workflow__owner_id"
    list_display = ("version", "workflow", "save_type", "name", "created_at")
    list_filter = ("save_type", "created_at")
    list_per_page = 50
    search_fields = ("=workflow__id", "workflow__name", "name")
    ordering = ("-created_at", "-version")
    actions = ("restore",)
    fields = (
        "workflow",
        "version",
        "id",
        "name",
        "description",
        "save_type",
        "autosave_metadata",
        "created_at",
        "shown_graph",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        """Leave the large columns where nobody asks for them."""
        versions = super().get_queryset(request).select_related("workflow")
        return versions.defer("graph", "workflow__graph", "workflow__document")

    def has_view_permission(
        self, request: HttpRequest, obj: WorkflowVersion | None = None
    ) -> bool:
        """As the workflow."""
        return request.user.has_perm("workflows.view_workflow")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Versions come from the API."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: WorkflowVersion | None = None
    ) -> bool:
        """Show without a form."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: WorkflowVersion | None = None
    ) -> bool:
        """As the workflow, whose versions go with it."""
        return request.user.has_perm("workflows.delete_workflow")

    def has_restore_permission(self, request: HttpRequest) -> bool:
        """By the permission that Django keeps for changes."""
        return request.user.has_perm("workflows.change_workflow")

    @admin.action(description="Restore the selected version", permissions=["restore"])
    def restore(
        self, request: HttpRequest, queryset: QuerySet[WorkflowVersion]
    ) -> None:
        """Give the workflow the graph of the version, as its owner would."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, "Select one version.", messages.WARNING)
            return
        version = chosen[0]
        owner_id = version.workflow.owner_id
        try:
            restore_version(version.workflow_id, version.version, owner_id=owner_id)
        except ApplicationError as error:  # somebody deleted it meanwhile
            self.message_user(request, error.message, messages.WARNING)
        else:
            done = f"Restored {version}; the graph before is kept as a version."
            self.message_user(request, done, messages.SUCCESS)

    @admin.display(description="Graph")
    def shown_graph(self, version: WorkflowVersion) -> SafeString:
        """Return the graph as indented JSON."""
        return format_html("<pre>{}</pre>", msgspec.json.format(version.graph))


def _link_to(version: WorkflowVersion) -> tuple[str, str]:
    """Return address and label of a version's page."""
    address = reverse("admin:workflows_workflowversion_change", args=[version.pk])
    moment = version.created_at.strftime("%Y-%m-%d %H:%M")
    words = (f"{version.version}:", version.save_type, moment, version.name)
    return address, " ".join(word for word in words if word)
