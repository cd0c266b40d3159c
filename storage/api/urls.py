"""Routes of files, assets, secrets, settings and API tokens, for the root.

Words that mean something come before ids.
"""

from django.urls import re_path

from nodetool_site.lib.paths import both
from storage.api import asset_views as views
from storage.api import secret_views, settings_views, token_views
from storage.api.downloads import StorageView
from storage.api.raw_views import RawStorageView

urlpatterns = [
    # The whole rest is the key: what is wrong with it is said by the view.
    re_path(r"^storage/(?P<path>(?s:.*))$", StorageView.as_view(), name="storage-file"),
    re_path(r"^api/storage/(?P<path>(?s:.*))$", RawStorageView.as_view()),
    both("api/assets", views.AssetCollection.as_view()),
    both("api/assets/search", views.AssetSearch.as_view()),
    both("api/assets/download", views.AssetArchive.as_view()),
    both("api/assets/by-filename/<path:name>", views.AssetByName.as_view()),
    both("api/assets/<asset_id>", views.AssetDetail.as_view()),
    both("api/assets/<asset_id>/download", views.AssetDownload.as_view()),
    both("api/assets/<asset_id>/thumbnail", views.AssetThumbnail.as_view()),
    both("api/assets/<asset_id>/recursive", views.AssetTree.as_view()),
    both("api/settings", settings_views.SettingsView.as_view()),
    both("api/settings/secrets", secret_views.SecretCollection.as_view()),
    both("api/settings/secrets/<key>", secret_views.SecretDetail.as_view()),
    both("api/tokens", token_views.TokenCollection.as_view()),
    both("api/tokens/<token_id>", token_views.TokenDetail.as_view()),
]
