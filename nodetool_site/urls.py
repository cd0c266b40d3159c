"""HTTP root: the probes, then each app's own table."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.urls.resolvers import RoutePattern
from django.views.generic import RedirectView

from nodetool_site import api_docs, views
from nodetool_site.lib.paths import both

urlpatterns: list[URLPattern | URLResolver] = [
    both("health", views.health),
    both("ping", views.ping),
    both("api/health", views.api_health),
    both("ready", views.ready),
    both("api/schema", api_docs.ApiSchema.as_view()),
    both("api/docs", api_docs.ApiDocs.as_view()),
    path("", include("jobs.api.urls")),
    path("", include("workflows.api.urls")),
    path("", include("storage.api.urls")),
    path("", include("chat.openai_api.urls")),
    path("", include("chat.api.model_urls")),
    path("", include("chat.api.thread_urls")),
    path("admin", RedirectView.as_view(url="/admin/")),
    # By name, not by ``include``: resolved when the first path begins like this.
    URLResolver(RoutePattern("admin/"), "nodetool_site.admin_urls"),
    both("sign-in", views.sign_in),
    both("sign-out", views.sign_out),
    path("", include("jobs.page_urls")),
    re_path("", views.not_found),  # whatever else there is, with line ends in it too
]

handler500 = "nodetool_site.views.server_error"
