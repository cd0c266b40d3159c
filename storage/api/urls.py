"""Routes of stored files and API tokens, for the root."""

from django.urls import re_path

from nodetool_site.lib.paths import both
from storage.api import token_views
from storage.api.downloads import StorageView

urlpatterns = [
    # The whole rest is the key: what is wrong with it is said by the view.
    re_path(r"^storage/(?P<path>.*)$", StorageView.as_view(), name="storage-file"),
    both("api/tokens", token_views.TokenCollection.as_view()),
    both("api/tokens/<token_id>", token_views.TokenDetail.as_view()),
]
