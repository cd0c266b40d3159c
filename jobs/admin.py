"""Stored runs in the admin: to look at and to cancel, not to edit."""

from typing import Any, ClassVar

import msgspec
from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from jobs.admin_events import read_events
from jobs.models import Job
from jobs.services import cancel_job
from nodetool_site.lib.admin import OwnedAdmin
from nodetool_site.lib.errors import ApplicationError

NEWEST = 1000
MAX_CHOICES = 50
MAX_SHOWN = 20_000
LARGE_FIELDS = ("graph", "params", "result")


class RecentFilter(admin.SimpleListFilter):
    """Offers the values of the newest jobs: all that exist may be too many."""

    column: ClassVar[str]
    label: ClassVar[str]

    def lookups(
        self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]"
    ) -> list[tuple[str, str]]:
        """Return value and label of each choice, the one in use included."""
        newest = model_admin.get_queryset(request).order_by("-created_at", "-pk")
        pairs = newest.values_list(self.column, self.label)[:NEWEST]
        found = {value: label or value for value, label in pairs if value}
        choices = dict(list(found.items())[:MAX_CHOICES])
        chosen = self.value()
        if chosen:
            choices.setdefault(chosen, found.get(chosen, chosen))
        return list(choices.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Job]
    ) -> QuerySet[Job] | None:
        """Keep the jobs of the chosen value."""
        chosen = self.value()
        return queryset.filter(**{self.column: chosen}) if chosen else queryset


class WorkflowFilter(RecentFilter):
    """By workflow."""

    title = "workflow"
    parameter_name = column = "workflow_id"
    label = "name"


class OwnerFilter(RecentFilter):
    """By owner."""

    title = "owner"
    parameter_name = column = "owner_id"
    label = "owner__username"


@admin.register(Job)
class JobAdmin(OwnedAdmin):
    """All jobs for a superuser, their own for every other member of the staff."""

    list_display = ("id", "status", "workflow", "owner", "created_at", "duration")
    list_filter = ("status", WorkflowFilter, OwnerFilter, "created_at")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("id__startswith",)
    search_help_text = "The beginning of a job's id."
    ordering = ("-created_at", "-id")
    actions = ("cancel",)
    fieldsets = (
        (
            None,
            {"fields": ("id", "status", "workflow", "workflow_id", "owner", "events")},
        ),
        (
            "Course",
            {
                "fields": (
                    "progress",
                    "error",
                    "created_at",
                    "started_at",
                    "finished_at",
                    "duration",
                )
            },
        ),
        (
            "Values",
            {"fields": ("shown_params", "shown_result"), "classes": ("collapse",)},
        ),
        ("Graph", {"fields": ("shown_graph",), "classes": ("collapse",)}),
        (
            "Execution",
            {
                "fields": (
                    "job_type",
                    "execution_strategy",
                    "worker_id",
                    "attempt",
                    "running_nodes",
                ),
                "classes": ("collapse",),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Leave the large columns where nobody asks for them."""
        return super().get_queryset(request).defer(*LARGE_FIELDS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs come from the API."""
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Job | None = None
    ) -> bool:
        """Show without a form: a job changes with its events only."""
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Job | None = None
    ) -> bool:
        """Retention removes jobs, never those that run."""
        return False

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Whoever may change jobs, by the permission that Django keeps for it."""
        return request.user.has_perm("jobs.change_job")

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a job's events."""
        events = path(
            "<path:job_id>/events/",
            self.admin_site.admin_view(self.events_view),
            name="jobs_job_events",
        )
        return [events, *super().get_urls()]

    def events_view(self, request: HttpRequest, job_id: str) -> HttpResponse:
        """Show one page of a job's stored events."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.get_queryset(request).filter(pk=job_id).first()
        if job is None:
            raise Http404(f"Job {job_id} not found")
        after = _whole_number(request.GET.get("after", ""))
        context = {
            **self.admin_site.each_context(request),
            "title": "Events",
            "subtitle": job.pk,
            "opts": self.opts,
            "job": job,
            "after": after,
            "page": read_events(job.pk, after),
        }
        return render(request, "admin/jobs/job/events.html", context)

    @admin.action(description="Cancel selected jobs", permissions=["cancel"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Ask for the end of each job, as its owner would."""
        asked = 0
        for job_id, owner_id in queryset.values_list("pk", "owner_id"):
            try:
                async_to_sync(cancel_job)(owner_id, job_id)
            except ApplicationError as error:
                self.message_user(
                    request, f"Job {job_id}: {error.message}", messages.WARNING
                )
            else:
                asked += 1
        if asked:
            self.message_user(
                request, f"Cancellation of {asked} requested.", messages.SUCCESS
            )

    @admin.display(description="Workflow", ordering="workflow_id")
    def workflow(self, job: Job) -> str:
        """Return the name, else the id."""
        return job.name or job.workflow_id or "unsaved graph"

    @admin.display(description="Duration")
    def duration(self, job: Job) -> str:
        """Return how long it ran, or nothing while it does."""
        if not (job.started_at and job.finished_at):
            return "-"
        return f"{(job.finished_at - job.started_at).total_seconds():.3f} s"

    @admin.display(description="Events")
    def events(self, job: Job) -> str:
        """Lead to the stored events."""
        if not job.last_seq:
            return "None yet"
        url = reverse("admin:jobs_job_events", args=[job.pk])
        return format_html('<a href="{}">Events 1 to {}</a>', url, job.last_seq)

    @admin.display(description="Parameters")
    def shown_params(self, job: Job) -> str:
        """Return what the run was given."""
        return _shown_json(job.params)

    @admin.display(description="Result")
    def shown_result(self, job: Job) -> str:
        """Return what it gave."""
        return _shown_json(job.result)

    @admin.display(description="Graph")
    def shown_graph(self, job: Job) -> str:
        """Return what was run."""
        return _shown_json(job.graph)


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _shown_json(text: str) -> str:
    if not text:
        return "-"
    if len(text) <= MAX_SHOWN:
        return format_html("<pre>{}</pre>", msgspec.json.format(text))
    cut = f"{text[:MAX_SHOWN]}\n… {len(text) - MAX_SHOWN:,} characters more"
    return format_html("<pre>{}</pre>", cut)
