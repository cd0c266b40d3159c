"""Routes of stored files, for the root."""

from django.urls import re_path

from storage.api.downloads import StorageView

urlpatterns = [
    # The whole rest is the key: what is wrong with it is said by the view.
    re_path(r"^storage/(?P<path>.*)$", StorageView.as_view(), name="storage-file"),
]
