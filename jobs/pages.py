"""The page of a desktop server: run a workflow and watch it."""

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
METHODS = ("GET", "HEAD")


def page(request: HttpRequest) -> HttpResponse:
    """Return the page; what it shows, it asks the API for.

    It holds no data, so it needs no credential; the API asks for one.
    """
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    response = render(request, "jobs/page.html")
    response["Content-Security-Policy"] = POLICY
    response["Cache-Control"] = "no-cache"
    return response
