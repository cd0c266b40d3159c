"""HTTP root: the probes, then each app's own table."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from nodetool_site import views
from nodetool_site.lib.paths import both

urlpatterns: list[URLPattern | URLResolver] = [
    both("health", views.health),
    both("ping", views.ping),
    both("api/health", views.api_health),
    both("ready", views.ready),
    path("", include("workflows.api.urls")),
    path("", include("storage.api.urls")),
    re_path(r"^.*$", views.not_found),
]
