"""Stored conversations in the admin: to look at and to delete, not to edit."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.documents import Role, text_of
from chat.models import Message, Thread
from chat.settlement import settle_thread
from nodetool_site.lib.admin import OwnedAdmin

MAX_EXCERPT = 100
MAX_SHOWN = 20_000


class RoleFilter(admin.SimpleListFilter):
    """By who speaks. Django alone would look for the roles in all messages."""

    title = parameter_name = "role"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Return value and label of each choice."""
        return [(role, role) for role in get_args(Role)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message]:
        """Keep the messages of the chosen role."""
        chosen = self.value()
        return queryset.filter(role=chosen) if chosen else queryset


class ConversationAdmin(OwnedAdmin):
    """What the pages of threads and messages share."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Conversations come from the API and the sockets."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show without a form."""
        return False


@admin.register(Thread)
class ThreadAdmin(ConversationAdmin):
    """All threads for a superuser, their own for every other member of the staff."""

    list_display = ("title", "id", "owner", "created_at", "updated_at")
    list_filter = ("created_at", ("owner", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("=id", "title", "owner__username")
    ordering = ("-created_at", "-id")
    fields = ("title", "id", "owner", "created_at", "updated_at", "messages")
    readonly_fields = fields

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the thread, with all that its last turn has said."""
        found = super().get_object(request, object_id, from_field)
        async_to_sync(settle_thread)(found.pk)
        return found

    @admin.display(description="Messages")
    def messages(self, thread: Thread) -> SafeString:
        """Lead to what was said."""
        everything = reverse("admin:chat_message_changelist")
        return format_html(
            '<a href="{}?thread__id__exact={}">{} messages</a>',
            everything,
            thread.pk,
            thread.messages.count(),
        )


@admin.register(Message)
class MessageAdmin(ConversationAdmin):
    """Messages of the threads that a member of the staff may see.

    They are a part of their thread: who may view that may view them.
    """

    owner_path = "thread__owner_id"
    list_display = ("position", "role", "excerpt", "thread", "created_at")
    list_filter = (RoleFilter, "created_at")
    list_select_related = ("thread",)
    search_fields = ("=id", "=thread__id")
    ordering = ("-created_at", "-position")
    fields = ("thread", "position", "id", "role", "created_at", "shown_document")
    readonly_fields = fields

    def has_view_permission(
        self, request: HttpRequest, obj: Message | None = None
    ) -> bool:
        """As the thread."""
        return request.user.has_perm("chat.view_thread")

    def has_delete_permission(
        self, request: HttpRequest, obj: Message | None = None
    ) -> bool:
        """As the thread, whose messages go with it."""
        return request.user.has_perm("chat.delete_thread")

    @admin.display(description="Content")
    def excerpt(self, message: Message) -> str:
        """Return the beginning of its text."""
        text = text_of(msgspec.json.decode(message.document)["content"])
        return text if len(text) <= MAX_EXCERPT else f"{text[:MAX_EXCERPT]}…"

    @admin.display(description="Message")
    def shown_document(self, message: Message) -> SafeString:
        """Return it as indented JSON."""
        text = msgspec.json.format(message.document)
        cut = len(text) - MAX_SHOWN
        more = f"\n… {cut:,} characters more" if cut > 0 else ""
        return format_html("<pre>{}{}</pre>", text[:MAX_SHOWN], more)
