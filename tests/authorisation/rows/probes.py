"""Probes and pages that belong to nobody.

A row: method, route as in the URL table, then what differs from: owner 200, others 404,
without a credential 401. What is nobody's is the same for all: ``other=200``.
"""

from tests.authorisation.model import Row
from tests.authorisation.people import CSRF

FOR_ALL = {"other": 200, "anonymous": 200, "shows": False, "is_public": True}

AS_A_FORM = {
    "content_type": "application/x-www-form-urlencoded",
    "cookie": f"csrftoken={CSRF}",
    "x_csrftoken": CSRF,
}

ROWS = [
    Row("GET", "health", **FOR_ALL),
    Row("GET", "ping", **FOR_ALL),
    Row("GET", "api/health", **FOR_ALL),
    Row("GET", "ready", **FOR_ALL),
    # The page holds no data; what it shows, it asks the API for, with a credential.
    Row("GET", "", **FOR_ALL),
    # A session is opened and ended by a form of these pages; no token counts there.
    Row("GET", "sign-in", **FOR_ALL),
    Row(
        "POST",
        "sign-in",
        body=b"username=alice&password=wrong",
        headers=AS_A_FORM,
        **{**FOR_ALL, **dict.fromkeys(("owner", "other", "anonymous"), 401)},
    ),
    Row(
        "POST",
        "sign-out",
        body=b"",
        headers=AS_A_FORM,
        **{**FOR_ALL, **dict.fromkeys(("owner", "other", "anonymous"), 302)},
    ),
    # What the API is, for whoever may call it.
    Row("GET", "api/schema", other=200, shows=False),
    Row("GET", "api/docs", other=200, shows=False),
    # Where no route leads: a stranger is not told so.
    *(
        Row(method, ".*", owner=404, other=404, shows=False)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
]
