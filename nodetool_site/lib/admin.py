"""The rule of ownership in the admin, for every model that belongs to somebody."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest

if TYPE_CHECKING:
    _Pages = admin.ModelAdmin[Any]
else:
    _Pages = admin.ModelAdmin


class OwnedAdmin(_Pages):
    """All rows for a superuser; for the rest of the staff those that are theirs.

    ``owner_path`` leads from a row to the id of its owner. What is somebody else's is
    answered as what does not exist: 404 on every page, absent from lists and actions.
    """

    owner_path = "owner_id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Keep what the member of staff may see."""
        queryset = super().get_queryset(request)
        if request.user.is_superuser:
            return queryset
        return queryset.filter(**{self.owner_path: request.user.pk})

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Model:
        """Return the row of a page.

        Raises:
            Http404: there is none for this member of staff. Django alone would lead to
                the index, with a message that repeats the id.
        """
        found: Model | None = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404(f"No {self.opts.verbose_name} {object_id}")
        return found
