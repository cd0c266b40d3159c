"""Secrets in the admin: a value goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey, QuerySet
from django.forms import CharField, ModelChoiceField, ModelForm, Textarea
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from nodetool_site.lib.admin import OwnedAdmin
from nodetool_site.lib.errors import ApplicationError
from nodetool_site.lib.redaction import unmaskable
from storage.models import Secret, User
from storage.vault import check_secret, set_secret


class WriteOnlyTextarea(Textarea):
    """Takes several lines, as keys in files have them, and shows none."""

    def format_value(self, value: Any) -> None:
        """Show nothing, not even what was just sent and refused."""


class SecretForm(ModelForm):  # type: ignore[type-arg] # a class at run time
    """A name and a value; without a value an existing secret keeps its own."""

    value = CharField(
        strip=False,
        required=False,
        widget=WriteOnlyTextarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text="Never shown again. Leave it empty to keep the one that is there.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what the vault would, before anything is written."""
        fields = super().clean() or {}
        key = fields.get("key") or self.instance.key
        value = fields.get("value") or ""
        if self.instance.pk is None and not value:
            self.add_error("value", "A value is needed.")
        elif key:
            try:
                # Browsers send every line end as two characters.
                fields["value"] = value.replace("\r\n", "\n")
                check_secret(key, fields["value"] or "-", fields.get("description"))
            except ApplicationError as error:
                raise ValidationError(error.message) from error
        return fields


@admin.register(Secret)
class SecretAdmin(OwnedAdmin):
    """Secrets of everybody for a superuser, their own for the rest of the staff."""

    form = SecretForm
    list_display = ("key", "owner", "description", "updated_at", "last_used_at")
    list_filter = ("updated_at", ("owner", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("key", "owner__username")
    fields = ("owner", "key", "description", "value")
    readonly_fields = ("created_at", "updated_at", "last_used_at")

    def get_fields(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        """Show the dates of a secret that exists."""
        fields = super().get_fields(request, obj)
        return fields if obj is None else (*fields, *self.readonly_fields)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Secret | None = None
    ) -> Any:
        """Keep owner and name: the value opens with these alone."""
        fields = super().get_readonly_fields(request, obj)
        return fields if obj is None else ("owner", "key", *fields)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        """Read no ciphertext: pages show none."""
        return super().get_queryset(request).defer("ciphertext")

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Let nobody but a superuser store a secret for somebody else."""
        if not request.user.is_superuser:
            kwargs["queryset"] = User.objects.filter(pk=request.user.pk)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @method_decorator(sensitive_post_parameters("value"))
    def changeform_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        """Keep the value out of error reports."""
        return super().changeform_view(*args, **kwargs)

    def save_model(
        self,
        request: HttpRequest,
        obj: Secret,
        form: ModelForm[Secret],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Let the vault store it; without a value only the description changes."""
        value = form.cleaned_data["value"]
        if value:
            stored = set_secret(
                obj.owner_id, obj.key, value, description=obj.description
            )
            obj.pk = stored.pk
            if weakness := unmaskable(value):
                messages.warning(request, weakness)
        else:
            obj.save(update_fields=["description", "updated_at"])
