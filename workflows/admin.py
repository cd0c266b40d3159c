"""Stored workflows in the admin: to look at and to delete, not to edit."""

import msgspec
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from nodetool_site.lib.admin import OwnedAdmin
from workflows.models import Workflow


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

    @admin.display(description="Graph")
    def shown_graph(self, workflow: Workflow) -> SafeString:
        """Return the graph as indented JSON."""
        return format_html("<pre>{}</pre>", msgspec.json.format(workflow.graph))
