"""Users and tokens in the admin. A token is shown when it is made, never again.

Staff who are no superusers see and change what is theirs, whatever permissions they
have: else the permission to change users would be that to become a superuser.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, QuerySet
from django.forms import (
    CheckboxSelectMultiple,
    ModelChoiceField,
    ModelForm,
    MultipleChoiceField,
)
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from nodetool_site.lib.admin import OwnedAdmin
from nodetool_site.lib.scopes import SCOPES
from storage import asset_admin as asset_admin  # registers itself
from storage import secret_admin as secret_admin  # registers itself
from storage.api_tokens import MAX_TOKENS, generate_token
from storage.models import ApiToken, User
from storage.models.user import DEFAULT_USER_ID
from storage.page_sessions import is_by_token
from storage.password_forms import CountedFailures
from storage.services import delete_user


class LoginForm(CountedFailures, AdminAuthenticationForm):
    """The login of the admin, against guessing."""


def _has_permission(request: HttpRequest) -> bool:
    """Let staff in that has given its password; a token opens no admin."""
    user = request.user
    return bool(user.is_active and user.is_staff) and not is_by_token(request)


def sign_in(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The admin's own page; 429 where the address has failed too often."""
    response = admin_login(request, extra_context)
    if wait := getattr(request, "sign_in_wait_s", 0):
        response.status_code = 429
        response["Retry-After"] = str(wait)
    return response


admin_login = admin.site.login
admin.site.login = sign_in  # type: ignore[method-assign]
admin.site.has_permission = _has_permission  # type: ignore[method-assign]
admin.site.login_form = LoginForm
admin.site.site_header = admin.site.site_title = "NodeTool"
admin.site.index_title = "Administration"


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Groups of permissions, for superusers: a group's members get what it has."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show it to superusers alone; the rest of the permissions follow the view."""
        return bool(request.user.is_superuser)

    def has_view_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return self.has_module_permission(request)

    def has_delete_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return self.has_module_permission(request)


@admin.register(User)
class UserAdmin(OwnedAdmin, DjangoUserAdmin):  # type: ignore[type-arg] # a class at run time
    """Accounts: everybody's for a superuser, their own for the rest of the staff.

    Deleting one deletes all that is theirs, files included.
    """

    owner_path = "pk"
    list_display = ("username", "email", "id", "is_staff", "is_active", "date_joined")
    readonly_fields = ("id", "last_login", "date_joined")
    search_fields = ("=id", "username", "email")
    own_fields = ("first_name", "last_name", "email")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Show the id of an account that exists; to its owner what they may change."""
        if not request.user.is_superuser:
            return (
                (None, {"fields": ("id", "username", *self.own_fields)}),
                (None, {"fields": ("last_login", "date_joined")}),
            )
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is None else ((None, {"fields": ("id",)}), *fieldsets)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Let nobody but a superuser change more than a name and an address."""
        fields = super().get_readonly_fields(request, obj)
        if request.user.is_superuser:
            return fields
        names = [field.name for field in User._meta.get_fields()]
        return (*fields, *(name for name in names if name not in self.own_fields))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave new accounts to superusers."""
        return bool(request.user.is_superuser)

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        """Leave it to superusers, and keep the account that every provider needs."""
        if obj is not None and obj.pk == DEFAULT_USER_ID:
            return False
        return bool(request.user.is_superuser)

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - the name in Django
        form_url: str = "",
    ) -> HttpResponse:
        """Set somebody's password; the page for one's own asks for the old one."""
        if not request.user.is_superuser:
            raise PermissionDenied
        response: HttpResponse = super().user_change_password(request, id, form_url)
        return response

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[Any, dict[str, int], set[str], list[str]]:
        """Ask for the permission to delete accounts; what is theirs goes with them."""
        deleted, counts, _, protected = super().get_deleted_objects(objs, request)
        is_kept = not all(self.has_delete_permission(request, user) for user in objs)
        lacking = {str(self.opts.verbose_name)} if is_kept else set()
        return deleted, counts, lacking, protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete the files too."""
        delete_user(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete the files too."""
        for user in queryset:
            delete_user(user)


class TokenForm(ModelForm):  # type: ignore[type-arg] # a class at run time
    """What is asked for a new token."""

    scopes = MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        required=False,
        widget=CheckboxSelectMultiple,
        help_text="What it opens. None chosen: all that its owner may do.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuse one that has ended, and more than a user may have."""
        fields = super().clean() or {}
        end, owner = fields.get("expires_at"), fields.get("owner")
        if end is not None and end <= timezone.now():
            self.add_error("expires_at", "This time has passed.")
        if owner and ApiToken.objects.visible_to(owner).count() >= MAX_TOKENS:
            self.add_error("owner", f"A user has {MAX_TOKENS} tokens at most.")
        return fields


@admin.register(ApiToken)
class ApiTokenAdmin(OwnedAdmin):
    """Tokens of everybody for a superuser, their own for the rest of the staff.

    They can be issued and revoked (deleted), not changed.
    """

    form = TokenForm
    list_display = (
        *("name", "prefix", "owner", "scopes"),
        *("created_at", "last_used_at", "expires_at"),
    )
    list_filter = ("created_at", ("owner", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("name", "=prefix", "owner__username")
    fields = ("owner", "name", "scopes", "expires_at")
    readonly_fields = ("prefix", "created_at", "last_used_at")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        """Show more of a token that exists."""
        fields = super().get_fields(request, obj)
        return fields if obj is None else (*fields, *self.readonly_fields)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Let nobody but a superuser issue a token for somebody else."""
        if not request.user.is_superuser:
            kwargs["queryset"] = User.objects.filter(pk=request.user.pk)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_change_permission(
        self, request: HttpRequest, obj: ApiToken | None = None
    ) -> bool:
        """Show without a form."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiToken,
        form: ModelForm[ApiToken],
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Issue the token; its text lives as long as this request."""
        request.issued_token = generate_token(obj)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token on the answer itself: a redirect would have to store it."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Token issued",
            "opts": self.opts,
            "api_token": obj,
            "text": request.issued_token,  # type: ignore[attr-defined]
        }
        template = "admin/storage/apitoken/issued.html"
        response = TemplateResponse(request, template, context)
        add_never_cache_headers(response)
        return response
