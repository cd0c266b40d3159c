"""Assets in the admin: looked at, renamed, moved within, deleted with their files."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from nodetool_site.lib.admin import OwnedAdmin
from storage.errors import InvalidFolder, UnknownParent
from storage.folders import check_move, find_parent
from storage.links import public_path
from storage.models import Asset
from storage.models.asset import FOLDER_TYPE
from storage.services import change_asset, delete_assets


class AssetForm(ModelForm):  # type: ignore[type-arg] # a class at run time
    """Refuses a folder within itself before it is stored."""

    def clean(self) -> dict[str, Any]:
        """Check the place."""
        cleaned = super().clean() or {}
        parent = cleaned.get("parent")
        try:
            parent_id = find_parent(self.instance.owner_id, parent and parent.pk)
            check_move(self.instance, parent_id)
        except (InvalidFolder, UnknownParent) as error:
            raise ValidationError({"parent": error.message}) from error
        return cleaned


@admin.register(Asset)
class AssetAdmin(OwnedAdmin):
    """Assets of everybody for a superuser, their own for the rest of the staff.

    Files come by upload; here they are renamed, put into folders and deleted.
    """

    form = AssetForm
    list_display = ("name", "content_type", "size", "owner", "created_at", "expires_at")
    list_filter = (
        "created_at",
        "is_value",
        ("owner", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("owner",)
    search_fields = ("name", "=id", "=key", "=job_id", "owner__username")
    autocomplete_fields = ("parent",)
    show_full_result_count = False
    readonly_fields = (
        "owner",
        "content_type",
        "size",
        "link",
        "key",
        "sha256",
        "workflow_id",
        "node_id",
        "job_id",
        "metadata",
        "duration",
        "created_at",
        "updated_at",
        "expires_at",
    )
    fields = ("name", "parent", *readonly_fields)

    @admin.display(description="File")
    def link(self, asset: Asset) -> str | SafeString:
        """A link to the file."""
        if asset.is_folder:
            return "-"
        path = public_path(asset.key, asset.owner_id, is_temp=asset.is_temp)
        return format_html('<a href="{}" rel="noreferrer">{}</a>', path, asset.key)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Asset], search_term: str
    ) -> tuple[QuerySet[Asset], bool]:
        """Offer folders alone where a place is looked for."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if request.path.endswith("/autocomplete/"):
            found = found.filter(content_type=FOLDER_TYPE)
        return found, may_repeat

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Take as a place what is a folder, and the caller's to see."""
        if db_field.name == "parent":
            folders = self.get_queryset(request).filter(content_type=FOLDER_TYPE)
            kwargs["queryset"] = folders
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to uploads."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: Asset,
        form: ModelForm[Asset],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Rename or move."""
        changes = {"name": obj.name, "parent_id": obj.parent_id}
        change_asset(obj.owner_id, obj.pk, **changes)

    def delete_model(self, request: HttpRequest, obj: Asset) -> None:
        """Delete the file too, and what lies in a folder."""
        delete_assets(obj.owner_id, [obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """Delete the files too, and what lies in folders."""
        owned: dict[str, list[str]] = {}
        for owner_id, pk in queryset.order_by("owner_id").values_list("owner_id", "pk"):
            owned.setdefault(owner_id, []).append(pk)
        for owner_id, ids in owned.items():
            delete_assets(owner_id, ids)
